"""The wheel holds all that runs and nothing else: built, installed far from the checkout, and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.demo import DEMO
from tests.test_project import ROOT, project_files

LEFT_OUT = {"engine.training.research"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the project's files."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        copy = folder / "source" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(folder / "source")], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has the wheel, and of this one only the libraries that it needs."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    scripts = Path(sysconfig.get_path("scripts", "venv", paths))
    python = shutil.which("python", path=str(scripts))
    assert python is not None
    options = ["--no-deps", "--no-index", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel)], check=True)
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not read
    return scripts


def run(scripts: Path, folder: Path, *command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = shutil.which(command[0], path=str(scripts))
    assert program is not None
    ended = subprocess.run(
        [program, *command[1:]], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_package_is_in_the_wheel_but_for_research() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("engine", "desktop")
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(listed) == there - LEFT_OUT | {"engine.resources"}


def test_the_wheel_holds_what_runs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"engine", "desktop"}
    wanted = [path for path in project_files() if path.is_relative_to(ROOT / "resources")]
    assert {f"engine/resources/{path.relative_to(ROOT / 'resources').as_posix()}" for path in wanted} <= names
    assert "engine/training/configs/sfx-cnn10.json" in names
    assert not any("research" in name or name.startswith("tests") for name in names)


@pytest.mark.timeout(600)
def test_the_installed_wheel_indexes_and_searches(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "python", "-c", "import engine, desktop; print(engine.__file__, desktop.__file__)")
    assert str(ROOT / "engine") not in where
    assert str(ROOT / "desktop") not in where
    library = ["--library", str(tmp_path / "library.foundsound")]
    run(installed, tmp_path, "foundsound", "index", str(DEMO), *library)
    found = json.loads(run(installed, tmp_path, "foundsound", "search", "rain", "--json", *library))
    assert len(found["hits"]) == 10
    assert "sfx-cnn10" in run(installed, tmp_path, "foundsound", "packs", "list")
