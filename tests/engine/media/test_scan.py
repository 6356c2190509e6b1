"""A scan finds every sound once, whatever the folder holds, and never gives up on a part of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unicodedata
from itertools import islice
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.media.formats import SUPPORTED_SUFFIXES
from engine.media.scan import FoundFile, ScanProblem, scan_folder
from tests.unprivileged import needs_permissions, open_folder, run_unprivileged

PROBE = "import os\nfrom pathlib import Path\nfrom engine.media.scan import *\nfrom engine.errors import KnownError"
SCAN = (
    "try:\n"
    "    for x in scan_folder(Path(sys.argv[1])):\n"
    "        print(getattr(x, 'kind', 'found'), x.path.name)\n"
    "except KnownError as error:\n"
    "    print('raised', error.kind)"
)


def touch(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


@pytest.mark.skipif(os.name == "nt", reason="Windows has other limits")
def test_a_file_that_cannot_be_looked_at_does_not_hide_those_after_it(tmp_path: Path) -> None:
    """The longest names in a deep folder make paths that are too long to be asked after."""
    folder, names = tmp_path, ["a.wav", "b" * 240 + ".wav", "c.wav"]
    for name in names:
        touch(tmp_path / name)
    deep = os.open(tmp_path, os.O_RDONLY)
    try:
        while len(str(folder)) < 4096 - 220:
            part = "d" * min(200, 4096 - 100 - len(str(folder)))
            os.mkdir(part, dir_fd=deep)
            inner = os.open(part, os.O_RDONLY, dir_fd=deep)
            os.close(deep)
            deep, folder = inner, folder / part
        for name in names:
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=deep))
    finally:
        os.close(deep)
    found = list(scan_folder(folder))
    shutil.rmtree(tmp_path)  # by its parts, which pytest might not do
    assert [item.path.name[0] for item in found] == ["a", "b", "c"]
    assert [getattr(item, "kind", "found") for item in found] == ["found", "sound_io_error", "found"]


def names(root: Path) -> list[str]:
    """Paths found, from the root, in order; no problems allowed."""
    found = list(scan_folder(root))
    assert all(isinstance(item, FoundFile) for item in found)
    return [item.path.relative_to(root).as_posix() for item in found]


def link(path: Path, target: Path, folder: bool = False) -> None:
    try:
        path.symlink_to(target, target_is_directory=folder)
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")


def test_sounds_of_all_folders_in_order(tmp_path: Path) -> None:
    for name in ("b.wav", "a.flac", "z/c.wav", "z/y/d.wav", "m/e.mp3", "m.wav"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a.flac", "b.wav", "m.wav", "m/e.mp3", "z/c.wav", "z/y/d.wav"]


def test_only_sounds_by_suffix_in_any_case(tmp_path: Path) -> None:
    for suffix in SUPPORTED_SUFFIXES:
        touch(tmp_path / f"sound{suffix}")
        touch(tmp_path / f"loud{suffix.upper()}")
    for name in ("readme.txt", "wav", ".wav", "a.wav.asd", "a.wav~", "cover.jpg"):
        touch(tmp_path / name)
    expected = {f"sound{suffix}" for suffix in SUPPORTED_SUFFIXES} | {
        f"loud{suffix.upper()}" for suffix in SUPPORTED_SUFFIXES
    }
    assert set(names(tmp_path)) == expected


def test_size_and_time_are_the_files(tmp_path: Path) -> None:
    path = touch(tmp_path / "a.wav", 123)
    os.utime(path, ns=(1, 1_600_000_000_123_456_700))
    touch(tmp_path / "empty.wav", 0)
    found = list(scan_folder(tmp_path))
    assert found[0] == FoundFile(path, 123, path.stat().st_mtime_ns)
    assert [item.size for item in found if isinstance(item, FoundFile)] == [123, 0]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    for name in (".hidden.wav", "._a.wav", "a.wav", ".git/b.wav", "c/.d/e.wav", "c/f.wav"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["a.wav", "c/f.wav"]
    assert names(tmp_path / ".git") == ["b.wav"]  # chosen by the user


@pytest.mark.skipif(os.name != "nt" and sys.platform != "darwin", reason="no hidden attribute here")
def test_hidden_attribute(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    command = ["attrib", "+h"] if os.name == "nt" else ["chflags", "hidden"]
    for hidden in (touch(tmp_path / "b.wav"), touch(tmp_path / "c" / "d.wav").parent):
        subprocess.run([*command, str(hidden)], check=True)
    assert names(tmp_path) == ["a.wav"]


def test_unicode_names_are_kept_as_they_are(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "Tür öffnet")
    for name in (composed, unicodedata.normalize("NFD", composed), "雨の音", "🚪👋🏽"):
        touch(tmp_path / name / f"{name}.wav")
    on_disk = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")}
    assert set(names(tmp_path)) == on_disk
    assert len(on_disk) >= 3  # some systems take the first two for one


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode here")
def test_names_that_are_not_unicode_are_reported(tmp_path: Path) -> None:
    for name in (b"bad\xff.wav", b"folder\xff/a.wav", b"bad\xff.txt", b"good/b.wav"):
        touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)))
    items = list(scan_folder(tmp_path))
    problems = [item for item in items if isinstance(item, ScanProblem)]
    assert [item.path for item in items if isinstance(item, FoundFile)] == [tmp_path / "good" / "b.wav"]
    assert {os.fsencode(item.path.name) for item in problems} == {b"bad\xff.wav", b"folder\xff"}
    for problem in problems:
        assert problem.kind == "name_not_unicode"
        problem.detail.encode()
    with pytest.raises(KnownError) as caught:
        scan_folder(Path(os.fsdecode(os.fsencode(tmp_path) + b"/folder\xff")))
    assert caught.value.kind == "name_not_unicode"


def test_links_in_circles_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root / "a" / "b" / "sound.wav")
    link(root / "a" / "b" / "up", root / "a", folder=True)
    link(root / "self", root, folder=True)
    link(root / "above", tmp_path, folder=True)
    link(root / "loop", root / "loop")
    link(root / "loop.wav", root / "loop.wav")
    touch(tmp_path / "outside.wav")
    assert names(root) == ["a/b/sound.wav"]


def test_linked_folders_are_entered_once_and_under_their_real_name_if_they_have_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root / "real" / "a.wav")
    touch(tmp_path / "elsewhere" / "b.wav")
    link(root / "another name", root / "real", folder=True)
    link(root / "first", tmp_path / "elsewhere", folder=True)
    link(root / "second", tmp_path / "elsewhere", folder=True)
    assert names(root) == ["real/a.wav", "first/b.wav"]


def test_links_to_files(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    link(root / "good.wav", touch(tmp_path / "target.bin", 77))
    link(root / "broken.wav", tmp_path / "nothing.wav")
    (item,) = scan_folder(root)
    assert item == FoundFile(root / "good.wav", 77, (tmp_path / "target.bin").stat().st_mtime_ns)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_only_looks_like_a_sound_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    touch(tmp_path / "folder.wav" / "inside.wav")
    assert names(tmp_path) == ["folder.wav/inside.wav"]


def test_deeper_than_python_can_recurse(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("paths are limited to 260 characters")
    depth = sys.getrecursionlimit() + 100
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
        Path("deep.wav").touch()
        (found,) = scan_folder(tmp_path)
        assert found.path.name == "deep.wav"
        assert len(found.path.relative_to(tmp_path).parts) == depth + 1
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # shutil would recurse


@needs_permissions
def test_a_closed_folder_is_a_problem_and_the_rest_is_found() -> None:
    with open_folder() as root:
        for name in ("a.wav", "closed/b.wav", "listed/c.wav", "open/d.wav"):
            touch(root / name)
        (root / "closed").chmod(0)
        (root / "listed").chmod(0o444)  # its names can be read, its files cannot
        try:
            lines = run_unprivileged(PROBE, SCAN, root)
        finally:
            (root / "closed").chmod(0o755)
            (root / "listed").chmod(0o755)
    assert lines == ["found a.wav", "folder_no_permission closed", "folder_no_permission listed", "found d.wav"]


@needs_permissions
def test_a_closed_root() -> None:
    with open_folder() as root:
        (root / "closed").mkdir()
        (root / "closed").chmod(0)
        lines = run_unprivileged(PROBE, SCAN, root / "closed")
        (root / "closed").chmod(0o755)
    assert lines == ["raised folder_no_permission"]


def test_root_missing_or_a_file(tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "gone", "folder_missing"), (touch(tmp_path / "a.wav"), "not_a_folder")):
        with pytest.raises(KnownError) as caught:
            scan_folder(path)
        assert caught.value.kind == kind
        assert str(path) in caught.value.detail
        assert caught.value.hint


def test_what_vanishes_meanwhile_is_skipped(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "d/e.wav", "f/g.wav"):
        touch(tmp_path / name)
    items = scan_folder(tmp_path)
    next(items)
    (tmp_path / "b.wav").unlink()
    shutil.rmtree(tmp_path / "d")
    if os.name == "nt":  # knows size and time from the listing
        return
    assert [item.path.name for item in items] == ["c.wav", "g.wav"]


def test_a_root_that_vanishes_meanwhile_is_no_empty_root(tmp_path: Path) -> None:
    root = tmp_path / "drive"
    for name in ("a.wav", "b/c.wav"):
        touch(root / name)
    items = scan_folder(root)
    next(items)
    shutil.rmtree(root)
    with pytest.raises(KnownError) as caught:
        list(items)
    assert caught.value.kind == "folder_missing"


def test_a_scan_is_lazy(tmp_path: Path) -> None:
    for i in range(10):
        touch(tmp_path / f"{i}" / "a.wav")
    items = scan_folder(tmp_path)
    assert len(list(islice(items, 3))) == 3
    touch(tmp_path / "9" / "late.wav")
    assert any(item.path.name == "late.wav" for item in items)
