"""Sounds out of real Debian packages, made here, with game archives and Qt resources in them."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import PySide6
import pytest
import soundfile

from engine.errors import KnownError
from engine.training.config import read_config
from engine.training.config_files import CONFIGS
from engine.training.data.tables import load_manifest
from engine.training.research import debian_sounds
from engine.training.research.debian_sounds import RATE_HZ, Selection, gather, main, pieces, resources, sounds_in
from tests.engine.training.networks import teacher
from tests.sounds import noise, write_sound

RCC = Path(PySide6.__file__).parent / "Qt" / "libexec" / "rcc"

debian_only = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb here")
needs_rcc = pytest.mark.skipif(not RCC.exists(), reason="no Qt resource compiler here")


def _deb(tmp_path: Path, name: str = "noisy-data") -> Path:
    """A package with four sounds, one of them in an archive, music, and a file that only pretends to be a sound."""
    root = tmp_path / name
    share = root / "usr" / "share" / name
    for folder in (share / "sounds", share / "music"):
        folder.mkdir(parents=True)
    write_sound(share / "sounds" / "Door_Creak-02.wav", noise(0.3, seed=1))
    write_sound(share / "sounds" / "again.wav", noise(0.3, seed=1))
    write_sound(share / "sounds" / "wind.flac", noise(31.0, seed=2))
    write_sound(share / "music" / "theme.wav", noise(0.3, seed=3))
    (share / "sounds" / "broken.ogg").write_bytes(b"no sound")
    (share / "damaged.pk3").write_bytes(b"no archive")
    (share / "unknown.rcc").write_bytes(b"no resource" + bytes(20))
    (share / "readme.txt").write_text("sounds", encoding="utf-8")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.write(write_sound(tmp_path / "shot.wav", noise(0.2, seed=4)), "sound/shot.wav")
        archive.writestr("map.txt", "a map")
    (share / "pak0.pk3").write_bytes(held.getvalue())
    control = root / "DEBIAN" / "control"
    control.parent.mkdir()
    fields = {"Package": name, "Version": "1", "Architecture": "all", "Maintainer": "a <a@b.c>", "Description": "d"}
    control.write_text("".join(f"{field}: {value}\n" for field, value in fields.items()), encoding="utf-8")
    package = tmp_path / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(package)], check=True, capture_output=True)
    return package


@debian_only
def test_a_packages_sounds_become_a_manifest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = gather([_deb(tmp_path)], "/music/", tmp_path / "out")
    assert sorted((row["caption"], row["seconds"]) for row in rows) == [
        ("door creak", "0.30"),
        ("shot", "0.20"),
        ("wind", "31.00"),
        ("wind", "31.00"),
        ("wind", "31.00"),
    ]
    (shot,) = (row for row in rows if row["caption"] == "shot")
    assert shot["original_path"] == "usr/share/noisy-data/pak0.pk3/sound/shot.wav"
    assert {row["licence"] for row in rows} == {"debian/copyright of noisy-data"}
    for row in rows:
        sound, rate = soundfile.read(tmp_path / "out" / row["file"])
        assert rate == RATE_HZ
        assert np.abs(sound).max() == pytest.approx(0.98, abs=1e-3)
        assert len(sound) == round(min(10.0, float(row["seconds"])) * RATE_HZ)
    assert all(name in caplog.text for name in ("broken.ogg", "damaged.pk3", "unknown.rcc"))


@needs_rcc
def test_sounds_in_a_qt_resource_are_found(tmp_path: Path) -> None:
    content = {"deep/cat.wav": noise(0.1, seed=1), "dog.wav": np.zeros((48_000, 1), np.float32)}  # the latter packs
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name, sound in content.items():
        write_sound(tmp_path / "in" / name, sound)
    listing = "".join(f"<file>{name}</file>" for name in content)
    (tmp_path / "in" / "all.qrc").write_text(f'<RCC><qresource prefix="/a/b">{listing}</qresource></RCC>')
    packed = tmp_path / "all.rcc"
    made = [str(RCC), "--binary", "--compress-algo", "zlib", "-o", str(packed), str(tmp_path / "in" / "all.qrc")]
    subprocess.run(made, check=True, capture_output=True)
    assert packed.stat().st_size < sum((tmp_path / "in" / name).stat().st_size for name in content)
    found = dict(resources(packed.read_bytes()))
    assert found == {f"a/b/{name}": (tmp_path / "in" / name).read_bytes() for name in content}
    with pytest.raises(KnownError, match="unknown format"):
        list(resources(b"qres\0\0\0\x09" + bytes(20)))


@debian_only
def test_what_is_no_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad_1_all.deb").write_bytes(b"no package")
    with pytest.raises(KnownError, match=r"bad_1_all\.deb"):
        list(sounds_in(tmp_path / "bad_1_all.deb"))


def test_long_sounds_are_cut_and_useless_ones_left_out() -> None:
    sound = np.linspace(0.1, 1.0, 70 * RATE_HZ, dtype=np.float32)
    cut = pieces(sound)
    assert [len(piece) for piece in cut] == [10 * RATE_HZ] * 4
    assert cut[0][0] == sound[0]
    assert cut[-1][-1] == sound[-1]
    (whole,) = pieces(sound[: 9 * RATE_HZ])
    assert len(whole) == 9 * RATE_HZ
    ends_in_silence = np.concatenate([sound[: 40 * RATE_HZ], np.zeros(20 * RATE_HZ, np.float32)])
    assert len(pieces(ends_in_silence)) == 3
    for useless in (sound[:100], 0.0005 * sound, np.full(RATE_HZ, np.nan, np.float32)):
        assert pieces(useless) == []


@debian_only
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(debian_sounds, "read_config", lambda *_: Selection(("noisy-data",), "/music/"))
    (tmp_path / "out" / "packages").mkdir(parents=True)
    _deb(tmp_path).rename(tmp_path / "out" / "packages" / "noisy-data_1_all.deb")
    labels = tmp_path / "labels.txt"
    labels.write_text("Dog\nRain\nCat\nWind\nThunder\n", encoding="utf-8")
    model = teacher.write(tmp_path / "teacher.onnx")
    main([str(tmp_path / "out"), "--teacher", str(model), "--labels", str(labels)])
    assert "5 sounds, 0.0 hours" in capsys.readouterr().out
    clips = load_manifest(tmp_path / "out" / "manifest.csv", "train")
    assert [clip.path.is_file() for clip in clips] == [True] * 5
    assert all(clip.tags and clip.tags[0][1] >= clip.tags[-1][1] >= 0.05 for clip in clips)


@debian_only
def test_a_selection_says_what_is_taken(tmp_path: Path) -> None:
    chosen = tmp_path / "mine.json"
    chosen.write_text(json.dumps({"packages": ["noisy-data"], "leave_out": "/music/|wind"}), encoding="utf-8")
    (tmp_path / "out" / "packages").mkdir(parents=True)
    _deb(tmp_path).rename(tmp_path / "out" / "packages" / "noisy-data_1_all.deb")
    main([str(tmp_path / "out"), "--selection", str(chosen)])
    assert {clip.name for clip in load_manifest(tmp_path / "out" / "manifest.csv")} == {"door creak", "shot"}


def test_a_selection_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"gone\.json"):
        main([str(tmp_path), "--selection", "gone.json"])


def test_the_shipped_selections_name_each_package_once() -> None:
    shipped = [read_config(Selection, CONFIGS / f"debian-{name}.json") for name in ("sources", "field-sources")]
    names = [name for selection in shipped for name in selection.packages]
    assert (len(names), len(set(names))) == (84 + 21, 84 + 21), "docs/training.md tells how many"
    for selection in shipped:
        assert re.search(selection.leave_out, "/usr/share/games/music/theme.ogg", re.IGNORECASE)
        assert not re.search(selection.leave_out, "/usr/share/games/sounds/door.wav", re.IGNORECASE)


@pytest.mark.parametrize(("labels", "named"), [(None, "labels.txt"), ("Dog", "5 classes, and there are 1 labels")])
@debian_only
def test_a_teacher_that_does_not_serve_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str | None, named: str
) -> None:
    monkeypatch.setattr(debian_sounds, "read_config", lambda *_: Selection(("noisy-data",), "/music/"))
    model = teacher.write(tmp_path / "teacher.onnx")
    if labels is not None:
        (tmp_path / "labels.txt").write_text(labels, encoding="utf-8")
        (tmp_path / "packages").mkdir()
        _deb(tmp_path).rename(tmp_path / "packages" / "noisy-data_1_all.deb")
    options = ["--teacher", str(model), "--labels", str(tmp_path / "labels.txt")]
    with pytest.raises(SystemExit, match=named):
        main([str(tmp_path), *options])
    assert not (tmp_path / "manifest.csv").exists()


@debian_only
def test_a_package_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get here")
    monkeypatch.setattr(debian_sounds, "read_config", lambda *_: Selection(("no such package",), ""))
    with pytest.raises(SystemExit, match="no such package"):
        main([str(tmp_path)])
