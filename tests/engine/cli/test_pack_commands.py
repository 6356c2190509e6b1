"""packs list, verify and use; and what the choice does to everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cli.commands import main
from engine.errors import KnownError
from engine.models import packs
from engine.models.packs import chosen_pack, find_pack, use_pack
from engine.paths import SHIPPED_PACK, resources
from tests.plain_words import assert_plain
from tests.tiny_pack import write_pack


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's packs and choice, in folders of this test."""
    folder = tmp_path / "user"
    monkeypatch.setattr(packs, "pack_choice", lambda: _choice(folder))
    monkeypatch.setattr(packs, "pack_folders", lambda: (folder / "packs", resources() / "packs"))
    return folder


def _choice(own: Path) -> Path:
    return own / "config" / "pack.json"


def _run(capsys: pytest.CaptureFixture[str], *arguments: str, expect: int = 0) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["packs", *arguments])
    out, err = capsys.readouterr()
    assert caught.value.code == expect, err
    return out if expect == 0 else err


def test_list_names_every_pack_and_the_one_in_use(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pack(own / "packs" / "mine")
    _run(capsys, "use", "mine")
    rows = json.loads(_run(capsys, "list", "--json"))
    assert [(row["id"], row["in_use"]) for row in rows] == [("mine", True), (SHIPPED_PACK, False)]
    mine = rows[0]
    assert mine["hash"] == find_pack("mine").pack_hash
    assert mine["size_bytes"] == sum(
        path.stat().st_size for path in (own / "packs" / "mine").rglob("*") if path.is_file()
    )
    assert mine["folder"] == str(own / "packs" / "mine")
    lines = _run(capsys, "list").splitlines()
    assert [line[:2] for line in lines] == ["* ", "  "]


def test_a_broken_pack_does_not_hide_the_others(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write_pack(own / "packs" / "mine") / "pack.json").write_text("{")
    with pytest.raises(SystemExit):
        main(["packs", "list"])
    out, err = capsys.readouterr()
    assert out.startswith(f"* {SHIPPED_PACK}")
    assert "mine" in err


def test_verify_names_a_changed_file(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pack(own / "packs" / "mine")
    assert _run(capsys, "verify", "mine").startswith("mine: 5 files are whole")
    assert len(_run(capsys, "verify").splitlines()) == 2
    (folder / "audio.safetensors").write_bytes(b"weightz")
    assert "audio.safetensors" in _run(capsys, "verify", expect=1)
    assert "no pack named" in _run(capsys, "verify", "yours", expect=1)


def test_verify_goes_on_past_broken_packs(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write_pack(own / "packs" / "a") / "pack.json").write_text("{")
    (write_pack(own / "packs" / "b") / "audio.safetensors").write_bytes(b"weightz")
    write_pack(own / "packs" / "c")
    with pytest.raises(SystemExit) as caught:
        main(["packs", "verify"])
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert [line.partition(":")[0] for line in out.splitlines()] == ["c", SHIPPED_PACK]
    first, second = err.splitlines()
    assert str(own / "packs" / "a" / "pack.json") in first
    assert str(own / "packs" / "b" / "audio.safetensors") in second


def test_the_choice_lasts_and_can_be_taken_back(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_pack().pack_id == SHIPPED_PACK
    write_pack(own / "packs" / "mine")
    assert "mine" in _run(capsys, "use", "mine")
    assert find_pack().pack_id == find_pack("default").pack_id == "mine"
    assert find_pack(SHIPPED_PACK).pack_id == SHIPPED_PACK
    elsewhere = write_pack(tmp_path / "elsewhere")
    _run(capsys, "use", str(elsewhere))
    assert find_pack().folder == elsewhere
    assert str(elsewhere) in _run(capsys, "list")
    _run(capsys, "use", "default")
    assert find_pack().pack_id == SHIPPED_PACK
    assert not _choice(own).exists()


def test_what_is_installed_is_chosen_by_name_and_what_is_not_by_folder(own: Path, tmp_path: Path) -> None:
    elsewhere = write_pack(tmp_path / "mine")
    use_pack(str(elsewhere))  # the first choice of all: its folder is made
    assert chosen_pack() == str(elsewhere)
    for name in ("a", "mine", "z"):
        write_pack(own / "packs" / name)
    use_pack("mine")
    assert chosen_pack() == "mine"
    use_pack(str(own / "packs" / "mine"))
    assert chosen_pack() == "mine"
    use_pack(str(elsewhere))
    assert chosen_pack() == str(elsewhere)
    use_pack(SHIPPED_PACK)
    assert chosen_pack() == SHIPPED_PACK


def test_a_choice_that_was_never_made_can_be_taken_back(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(capsys, "use", "default")
    assert find_pack().pack_id == SHIPPED_PACK


def test_a_choice_that_cannot_be_written_is_said(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pack(own / "packs" / "mine")
    _choice(own).parent.write_bytes(b"")  # in the way of the choice's folder
    with pytest.raises(KnownError) as caught:
        use_pack("mine")
    assert caught.value.kind == "pack_choice_unwritable"
    assert str(_choice(own)) in caught.value.detail
    assert_plain(caught.value)
    assert str(_choice(own)) in _run(capsys, "use", "mine", expect=1)


def test_only_a_whole_pack_is_chosen(own: Path) -> None:
    folder = write_pack(own / "packs" / "mine")
    (folder / "audio.safetensors").write_bytes(b"")
    for name, kind in (("mine", "pack_wrong_hash"), ("yours", "pack_unknown")):
        with pytest.raises(KnownError) as caught:
            use_pack(name)
        assert caught.value.kind == kind
    assert chosen_pack() is None


def test_a_name_is_never_looked_for_in_the_working_folder(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = write_pack(own / "packs" / "mine")
    monkeypatch.chdir(tmp_path)
    stray = {name: write_pack(tmp_path / name) for name in (SHIPPED_PACK, "mine", "only here")}
    (stray[SHIPPED_PACK] / "pack.json").write_text("{")
    assert find_pack().folder == find_pack(SHIPPED_PACK).folder == resources() / "packs" / SHIPPED_PACK
    use_pack("mine")
    assert find_pack().folder == find_pack("mine").folder == mine
    with pytest.raises(KnownError) as caught:
        find_pack("only here")
    assert caught.value.kind == "pack_unknown"
    use_pack("./only here")
    monkeypatch.chdir(own)
    assert find_pack().folder == stray["only here"]


def test_a_pack_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    mine = write_pack(tmp_path / "mine")
    assert find_pack(str(Path("~", "mine"))).folder == mine


def test_a_pack_of_the_users_does_not_become_the_shipped_one(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = resources() / "packs" / SHIPPED_PACK
    twin = write_pack(own / "packs" / SHIPPED_PACK)
    assert find_pack().folder == shipped
    assert find_pack(SHIPPED_PACK).folder == twin
    use_pack(SHIPPED_PACK)
    assert find_pack().folder == twin
    _run(capsys, "use", str(shipped))
    assert find_pack().folder == shipped
    use_pack("default")
    assert find_pack().folder == shipped
    rows = json.loads(_run(capsys, "list", "--json"))
    assert {row["folder"]: row["in_use"] for row in rows} == {str(twin): False, str(shipped): True}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pack": 3}', '{"pack": "../mine"}', '{"pack": "default"}'])
def test_a_broken_choice_is_said_and_can_be_mended(own: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    _choice(own).parent.mkdir(parents=True)
    _choice(own).write_text(content)
    with pytest.raises(KnownError) as caught:
        find_pack()
    assert caught.value.kind == "pack_choice_broken"
    assert_plain(caught.value)
    with pytest.raises(SystemExit) as ended:
        main(["packs", "list"])
    out, err = capsys.readouterr()
    assert (ended.value.code, err.count("\n")) == (0, 1)
    assert err.startswith("warning: ")
    assert out.startswith(f"  {SHIPPED_PACK}")
    _run(capsys, "use", "default")
    assert find_pack().pack_id == SHIPPED_PACK


def test_a_chosen_pack_that_is_gone_is_named(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pack(own / "packs" / "mine")
    use_pack("mine")
    folder.rename(own / "away")
    with pytest.raises(KnownError, match="mine") as caught:
        find_pack()
    assert caught.value.kind == "pack_unknown"
    assert "packs use" in caught.value.hint
    with pytest.raises(SystemExit):
        main(["packs", "list"])
    assert "warning: the pack in use: There is no pack named “mine”" in capsys.readouterr().err


def test_a_choice_that_cannot_be_read_does_not_stop_the_work(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _choice(own).mkdir(parents=True)  # in the way: opening it fails as where rights are missing
    (tmp_path / "sounds").mkdir()
    library = ["--library", str(tmp_path / "library")]
    for command in (["index", str(tmp_path / "sounds"), *library], ["status", *library], ["packs", "list"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        err = capsys.readouterr().err
        assert (ended.value.code, err.count("\n")) == (0, 1), err
        assert err.startswith("warning: ")
        assert "pack.json, which may name the pack in use, cannot be read" in err
