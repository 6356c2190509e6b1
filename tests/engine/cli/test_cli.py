"""The command line, on a tiny pack and real files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.cli.commands import main
from engine.models.source import EncoderSource
from tests.engine.command_line import RATE_HZ, Cli, posix_only
from tests.tiny_pack import make_pack


def test_index_then_search_then_status(cli: Cli, sounds: Path) -> None:
    assert "4 indexed, 0 unchanged, 0 moved, 0 failed" in cli("index", str(sounds))
    result = cli.json("search", "a dog barking", "--limit", "3")
    assert result["caption"] == "a dog barking"
    hits = result["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert all(set(hit) == {"rank", "path", "score", "start_s", "end_s"} for hit in hits)
    assert all(Path(hit["path"]).is_file() and hit["start_s"] < hit["end_s"] for hit in hits)
    status = cli.json("status")
    assert status["counts"] == {"pending": 0, "indexed": 4, "failed": 0, "missing": 0}
    assert status["segments"] == 3 + 9
    assert status["failures"] == []
    assert status["size_bytes"] == cli.library.stat().st_size


def test_a_hit_in_a_long_sound_is_a_ten_second_window(cli: Cli, sounds: Path) -> None:
    cli("index", str(sounds))
    (long,) = [hit for hit in cli.json("search", "rain")["hits"] if hit["path"].endswith("long.wav")]
    assert long["start_s"] % 5 == 0
    assert long["end_s"] - long["start_s"] == pytest.approx(10 if long["start_s"] < 40 else 7)


def test_captions_file_gives_one_object_a_line_in_order(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    cli("index", str(sounds))
    captions = [f"glass breaking {'bell ' * (index % 7)}".strip() for index in range(70)] + ["🐕", "x" * 10_000]
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
    lines = cli("search", "--captions-file", str(tmp_path / "captions.txt"), "--json", "--by", "sound").splitlines()
    assert [json.loads(line)["caption"] for line in lines] == captions
    alone = cli.json("search", captions[5])
    assert [hit["path"] for hit in json.loads(lines[5])["hits"]] == [hit["path"] for hit in alone["hits"]]


def test_ranking_ignores_file_names(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    cli("index", str(sounds))
    before = [hit["score"] for hit in cli.json("search", "bell")["hits"]]
    (sounds / "bell.wav").rename(sounds / "zzz.wav")
    assert "1 moved" in cli("index", str(sounds))
    assert [hit["score"] for hit in cli.json("search", "bell")["hits"]] == before


def test_similar_finds_the_copy_first_and_leaves_itself_out(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    shutil.copy(sounds / "bell.wav", sounds / "sub" / "copy.wav")
    cli("index", str(sounds))
    result = cli.json("similar", str(sounds / "bell.wav"))
    assert result["sound"] == str(sounds / "bell.wav")
    assert [hit["rank"] for hit in result["hits"]] == [1, 2, 3, 4]
    assert result["hits"][0]["path"] == str(sounds / "sub" / "copy.wav")
    assert result["hits"][0]["score"] == pytest.approx(1.0, abs=1e-5)
    outside = shutil.copy(sounds / "bell.wav", tmp_path / "outside.wav")
    top = cli.json("similar", str(outside))["hits"][0]
    assert top["score"] == pytest.approx(1.0, abs=1e-2)


def test_a_second_run_does_only_what_changed(cli: Cli, sounds: Path) -> None:
    cli("index", str(sounds))
    assert "0 indexed, 4 unchanged, 0 moved, 0 failed" in cli("index", str(sounds))
    soundfile.write(sounds / "bell.wav", np.random.default_rng(5).standard_normal(9_000) * 0.1, RATE_HZ)
    shutil.copy(sounds / "sub" / "rain.flac", sounds / "rain copy.flac")
    (sounds / "long.wav").unlink()
    assert "2 indexed, 2 unchanged, 0 moved, 0 failed, 1 missing" in cli("index", str(sounds))
    assert not any("long.wav" in hit["path"] for hit in cli.json("search", "rain")["hits"])


def test_another_pack_indexes_again_and_the_first_still_answers(
    cli: Cli, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli("index", str(sounds))
    before = cli.json("search", "rain")
    other = Cli(cli.library, str(make_pack(tmp_path / "packs", "other", seed=3).folder), capsys)
    assert "4 indexed" in other("index", str(sounds))
    assert other.json("search", "rain") != before
    assert cli.json("search", "rain") == before


def test_the_options_of_the_app_may_come_before_the_command(
    ready: Path, pack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--library", str(ready / "library"), "--pack", pack, "status", "--json"])
    assert caught.value.code == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["library"], status["pack"], status["segments"]) == (str(ready / "library"), "tiny", 12)


def test_a_removed_folder_is_out_of_sight_and_comes_back_as_it_was(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    cli("remove", str(sounds), expect=1)
    assert "no library yet" in cli.err
    cli("index", str(sounds))
    cli("remove", str(tmp_path / "nowhere"), str(sounds), expect=1)
    assert "nowhere" in cli.err
    assert len(cli.json("status")["folders"]) == 1, "all or none"
    sounds.rename(tmp_path / "unplugged")
    assert cli("remove", str(sounds)).startswith(f"Removed {sounds}")
    assert cli.json("status")["folders"] == []
    (tmp_path / "unplugged").rename(sounds)
    assert "4 unchanged" in cli("index", str(sounds))


def test_index_without_folders_scans_those_of_the_library(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    cli("index", expect=2)
    assert not cli.library.exists()
    cli("index", str(sounds))
    shutil.copy(sounds / "long.wav", sounds / "longer.wav")
    assert "1 indexed, 4 unchanged" in cli("index")
    sounds.rename(tmp_path / "away")
    assert "0 indexed" in cli("index", expect=1)
    assert cli.err.count("is not there") == 1
    assert cli.json("status")["counts"]["indexed"] == 5


def test_failed_sounds_are_tried_again_when_asked_to(cli: Cli, sounds: Path) -> None:
    (sounds / "bad.wav").write_text("This is a text.")
    assert "1 failed" in cli("index", str(sounds))
    assert "0 failed" in cli("index", str(sounds))
    assert "1 failed" in cli("index", "--retry-failed")
    (failure,) = cli.json("status")["failures"]
    cli("status")
    assert f"Failed    {failure['reason']} {failure['hint']}\n" in cli.out


@posix_only
def test_similar_leaves_the_sound_out_under_another_path_too(reader: Cli, ready: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ready / "sounds")
    paths = [hit["path"] for hit in reader.json("similar", str(tmp_path / "link" / "bell.wav"))["hits"]]
    assert len(paths) == 3
    assert str(ready / "sounds" / "bell.wav") not in paths


def test_line_n_of_the_answers_is_for_line_n_of_the_captions(reader: Cli, tmp_path: Path) -> None:
    captions = ["dog", "", "rain\u0085on\u2028a\x1croof", "  ", "bell"]
    file = tmp_path / "captions.txt"
    file.write_bytes("\r\n".join(captions).encode())
    lines = reader("search", "--captions-file", str(file), "--json").splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["caption"] for answer in answers] == captions
    assert [len(answer["hits"]) for answer in answers] == [4, 0, 4, 0, 4]
    file.write_bytes(b"\n \n")
    reader("search", "--captions-file", str(file), "--json", expect=1)
    assert "no captions" in reader.err


KILLED_AFTER_A_COMMIT = """
import os, signal, sys
from engine.cli.commands import main
from engine.models.source import EncoderSource
from engine.library.sqlite.work import SqliteWorkQueue

save = SqliteWorkQueue.save_indexed
commits = 0

def save_and_die(*arguments, **named):
    global commits
    saved = save(*arguments, **named)
    commits += 1
    if commits == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return saved

if __name__ == "__main__":
    SqliteWorkQueue.save_indexed = save_and_die
    main()
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is POSIX")
def test_kill_9_keeps_all_that_was_committed(cli: Cli, tmp_path: Path, pack: str) -> None:
    sounds = 200  # a commit holds at most 80 seconds of audio
    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(sounds):
        noise = np.random.default_rng(index).standard_normal(RATE_HZ) * 0.1
        soundfile.write(folder / f"{index}.wav", noise, RATE_HZ)
    command = [sys.executable, "-c", KILLED_AFTER_A_COMMIT, "index", str(folder)]
    killed = subprocess.run(
        [*command, "--library", str(cli.library), "--pack", pack], stderr=subprocess.PIPE, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = cli.json("status")["counts"]["indexed"]
    assert 0 < kept < sounds
    assert f"{sounds - kept} indexed, {kept} unchanged" in cli("index", str(folder))
    assert cli.json("status")["counts"] == {"pending": 0, "indexed": sounds, "failed": 0, "missing": 0}


def test_a_folder_is_relinked_without_models(cli: Cli, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("index", str(sounds))
    before = {hit["path"] for hit in cli.json("search", "rain")["hits"]}
    moved = sounds.rename(sounds.with_name("elsewhere"))
    with monkeypatch.context() as patch:
        patch.setattr(EncoderSource, "start", lambda _: pytest.fail("they were loaded"))
        assert "0 indexed, 4 unchanged, 0 moved" in cli("relink", str(sounds), str(moved))
    after = {hit["path"] for hit in cli.json("search", "rain")["hits"]}
    assert after == {path.replace(str(sounds), str(moved)) for path in before}
    cli("relink", str(sounds), str(moved), expect=1)
    assert "is not a folder of the library" in cli.err


def test_verifying_finds_a_sound_that_was_replaced_in_place(cli: Cli, sounds: Path) -> None:
    cli("index", str(sounds))
    status = (sounds / "bell.wav").stat()
    soundfile.write(sounds / "bell.wav", np.random.default_rng(77).standard_normal(RATE_HZ) * 0.1, RATE_HZ)
    os.utime(sounds / "bell.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "0 indexed, 4 unchanged" in cli("index")
    assert "1 indexed" in cli("index", "--verify")


def test_a_whole_query_is_searched(reader: Cli, ready: Path, tmp_path: Path) -> None:
    like = {"path": str(ready / "sounds" / "bell.wav")}
    long = {"op": "is", "field": "duration_s", "by": ">", "value": 2.5}
    text = json.dumps({"like": [like], "where": long, "limit": 9})
    (tmp_path / "query.json").write_text(text)
    for argument in (text, f"@{tmp_path / 'query.json'}"):
        hits = reader.json("search", "--query", argument)["hits"]
        assert sorted(Path(hit["path"]).name for hit in hits) == ["door é🚪.ogg", "long.wav"]
    reader("search", "--query", "{", expect=1)
    assert "The query cannot be asked" in reader.err
    reader("search", "--query", f"@{tmp_path / 'none.json'}", expect=1)
    assert "cannot be read" in reader.err
    reader("search", "rain", "--query", text, expect=2)


def test_moved_files_are_recognised_without_models(
    cli: Cli, sounds: Path, tmp_path: Path, pack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli("index", str(sounds))
    (sounds / "sub").rename(sounds / "moved")
    bare = shutil.copytree(pack, tmp_path / "bare")
    for weights in bare.glob("*.safetensors"):
        weights.unlink()
    assert not list(bare.glob("*.safetensors"))
    assert "0 indexed, 2 unchanged, 2 moved" in Cli(cli.library, str(bare), capsys)("index")


def test_a_whole_query_has_its_own_limit(reader: Cli) -> None:
    for option in (["--limit", "3"], ["--by", "sound"]):
        reader("search", "--query", '{"words": "rain"}', *option, expect=2)
        assert option[0] in reader.err
