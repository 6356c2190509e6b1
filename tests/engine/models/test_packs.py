"""Packs: reading, verifying, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import KnownError
from engine.models.packs import Pack, describe_files, find_pack, sha256
from tests.plain_words import assert_plain
from tests.tiny_pack import write_pack
from tests.unprivileged import needs_permissions, open_folder, run_unprivileged


def _kind(folder: Path) -> str:
    with pytest.raises(KnownError) as caught:
        Pack.read(folder).verify()
    assert str(folder) in str(caught.value)
    assert_plain(caught.value)
    return caught.value.kind


def test_a_whole_pack_reads_and_verifies(tmp_path: Path) -> None:
    pack = Pack.read(write_pack(tmp_path / "one"))
    pack.verify()
    assert (pack.pack_id, pack.dim, pack.segment_s, pack.hop_s) == ("one", 8, 10.0, 5.0)
    assert (pack.sample_rate_hz, pack.frame_samples, pack.frame_s, pack.block_samples) == (8000, 400, 0.05, 240_000)
    assert pack.file("audio.safetensors").read_bytes() == b"weights"


def test_the_hash_names_the_whole_pack(tmp_path: Path) -> None:
    one, other = write_pack(tmp_path / "one"), write_pack(tmp_path / "other", id="one")
    assert Pack.read(one).pack_hash == Pack.read(other).pack_hash
    (other / "audio.safetensors").write_bytes(b"changed")
    manifest = json.loads((other / "pack.json").read_text())
    manifest["files"] = describe_files(other)
    (other / "pack.json").write_text(json.dumps(manifest))
    assert Pack.read(one).pack_hash != Pack.read(other).pack_hash


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "one")
    (folder / "audio.safetensors").write_bytes(b"weightz")
    assert _kind(folder) == "pack_wrong_hash"


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "one")
    (folder / "audio.safetensors").write_bytes(b"wei")
    assert _kind(folder) == "pack_wrong_hash"


def test_a_pack_that_lists_none_of_its_files_is_broken(tmp_path: Path) -> None:
    assert _kind(write_pack(tmp_path / "one", files={})) == "pack_broken"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "one")
    (folder / "audio.safetensors").unlink()
    assert _kind(folder) == "pack_broken"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"format": 1}'])
def test_a_broken_manifest(tmp_path: Path, content: str) -> None:
    folder = write_pack(tmp_path / "one")
    (folder / "pack.json").write_text(content)
    assert _kind(folder) == "pack_broken"


def test_a_newer_format(tmp_path: Path) -> None:
    assert _kind(write_pack(tmp_path / "one", format=2)) == "pack_newer"


@pytest.mark.parametrize("name", ["weights.pth", "weights.pkl", "text/code.py", "json", "weights.json.bin"])
def test_only_safetensors_and_json_are_read(tmp_path: Path, name: str) -> None:
    folder = write_pack(tmp_path / "one")
    (folder / name).write_bytes(b"whole, and of the right hash")
    manifest = json.loads((folder / "pack.json").read_text())
    manifest["files"][name] = {"sha256": sha256(folder / name), "bytes": 28}
    (folder / "pack.json").write_text(json.dumps(manifest))
    assert _kind(folder) == "pack_broken"


def test_find_by_name_by_folder_and_unknown(tmp_path: Path) -> None:
    write_pack(tmp_path / "one")
    assert find_pack("one", [tmp_path]).folder == tmp_path / "one"
    assert find_pack(str(tmp_path / "one"), []).pack_id == "one"
    with pytest.raises(KnownError) as caught:
        find_pack("two", [tmp_path])
    assert caught.value.kind == "pack_unknown"
    assert "Installed packs: one;" in caught.value.hint
    with pytest.raises(KnownError, match="Installed packs: none;"):
        find_pack("two", [])


def test_a_folder_is_named_in_any_way_that_no_name_looks_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pack(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_pack("./mine", []).folder == folder
    assert find_pack(str(Path("..", tmp_path.name, "mine")), []).folder.resolve() == folder.resolve()
    monkeypatch.chdir(tmp_path.parent)
    assert find_pack(str(Path(tmp_path.name, "mine")), []).folder == folder
    monkeypatch.chdir(folder)
    assert find_pack(".", []).folder == folder


@needs_permissions
def test_a_folder_of_packs_that_may_not_be_read_is_passed_over() -> None:
    with open_folder() as root:
        for parent in ("closed/packs", "packs"):
            write_pack(root / parent / "one")
        (root / "closed").chmod(0)
        try:
            lines = run_unprivileged(
                "from pathlib import Path\nfrom engine.models.packs import installed_packs",
                "for pack in installed_packs(map(Path, sys.argv[1:])):\n    print(pack)",
                root / "closed" / "packs",
                root / "packs",
            )
        finally:
            (root / "closed").chmod(0o755)
    assert lines == [str(root / "packs" / "one")]


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json",
        "text/../../outside.json",
        "/outside.json",
        "\\outside.json",
        "..\\outside.json",
        "text\\..\\..\\outside.json",
        "C:\\outside.json",
        "C:/outside.json",
        "C:outside.json",
        "\\\\server\\share\\outside.json",
    ],
)
def test_a_pack_never_names_a_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside.json").write_text("{}")
    files = {name: {"sha256": sha256(tmp_path / "outside.json"), "bytes": 2}}
    folder = write_pack(tmp_path / "one", files=files)
    with pytest.raises(KnownError, match="inside its folder") as caught:
        Pack.read(folder)
    assert caught.value.kind == "pack_broken"
