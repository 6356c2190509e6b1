"""What the command line prints: answers on stdout, as text or JSON; all else, a line each, on stderr."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import typer

from engine.errors import ErrorKind, KnownError
from engine.indexing.indexer import Indexer
from engine.library.types import Failure, Folder, Hit, IndexPhase, IndexProgress, IndexSummary, LibraryStatus

# Control characters, other ends of lines, and halves of characters, which stand for bytes that are not text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def prepare_streams() -> None:
    """Make stdout and stderr UTF-8, and put nothing in the place of those that are closed.

    Else files opened later would become the standard streams, and get what others print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as this process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def write(line: str) -> None:
    """Print a line of the answer; what would break it in two or upset a terminal is escaped, as JSON does it."""
    try:
        typer.echo(_escaped(line))
    except OSError as error:
        _discard_output()
        if _reader_left(error):  # such as head, which has all it wanted
            sys.exit(0)
        raise _unwritable(error) from error


def note(line: str) -> None:
    """Print a line on stderr."""
    with suppress(OSError):  # there is nobody else to tell
        typer.echo(_escaped(line), err=True)


def known_error(error: OSError) -> KnownError | None:
    """What to say of an error of the system that can come up anywhere; None for those that are bugs."""
    unwritten = _flush()  # what Typer prints itself may wait there still, if it could not be written
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return KnownError(
            ErrorKind.TOO_MANY_OPEN_FILES, f"{_reason(error)}.", "Close other programs, or raise the limit on them."
        )
    if unwritten is not None:
        return _unwritable(unwritten)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return KnownError(
            ErrorKind.NO_ROOM, f"{_reason(error)}.", "Make room on the disk, or write the output somewhere else."
        )
    return None


def _flush() -> OSError | None:
    """Write what waits for stdout; what cannot be written is given up, so that Python does not try again at its end."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard_output()
        return error
    return None


def write_json(value: object) -> None:
    """Print a value as one line of JSON."""
    write(json.dumps(value, ensure_ascii=False))


def hits_json(hits: Sequence[Hit]) -> list[dict[str, object]]:
    """Hits as JSON has them."""
    return [
        {
            "rank": hit.rank,
            "path": str(hit.path),
            "score": round(hit.score, 6),
            "start_s": round(hit.start_s, 3),
            "end_s": round(hit.end_s, 3),
        }
        for hit in hits
    ]


def write_hits(hits: Sequence[Hit]) -> None:
    """Print hits as text."""
    for hit in hits:
        write(f"{hit.rank:3}  {hit.score:6.3f}  {hit.start_s:7.1f}–{hit.end_s:.1f} s  {hit.path}")


def status_json(status: LibraryStatus, folders: Sequence[Folder], failures: Sequence[Failure]) -> dict[str, object]:
    """The state of a library as JSON has it."""
    return {
        "library": str(status.library),
        "pack": status.pack_id,
        "pack_hash": status.pack_hash,
        "size_bytes": status.size_bytes,
        "segments": status.segments,
        "counts": {name.value: count for name, count in status.counts.items()},
        "folders": [{"path": str(folder.path), "sounds": folder.sounds} for folder in folders],
        "failures": [
            {"path": str(item.path), "kind": item.kind, "reason": item.detail, "hint": item.hint} for item in failures
        ],
    }


def write_status(status: LibraryStatus, folders: Sequence[Folder], failures: Sequence[Failure]) -> None:
    """Print the state of a library as text."""
    write(f"Library   {status.library} ({status.size_bytes / 1e6:.1f} MB)")
    write(f"Pack      {status.pack_id} ({status.pack_hash[:12]})")
    write("Sounds    " + ", ".join(f"{count} {name.value}" for name, count in status.counts.items()))
    write(f"Segments  {status.segments}")
    for folder in folders:
        away = "" if folder.available else ", not available now"
        write(f"Folder    {folder.path} ({_counted(folder.sounds, 'sound')}{away})")
    for failure in failures:
        write(f"Failed    {failure.detail} {failure.hint}".rstrip())


def write_summary(summary: IndexSummary) -> None:
    """Print what a run of indexing did."""
    write(
        f"{summary.indexed} indexed, {summary.unchanged} unchanged, {summary.moved} moved, {summary.failed} failed"
        + (f", {summary.missing} missing" if summary.missing else "")
        + f" ({summary.audio_s / 60:.1f} min of audio in {summary.elapsed_s:.1f} s)"
    )


def note_stopped(summary: IndexSummary) -> None:
    """Tell that a run of indexing was ended by Ctrl+C."""
    kept = f"{_counted(summary.indexed, 'sound')} {'was' if summary.indexed == 1 else 'were'} indexed"
    note(f"Stopped. {kept} and {'is' if summary.indexed == 1 else 'are'} kept; run the same command again to go on.")


def run_with_progress(indexer: Indexer) -> bool:
    """Run an indexer with a progress bar on stderr; False when Ctrl+C ended it.

    The first Ctrl+C lets the present step end, which may be loading the models; a second one does not wait.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    try:
        terminal = Console(stderr=True)
        with (
            _first_interrupt() as interrupted,
            Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as bar,
        ):
            task = bar.add_task("Scanning", total=None, speed="")
            while not interrupted():
                if not indexer.step():
                    return True
                description, completed, total, speed = _shown(indexer.progress)
                bar.update(task, description=description, completed=completed, total=total, speed=speed)
    except KeyboardInterrupt:
        pass
    return False


@contextmanager
def _first_interrupt() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether Ctrl+C was pressed; from the second time on it raises KeyboardInterrupt."""
    pressed = False

    def take(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # and not ignored, as in the background of a script
        signal.signal(signal.SIGINT, take)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _shown(progress: IndexProgress) -> tuple[str, int, int | None, str]:
    """What the progress bar says: description, sounds done, of how many, speed."""
    if progress.phase is IndexPhase.SCANNING:
        return f"Scanning, {progress.found} found", 0, None, ""
    speed = f"{progress.speed_x:.0f}x real time" if progress.speed_x else ""
    return "Indexing", progress.done, progress.total, speed


def _reader_left(error: OSError) -> bool:
    """Whether nobody reads the output any more; Windows calls that an invalid argument."""
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)


def _unwritable(error: OSError) -> KnownError:
    return KnownError(
        ErrorKind.OUTPUT_UNWRITABLE, f"The output cannot be written: {_reason(error)}.", "Write it somewhere else."
    )


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _escaped(line: str) -> str:
    return _UNPRINTABLE.sub(lambda found: _SHORT_ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}"), line)


def _discard_output() -> None:
    """Drop what stdout cannot get rid of: the interpreter would try once more when it ends, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
