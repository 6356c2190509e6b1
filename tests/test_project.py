"""What holds the project together besides its code: pins, import rules, attributions, links, icons."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from engine import __version__
from tests import demo
from tests.demo import DEMO, attributions

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
UNPINNED = {"pip"}
"""pip installs the others and may be of any version."""


def pins() -> dict[str, str]:
    """Name -> version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in entries}  # noqa: C416 - a line that is no pin must fail here


def required() -> Iterator[str]:
    """Names of everything that the app, its tests and its checks pull in on this system."""
    extras = PROJECT["optional-dependencies"]
    waiting = [Requirement(text) for text in (*PROJECT["dependencies"], *extras["test"], *extras["lint"])]
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in UNPINNED:
            continue
        for text in distribution(name).requires or []:
            further = Requirement(text)
            wanted = [{"extra": extra} for extra in ("", *requirement.extras)]
            if further.marker is None or any(further.marker.evaluate(extra) for extra in wanted):
                key = str(further)
                if key not in seen:
                    seen.add(key)
                    waiting.append(further)
        yield name


def project_files() -> list[Path]:
    """Every file of the project, as git sees it: tracked, or new and not ignored."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def test_every_dependency_is_pinned_to_the_version_installed() -> None:
    pinned = pins()
    names = set(required())
    assert {"torch", "pyside6-essentials", "numba", "pytest", "ruff"} <= names
    assert names <= pinned.keys()
    wrong = {name: (pinned[name], distribution(name).version) for name in names if not _same(name, pinned[name])}
    assert not wrong, "(pinned, installed)"


def _same(name: str, pinned: str) -> bool:
    """Whether the pinned version is installed; a build's local part such as ``+cpu`` does not count."""
    return Version(Version(distribution(name).version).public) == Version(pinned)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the ``pyproject.toml`` in a folder on the source beside it."""
    pytest.importorskip("importlinter", reason="needs the extra “lint”")
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", lint], cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_import_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_new_modules_are_bound_by_the_import_contracts(tmp_path: Path) -> None:
    forbidden = {
        "engine.media.newcomer": ("PySide6", "torch", "sqlite3", "engine.library.types", "engine.training.data.rows"),
        "engine.library.newcomer": ("sqlite_utils", "torch", "engine.models.packs"),
        "engine.library.sqlite.newcomer": ("torch", "engine.indexing.segments"),
        "engine.models.newcomer": ("sqlite3", "engine.indexing.segments", "desktop.wording"),
        "engine.indexing.newcomer": ("torch", "engine.service.messages"),
        "engine.service.newcomer": ("engine.cli.console", "engine.training.recipe", "sqlite3"),
        "engine.training.newcomer": ("engine.cli.console",),
        "desktop.widgets.newcomer": ("desktop.playback.player", "engine.indexing.segments", "torch", "sqlite3"),
        "desktop.playback.newcomer": ("desktop.search.columns", "engine.media.decode", "engine.library.protocols"),
        "desktop.search.newcomer": ("desktop.library.folder_row", "desktop.window", "engine.library.sqlite.work"),
    }
    for package in ("engine", "desktop"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "configs"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, imported in forbidden.items():
        lines = "".join(f"import {name}\n" for name in imported)
        (tmp_path / f"{module.replace('.', '/')}.py").write_text(lines)
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    reported = set(re.findall(r"(\S+\.newcomer) -> (\S+)", result.stdout))
    assert reported == {(module, name) for module, imported in forbidden.items() for name in imported}


def test_window_does_not_wait_for_heavy_libraries() -> None:
    heavy = ("torch", "transformers", "librosa", "scipy", "numba")
    probe = f"import sys, desktop.app; print(*[name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stdout + result.stderr


def test_demo_sounds_are_free_and_attributed() -> None:
    rows = attributions()
    clips = {path.name for path in DEMO.iterdir()} - {"ATTRIBUTION.md"}
    assert [row.file for row in rows] == sorted(clips)
    assert 20 <= len(rows) <= 40
    assert {row.licence for row in rows} <= {"CC0 1.0", "CC BY 3.0", "CC BY 4.0"}
    assert all(row.title and row.author and row.source and row.page.startswith("https://") for row in rows)
    assert {row.split for row in rows} == {"train", "val"}
    assert sum(path.stat().st_size for path in DEMO.iterdir()) < 2_000_000


def test_icons_have_the_size_in_their_name() -> None:
    drawn = {}
    for path in (ROOT / "resources" / "icons").glob("foundsound-*.png"):
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        drawn[path.stem] = (width, height)
    assert drawn == {f"foundsound-{size}": (size, size) for size in (16, 24, 32, 48, 64, 128, 256, 512)}


def test_changelog_names_the_version() -> None:
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_links_between_documents_lead_somewhere() -> None:
    documents = [path for path in project_files() if path.suffix == ".md"]
    assert ROOT / "README.md" in documents
    links = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
    targets = [(path, target) for path in documents for target in links.findall(path.read_text(encoding="utf-8"))]
    local = [(path, target) for path, target in targets if "://" not in target]
    assert local
    broken = [f"{path.relative_to(ROOT)}: {target}" for path, target in local if not (path.parent / target).exists()]
    assert not broken


def test_no_file_names_a_private_path() -> None:
    """Nobody's home folder (but of the invented users a, ann and anna), nor the folder this checkout lies in."""
    private = re.compile(
        rf"/(?:home|Users)/(?!a\b|ann\b|anna\b)\w|[A-Za-z]:\\Users\\(?!anna\b)\w|{re.escape(ROOT.as_posix())}\b"
    )
    found = []
    for path in project_files():
        content = path.read_bytes()
        if path != Path(__file__) and b"\0" not in content:
            matches = private.findall(content.decode("utf-8"))
            found += [f"{path.relative_to(ROOT)}: {match}" for match in matches]
    assert not found


@pytest.mark.timeout(600)
def test_demo_indexes_and_searches_the_bundled_sounds(capfd: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    printed = capfd.readouterr().out
    assert f"{len(attributions())} indexed, 0 unchanged, 0 moved, 0 failed" in printed
    answers = printed.partition("the search does not see them)")[2].strip().split("\n\n")
    assert [answer.splitlines()[0] for answer in answers] == list(demo.CAPTIONS)
    assert all(len(answer.splitlines()) == 1 + demo.LIMIT for answer in answers)
