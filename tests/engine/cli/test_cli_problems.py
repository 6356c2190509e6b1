"""What the command line does where something is wrong: the rest goes on, and a line says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.cli import console
from engine.cli.commands import main
from engine.errors import KnownError
from engine.indexing.indexer import Indexer
from engine.library.types import IndexPhase
from engine.models.source import EncoderSource
from tests.engine.command_line import RATE_HZ, Cli, posix_only
from tests.tiny_pack import make_pack
from tests.unprivileged import needs_permissions, open_folder, run_unprivileged


def test_a_bad_file_is_reported_and_the_rest_goes_on(cli: Cli, sounds: Path) -> None:
    (sounds / "bad.wav").write_text("This is a text.")
    (sounds / "empty.mp3").touch()
    out = cli("index", str(sounds))
    assert "4 indexed" in out
    assert "2 failed" in out
    failures = {Path(item["path"]).name: item for item in cli.json("status")["failures"]}
    assert failures["bad.wav"]["kind"] == "sound_unreadable"
    assert failures["empty.mp3"]["kind"] == "sound_empty"
    assert all(item["reason"] and item["hint"] for item in failures.values())
    shutil.copy(sounds / "bell.wav", sounds / "bad.wav")
    cli("index", str(sounds))
    assert [Path(item["path"]).name for item in cli.json("status")["failures"]] == ["empty.mp3"]


def test_samples_that_are_no_numbers_fail_their_file_and_no_other(cli: Cli, sounds: Path) -> None:
    for name, bad in (("nan.wav", np.nan), ("infinite.wav", np.inf)):
        soundfile.write(sounds / name, np.full(RATE_HZ, bad), RATE_HZ, subtype="FLOAT")
    partly = np.random.default_rng(7).standard_normal(RATE_HZ) * 0.1
    partly[RATE_HZ // 2 :] = np.nan
    soundfile.write(sounds / "partly.wav", partly, RATE_HZ, subtype="FLOAT")
    assert "5 indexed" in cli("index", str(sounds))
    assert "2 failed" in cli.out
    assert cli("status").count("is damaged: it has values that are no numbers") == 2
    assert "partly.wav" in cli("search", "rain")


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", "a", "--captions-file", "f"],
        ["search", "--captions-file", "f"],
        ["search", "a", "--limit", "0"],
        ["search", "a", "--by", "name"],
        ["index"],
        ["index", ""],
        ["similar", ""],
        ["nonsense"],
    ],
)
def test_wrong_usage_exits_2(cli: Cli, arguments: list[str]) -> None:
    cli(*arguments, expect=2)


@pytest.mark.parametrize(
    ("option", "command"),
    [
        ("--pack", ["packs", "verify"]),
        ("--library", ["packs", "list"]),
        ("--library", ["train", "--config", "x.json"]),
        ("--pack", ["distil", "--config", "x.json"]),
        ("--library", ["evaluate", "--audio", "x", "--captions", "x.csv"]),
    ],
)
def test_an_option_that_a_command_has_no_use_for_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], option: str, command: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([option, "mine", *command])
    assert caught.value.code == 2
    assert option in capsys.readouterr().err


def test_known_errors_are_one_line_and_exit_1(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    cli("search", "a dog", expect=1)
    assert cli.err.count("\n") == 1
    assert "foundsound index" in cli.err
    cli("index", str(tmp_path / "nowhere"), expect=1)
    assert "nowhere" in cli.err
    cli("index", str(sounds / "bell.wav"), expect=1)
    assert "not a folder" in cli.err
    cli("index", str(sounds))
    for caption in ("", "   \n"):
        cli("search", caption, expect=1)
        assert "empty" in cli.err
    cli("search", "--captions-file", str(tmp_path / "none.txt"), "--json", expect=1)
    cli("similar", str(tmp_path / "none.wav"), expect=1)
    assert "none.wav" in cli.err
    assert "Traceback" not in cli.err


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["search", ""], "caption is empty"),
        (["search", "  \n"], "caption is empty"),
        (["search", "dog \udcff"], "not valid text"),
        (["similar", "bell.wav"], "There is no sound file"),
        (["similar", "text.wav"], "not a sound"),
        (["similar", "."], "is not a file"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_models_load(
    reader: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], mention: str
) -> None:
    monkeypatch.setattr(EncoderSource, "start", lambda _: pytest.fail("they were loaded"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.wav").write_text("This is a text.")
    reader(*arguments, expect=1)
    assert mention in reader.err
    assert reader.err.count("\n") == 1


def test_a_sound_in_the_library_needs_no_models_to_be_compared(
    reader: Cli, ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EncoderSource, "start", lambda _: pytest.fail("they were loaded"))
    assert len(reader("similar", str(ready / "sounds" / "bell.wav")).splitlines()) == 3


def test_a_mistyped_sound_is_told_from_one_that_has_vanished(cli: Cli, sounds: Path) -> None:
    cli("index", str(sounds))
    cli("similar", str(sounds / "bel.wav"), expect=1)
    assert (
        cli.err == f"foundsound: There is no sound file {sounds / 'bel.wav'}. Check the name, or connect its drive.\n"
    )
    (sounds / "bell.wav").unlink()
    cli("index")
    cli("similar", str(sounds / "bell.wav"), expect=1)
    assert "bell.wav is not there any more. Rescan its folder" in cli.err


def test_an_unknown_pack_names_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["index", str(tmp_path), "--library", str(tmp_path / "l"), "--pack", "nonsense"])
    assert caught.value.code == 1
    assert "sfx-cnn10" in capsys.readouterr().err


def test_a_bad_folder_does_not_stop_the_good_ones(cli: Cli, sounds: Path, tmp_path: Path) -> None:
    out = cli("index", str(tmp_path / "nope"), str(sounds), str(sounds / "bell.wav"), "~no such user/x", expect=1)
    assert "4 indexed" in out
    problems = cli.err.splitlines()
    assert [line.startswith("foundsound: ") for line in problems] == [True] * 3
    assert "no folder" in problems[0]
    assert "is not a folder" in problems[1]
    assert "~no such user" in problems[2]


def test_where_every_folder_is_bad_no_library_is_made(cli: Cli, tmp_path: Path) -> None:
    assert cli("index", str(tmp_path / "nope"), expect=1) == ""
    assert not cli.library.exists()


def test_a_folder_that_vanishes_while_indexing_is_a_warning_and_its_sounds_wait(
    cli: Cli, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Indexer.step

    def step_without_the_folder(indexer: Indexer) -> bool:
        if indexer.progress.phase is IndexPhase.INDEXING and sounds.exists():
            sounds.rename(tmp_path / "away")
        return step(indexer)

    monkeypatch.setattr(Indexer, "step", step_without_the_folder)
    assert "0 indexed" in cli("index", str(sounds), expect=1)
    assert cli.err.count(f"{sounds} is not there") == 1
    assert cli.json("status")["counts"] == {"pending": 4, "indexed": 0, "failed": 0, "missing": 0}
    assert cli.json("search", "rain")["hits"] == []
    assert "4 wait" in cli.err


def test_an_interrupt_keeps_what_is_indexed(cli: Cli, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):  # more than one step of work
        noise = np.random.default_rng(seed).standard_normal(RATE_HZ * 50) * 0.1
        soundfile.write(sounds / f"longer {seed}.wav", noise, RATE_HZ)
    step = Indexer.step

    def interrupted_step(indexer: Indexer) -> bool:
        running = step(indexer)
        if indexer.summary.indexed:
            signal.raise_signal(signal.SIGINT)
        return running

    with monkeypatch.context() as patch:
        patch.setattr(Indexer, "step", interrupted_step)
        assert cli("index", str(sounds), expect=130) == ""
    told = cli.err
    kept = cli.json("status")["counts"]["indexed"]
    assert 0 < kept < 7
    assert told.startswith(f"Stopped. {kept} sound")
    cli("index", str(sounds))
    assert f"{7 - kept} indexed" in cli.out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_told_in_one_line(cli: Cli, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(indexer: Indexer) -> bool:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one was not felt")

    monkeypatch.setattr(Indexer, "step", impatient)
    cli("index", str(sounds), expect=130)
    assert cli.err == "Stopped. 0 sounds were indexed and are kept; run the same command again to go on.\n"


def test_sounds_indexed_with_another_model_are_not_passed_over(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Cli(ready / "library", str(make_pack(tmp_path / "packs", "other", seed=3).folder), capsys)
    for command in (["search", "rain"], ["search", "rain", "--json"], ["similar", str(ready / "sounds" / "bell.wav")]):
        assert other(*command, expect=1) == ""
        assert other.err.count("\n") == 1
        assert "another model" in other.err
        assert "foundsound index" in other.err
    other("status")
    assert "another model" in other.err


def test_nothing_found_says_why(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    cli("index", str(folder))
    assert cli("search", "rain") == ""
    assert "run “foundsound index FOLDER”" in cli.err
    (folder / "bad.wav").write_text("This is a text.")
    cli("index")
    cli("search", "rain")
    assert "foundsound status" in cli.err
    soundfile.write(folder / "bell.wav", np.random.default_rng(0).standard_normal(RATE_HZ) * 0.1, RATE_HZ)
    cli("index")
    assert cli("similar", str(folder / "bell.wav")) == ""
    assert cli.err == "There is no other sound in the library.\n"


def test_a_caption_that_is_not_text_is_a_known_error(reader: Cli) -> None:
    reader("search", "dog \udcff\udcfe", expect=1)
    assert "not valid text" in reader.err
    assert reader.err.count("\n") == 1


@pytest.mark.parametrize("command", [["status"], ["similar", "x.wav"], ["index", "."]])
def test_a_home_that_nobody_has(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--library", "~no such user/x"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("foundsound: There is no home folder for ~no such user.")


@posix_only
def test_a_working_folder_that_is_gone(cli: Cli, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    cli("index", ".", expect=1)
    assert cli.err.count("\n") == 1
    assert "Change to another folder" in cli.err


@posix_only
def test_names_and_messages_stay_on_their_line(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    name = "two\nlines \x1b[31m\u2028é🚪.wav"
    soundfile.write(folder / name, np.random.default_rng(0).standard_normal(RATE_HZ) * 0.1, RATE_HZ)
    cli("index", str(folder))
    assert cli("search", "rain").splitlines() == [cli.out.rstrip("\n")]
    assert cli.out.endswith("two\\nlines \\u001b[31m\\u2028é🚪.wav\n")
    assert cli.json("search", "rain")["hits"][0]["path"] == str(folder / name)
    cli("index", str(tmp_path / "no\nfolder"), expect=1)
    assert cli.err.count("\n") == 1


@needs_permissions
def test_what_may_not_be_read_is_said_to_be_so(pack: str) -> None:
    imports = """
from engine.cli.commands import main
try:
    main(["status", "--library", "none"])  # imports all it needs
except SystemExit:
    pass
"""
    code = """
sys.stderr = sys.stdout
root, pack = sys.argv[1:]
def run(*arguments):
    try:
        main([*arguments, "--pack", pack])
    except SystemExit as ended:
        print(ended.code)
run("index", root + "/closed", "--library", root + "/l")
run("index", root + "/closed/inner", "--library", root + "/l")
run("status", "--library", root + "/closed/l")
run("search", "dog", "--library", root + "/closed/l")
run("search", "--captions-file", root + "/closed/captions.txt", "--json")
"""
    with open_folder() as root:
        shutil.copytree(pack, root / "pack")
        (root / "closed" / "inner").mkdir(parents=True)
        (root / "closed" / "l").touch()
        (root / "closed" / "captions.txt").write_text("dog\n")
        (root / "closed").chmod(0)
        try:
            lines = run_unprivileged(imports, code, root, root / "pack")
        finally:
            (root / "closed").chmod(0o755)
    assert lines[1::2] == ["1"] * 5
    assert len(lines) == 10
    assert all("may not be read" in line or "ermission" in line for line in lines[::2])


def test_an_error_of_the_system_that_is_no_bug(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("engine.cli.commands.find_pack", fail)
    cli("status", expect=1)
    assert "raise the limit on them" in cli.err


def test_a_bug_adds_nothing_to_the_output(
    reader: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr("engine.cli.commands.find_pack", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        main(["status", "--json", "--library", str(reader.library)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("system", "number", "ended_by"),
    [("posix", errno.EPIPE, SystemExit), ("nt", errno.EINVAL, SystemExit), ("posix", errno.EINVAL, KnownError)],
)
def test_what_a_failure_to_write_means(
    monkeypatch: pytest.MonkeyPatch, system: str, number: int, ended_by: type[BaseException]
) -> None:
    def fail(line: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(console, "_discard_output", lambda: None)
    monkeypatch.setattr(console, "os", SimpleNamespace(name=system))
    monkeypatch.setattr("typer.echo", fail)
    with pytest.raises(ended_by) as caught:
        console.write("a line")
    if isinstance(caught.value, KnownError):
        assert caught.value.kind == "output_unwritable"
    else:
        assert isinstance(caught.value, SystemExit)
        assert caught.value.code == 0


def _run(stdout: Any, option: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "engine", option]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@posix_only
def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = _run(writer, "--version")
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize(
    ("option", "told"), [("--version", "The output cannot be written: No space"), ("--help", "No space")]
)
def test_output_that_cannot_be_written_is_a_known_error(option: str, told: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = _run(full, option)
    assert done.returncode == 1
    assert done.stderr.startswith("foundsound: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


@posix_only
def test_closed_standard_streams_do_no_harm() -> None:
    command = f"'{sys.executable}' -m engine --version >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
