"""The command line: index, search, similar, status. Same engine as the desktop app, no Qt."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import __version__
from engine.errors import KnownError
from engine.messages import Hit, IndexPhase, IndexProgress, IndexSummary
from engine.packs import find_pack
from engine.paths import DEFAULT_PACK, default_library
from engine.session import Session

app = typer.Typer(
    name="foundsound",
    help="Describe a sound, find it in your own library, hear it. Without a command, the desktop app opens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Library = Annotated[Path | None, typer.Option(help="Library file; the default is the desktop app's own.")]
PackId = Annotated[str, typer.Option("--pack", help="Model pack: its name, or its folder.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Most hits to give.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class RankBy(StrEnum):
    """What search ranks by: ``sound`` is the audio alone, never the file name."""

    SOUND = "sound"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"foundsound {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens to stderr.")] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(message)s")


@app.command()
def index(
    folders: Annotated[list[Path], typer.Argument(help="Folders of sounds.", show_default=False)],
    library: Library = None,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Add folders to the library and index what is new or changed in them."""
    with _session(library, pack) as session:
        session.indexer.begin([session.add_folder(folder) for folder in folders])
        summary = _run_with_progress(session)
        for problem in session.problems:
            typer.echo(f"warning: {problem.detail} {problem.hint}", err=True)
        if summary.failed:
            typer.echo("See “foundsound status” for the reasons.", err=True)
        _print_summary(summary)


@app.command()
def search(
    caption: Annotated[str | None, typer.Argument(help="What the sound is like.", show_default=False)] = None,
    captions_file: Annotated[
        Path | None, typer.Option(help="A text file with one caption a line; prints one JSON object a line.")
    ] = None,
    library: Library = None,
    limit: Limit = 10,
    as_json: AsJson = False,
    by: Annotated[RankBy, typer.Option(help="Rank by the audio alone.")] = RankBy.SOUND,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Rank the library's sounds by a caption."""
    assert by is RankBy.SOUND
    if (caption is None) == (captions_file is None):
        raise typer.BadParameter("give either CAPTION or --captions-file FILE")
    if captions_file is not None and not as_json:
        raise typer.BadParameter("--captions-file prints JSON lines: add --json")
    captions = [caption] if caption is not None else _read_captions(captions_file)
    with _session(library, pack, read_only=True) as session:
        from engine.search import by_captions

        results = by_captions(session.store, session.encoder(), captions, limit)
    for text, hits in zip(captions, results, strict=True):
        if as_json:
            typer.echo(_json({"caption": text, "hits": [_hit(hit) for hit in hits]}))
        else:
            _print_hits(hits)


@app.command()
def similar(
    sound: Annotated[Path, typer.Argument(help="A sound file, in the library or not.", show_default=False)],
    library: Library = None,
    limit: Limit = 10,
    as_json: AsJson = False,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Rank the library's sounds by likeness to a sound."""
    with _session(library, pack, read_only=True) as session:
        hits = session.similar(sound, limit)
    if as_json:
        typer.echo(_json({"sound": str(sound), "hits": [_hit(hit) for hit in hits]}))
    else:
        _print_hits(hits)


@app.command()
def status(library: Library = None, as_json: AsJson = False, pack: PackId = DEFAULT_PACK) -> None:
    """Show what the library holds, and what could not be indexed and why."""
    with _session(library, pack, read_only=True) as session:
        state = session.store.status()
        folders = session.store.folders()
        failures = session.store.failures(limit=100_000)
    if as_json:
        values = {
            "library": str(state.library),
            "pack": state.pack_id,
            "pack_hash": state.pack_hash,
            "size_bytes": state.size_bytes,
            "segments": state.segments,
            "counts": {name.value: count for name, count in state.counts.items()},
            "folders": [{"path": str(folder.path), "sounds": folder.sounds} for folder in folders],
            "failures": [
                {"path": str(item.path), "kind": item.kind, "reason": item.detail, "hint": item.hint}
                for item in failures
            ],
        }
        typer.echo(_json(values))
        return
    typer.echo(f"Library   {state.library} ({state.size_bytes / 1e6:.1f} MB)")
    typer.echo(f"Pack      {state.pack_id} ({state.pack_hash[:12]})")
    typer.echo("Sounds    " + ", ".join(f"{count} {name.value}" for name, count in state.counts.items()))
    typer.echo(f"Segments  {state.segments}")
    for folder in folders:
        typer.echo(f"Folder    {folder.path} ({folder.sounds} sounds)")
    for failure in failures:
        typer.echo(f"Failed    {failure.detail}")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits 0 when done, 1 on a KnownError (one line on stderr), 2 on wrong usage."""
    multiprocessing.freeze_support()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app(args=arguments)
    except KnownError as error:
        typer.echo(f"foundsound: {error}", err=True)
        sys.exit(1)


@contextmanager
def _session(library: Path | None, pack: str, read_only: bool = False) -> Iterator[Session]:
    path = library or default_library()
    if read_only and not os.path.lexists(path):
        raise KnownError("library_missing", f"There is no library at {path}.", "Run “foundsound index FOLDER” first.")
    session = Session(path, find_pack(pack), read_only=read_only)
    try:
        yield session
    finally:
        session.close()


def _run_with_progress(session: Session) -> IndexSummary:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Scanning", total=None, speed="")
        while session.indexer.step():
            _show(session.indexer.progress, lambda **values: bar.update(task, **values))
    return session.indexer.summary


def _show(progress: IndexProgress, update: Callable[..., Any]) -> None:
    if progress.phase is IndexPhase.SCANNING:
        update(description=f"Scanning, {progress.found} found", total=None)
    else:
        speed = f"{progress.speed_x:.0f}x real time" if progress.speed_x else "loading the model"
        update(description="Indexing", completed=progress.done, total=progress.total, speed=speed)


def _print_summary(summary: IndexSummary) -> None:
    typer.echo(
        f"{summary.indexed} indexed, {summary.unchanged} unchanged, {summary.moved} moved, {summary.failed} failed"
        + (f", {summary.missing} missing" if summary.missing else "")
        + f" ({summary.audio_s / 60:.1f} min of audio in {summary.elapsed_s:.1f} s)"
    )


def _read_captions(path: Path | None) -> list[str]:
    assert path is not None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(
            "captions_unreadable", f"The captions file {path} cannot be read: {error}.", "Give a UTF-8 text file."
        ) from error
    captions = [line for line in lines if line.strip()]
    if not captions:
        raise KnownError("captions_empty", f"The captions file {path} has no captions.", "Write one caption a line.")
    return captions


def _hit(hit: Hit) -> dict[str, object]:
    return {
        "rank": hit.rank,
        "path": str(hit.path),
        "score": round(hit.score, 6),
        "start_s": round(hit.start_s, 3),
        "end_s": round(hit.end_s, 3),
    }


def _print_hits(hits: tuple[Hit, ...]) -> None:
    if not hits:
        typer.echo("Nothing is indexed yet.", err=True)
    for hit in hits:
        typer.echo(f"{hit.rank:3}  {hit.score:6.3f}  {hit.start_s:7.1f}–{hit.end_s:.1f} s  {hit.path}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
