"""The command line: index, remove, search, similar, status. Same engine as the desktop app, no Qt."""

from __future__ import annotations

import logging
import multiprocessing
import re
import sys
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from engine import __version__
from engine.cli import console, model_commands, pack_commands
from engine.errors import ErrorKind, KnownError
from engine.library.query import Likeness, Query, RankBy, from_json
from engine.library.types import Hit, SoundState
from engine.models.packs import Pack, find_pack, shipped_pack
from engine.paths import DEFAULT_PACK, absolute, default_library
from engine.service.opening import open_session
from engine.service.session import Session, readable_folder

app = typer.Typer(
    name="foundsound",
    help="Describe a sound, find it in your own library, hear it. Without a command, the desktop app opens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _path(value: str | Path) -> Path:
    """Takes any path but an empty one, such as an unset variable of a script leaves: that would be this folder."""
    if not str(value):
        raise typer.BadParameter("it is empty")
    return Path(value)


Library = Annotated[
    Path | None, typer.Option(parser=_path, metavar="FILE", help="Library file; the default is the desktop app's own.")
]
PackId = Annotated[str, typer.Option("--pack", help="Model pack: its name, or its folder.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Most hits to give.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        console.write(f"foundsound {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    library: Library = None,
    pack: Annotated[str | None, typer.Option("--pack", help="Model pack: its name, or its folder.")] = None,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens to stderr.")] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(message)s")
    command = context.invoked_subcommand
    assert isinstance(context.command, TyperGroup)
    assert command is not None
    taken = {parameter.name for parameter in context.command.commands[command].params}
    # As the desktop app takes them: before the command.
    given = {"library": library and str(library), "pack": pack}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in taken:
            raise typer.BadParameter(f"“{command}” has no such option", param_hint=f"--{name}")
    context.default_map = {command: given}


@app.command()
def index(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=_path,
            metavar="FOLDER",
            help="Folders of sounds; without one, all of the library.",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try the sounds again that failed before, changed or not.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Also read every file again: finds what was replaced with size and time kept."),
    ] = False,
    library: Library = None,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Add folders to the library and index what is new or changed in them."""
    readable = _readable(folders or [])
    if folders and not readable:
        raise typer.Exit(1)
    if not folders and _is_missing(library):
        raise _no_folders()
    with _session(library, pack) as session:
        catalogue = session.library.catalogue
        ids = [session.add_folder(folder) for folder in readable] or [
            folder.folder_id for folder in catalogue.folders()
        ]
        if not ids:
            raise _no_folders()
        if retry_failed:
            catalogue.retry_failed()
        if verify:
            catalogue.verify_all()
        session.indexer.begin(ids)
        all_scanned = _run(session, {folder.path for folder in catalogue.folders() if folder.folder_id in ids})
    if not all_scanned or len(readable) < len(folders or []):
        raise typer.Exit(1)


def _run(session: Session, roots: Set[Path]) -> bool:
    """Let an indexing run go to its end and tell of it; whether all of these folders could be scanned."""
    if not console.run_with_progress(session.indexer):
        console.note_stopped(session.indexer.summary)
        raise typer.Exit(130)
    for problem in session.problems:
        console.note(f"warning: {problem.detail} {problem.hint}")
    summary = session.indexer.summary
    if summary.failed:
        console.note("See “foundsound status” for the reasons.")
    if summary.elsewhere:
        console.note(f"{summary.elsewhere} more are being indexed by another Foundsound.")
    console.write_summary(summary)
    return roots.isdisjoint(problem.path for problem in session.problems)


@app.command()
def relink(
    old: Annotated[Path, typer.Argument(parser=_path, metavar="OLD", help="A folder of the library.")],
    new: Annotated[Path, typer.Argument(parser=_path, metavar="NEW", help="Where it lies now.")],
    library: Library = None,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Say that a folder of the library now lies elsewhere, with all that is in it; then look there for changes."""
    _require_library(library)
    with _session(library, pack) as session:
        folder = session.folder(old)
        session.relink_folder(folder.folder_id, new)
        all_scanned = _run(session, {absolute(new)})
    if not all_scanned:
        raise typer.Exit(1)


@app.command()
def remove(
    folders: Annotated[
        list[Path], typer.Argument(parser=_path, metavar="FOLDER", help="Folders of the library.", show_default=False)
    ],
    library: Library = None,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Take folders and their sounds out of the library. The files stay; adding a folder again brings all back."""
    _require_library(library)
    with _session(library, pack) as session:
        wanted = [session.folder(folder) for folder in dict.fromkeys(absolute(folder) for folder in folders)]
        for folder in wanted:
            session.remove_folder(folder.folder_id)
            console.write(f"Removed {folder.path} ({folder.sounds} sounds); its files are where they were.")


@app.command()
def search(
    context: typer.Context,
    caption: Annotated[str | None, typer.Argument(help="What the sound is like.", show_default=False)] = None,
    captions_file: Annotated[
        Path | None,
        typer.Option(
            parser=_path,
            metavar="FILE",
            help="A text file with one caption a line; prints one JSON object a line, in the same order.",
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="JSON", help="A query in JSON, or @FILE with one; see docs/query.md."),
    ] = None,
    library: Library = None,
    limit: Limit = 10,
    as_json: AsJson = False,
    by: Annotated[RankBy, typer.Option(help="Rank by the audio alone.")] = RankBy.SOUND,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Rank the library's sounds by a caption, or by a whole query."""
    if [caption, captions_file, query].count(None) != 2:
        raise typer.BadParameter("give either CAPTION, --captions-file FILE or --query JSON")
    if captions_file is not None and not as_json:
        raise typer.BadParameter("--captions-file prints JSON lines: add --json")
    if query is not None:
        for name in ("limit", "by"):
            source = context.get_parameter_source(name)
            if source is not None and source.name != "DEFAULT":
                raise typer.BadParameter("a query has its own: write it there", param_hint=f"--{name}")
        whole = _read_query(query)
        asked = [(whole.words, whole)]
    else:
        captions = [caption] if caption is not None else _read_captions(captions_file)
        asked = [(text, Query(text, by=by, limit=limit)) for text in captions]
    with _session(library, pack, read_only=True) as session:
        found = False
        for text, hits in _answers(session, asked):
            found = found or bool(hits)
            if as_json:
                console.write_json({"caption": text, "hits": console.hits_json(hits)})
            else:
                console.write_hits(hits)
        if not found:
            console.note(_why_nothing(session))


@app.command()
def similar(
    sound: Annotated[
        Path,
        typer.Argument(parser=_path, metavar="SOUND", help="A sound file, in the library or not.", show_default=False),
    ],
    library: Library = None,
    limit: Limit = 10,
    as_json: AsJson = False,
    pack: PackId = DEFAULT_PACK,
) -> None:
    """Rank the library's sounds by likeness to a sound."""
    with _session(library, pack, read_only=True) as session:
        hits = session.find(Query(like=(Likeness(path=sound),), limit=limit))
        if not hits:
            console.note(_why_nothing(session))
    if as_json:
        console.write_json({"sound": str(sound), "hits": console.hits_json(hits)})
    else:
        console.write_hits(hits)


@app.command()
def status(library: Library = None, as_json: AsJson = False, pack: PackId = DEFAULT_PACK) -> None:
    """Show what the library holds, and what could not be indexed and why."""
    with _session(library, pack, read_only=True) as session:
        catalogue = session.library.catalogue
        state, folders, failures = catalogue.status(), catalogue.folders(), catalogue.failures(limit=100_000)
        try:
            session.require_this_pack()
        except KnownError as error:
            console.note(f"warning: {error}")
    if as_json:
        console.write_json(console.status_json(state, folders, failures))
    else:
        console.write_status(state, folders, failures)


model_commands.add_to(app)
app.add_typer(pack_commands.packs)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits 0 when done, 1 on a KnownError (one line on stderr), 2 on wrong usage, 130 when
    Ctrl+C ended it."""
    multiprocessing.freeze_support()
    console.prepare_streams()
    try:
        absolute(Path())  # without a folder to run in, PyTorch ends the process
        app(args=arguments)
    except KnownError as error:
        _fail(error)
    except OSError as error:
        known = console.known_error(error)
        if known is None:
            raise
        _fail(known)


def _fail(error: KnownError) -> None:
    console.note(f"foundsound: {error}")
    sys.exit(1)


@contextmanager
def _session(library: Path | None, pack: str, read_only: bool = False) -> Iterator[Session]:
    try:
        session = open_session(library or default_library(), _pack(pack), read_only=read_only)
    except KnownError as error:
        if error.kind != ErrorKind.LIBRARY_MISSING:
            raise
        raise KnownError(error.kind, error.detail, "Run “foundsound index FOLDER” first.") from error
    try:
        if session.library.catalogue.notice is not None:
            console.note(f"warning: {session.library.catalogue.notice}")
        yield session
    finally:
        session.close()


def _pack(pack_id: str) -> Pack:
    """The pack asked for; where it cannot be known whether the user chose one, the shipped one, with a warning."""
    try:
        return find_pack(pack_id)
    except KnownError as error:
        if error.kind != ErrorKind.PACK_CHOICE_UNREADABLE:
            raise
        console.note(f"warning: {error.detail} The shipped pack is used.")
        return shipped_pack()


def _readable(folders: Sequence[Path]) -> list[Path]:
    """Those that can be scanned; of each of the others, a line says why it cannot."""
    readable = []
    for folder in folders:
        try:
            readable.append(readable_folder(folder))
        except KnownError as error:
            console.note(f"foundsound: {error}")
    return readable


def _require_library(library: Path | None) -> None:
    if _is_missing(library):
        raise KnownError(ErrorKind.LIBRARY_MISSING, "There is no library yet.", "Run “foundsound index FOLDER” first.")


def _is_missing(library: Path | None) -> bool:
    """Whether there is certainly no library yet: what cannot be reached is for opening it to tell."""
    try:
        absolute(library or default_library()).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _no_folders() -> typer.BadParameter:
    return typer.BadParameter("the library has no folders yet, so name at least one", param_hint="FOLDER")


def _answers(session: Session, asked: Sequence[tuple[str, Query]]) -> Iterator[tuple[str, tuple[Hit, ...]]]:
    """Each caption with its hits, as soon as they are found; the blank ones among several have none."""
    several = len(asked) > 1
    found = session.find_all([query for text, query in asked if text.strip() or not several])
    for text, _ in asked:
        yield text, next(found) if text.strip() or not several else ()


def _why_nothing(session: Session) -> str:
    """What to say when nothing was found."""
    counts = session.library.catalogue.status().counts
    if counts[SoundState.INDEXED]:
        return "There is no other sound in the library."
    if counts[SoundState.PENDING]:
        return f"Nothing is indexed yet, and {counts[SoundState.PENDING]} wait for it: run “foundsound index”."
    if counts[SoundState.FAILED]:
        return f"None of {counts[SoundState.FAILED]} could be indexed; see “foundsound status” for the reasons."
    return "Nothing is indexed yet: run “foundsound index FOLDER”."


def _read_query(text: str) -> Query:
    """The query in a text, or in the file that it names after “@”."""
    if not text.startswith("@"):
        return from_json(text)
    try:
        return from_json(absolute(Path(text[1:])).read_bytes())
    except OSError as error:
        raise KnownError(
            ErrorKind.QUERY_INVALID, f"The query file {text[1:]} cannot be read: {error.strerror}.", "Check its path."
        ) from error


def _read_captions(path: Path | None) -> list[str]:
    """The lines of a file, the blank ones too, so that the answer to line n is on line n."""
    assert path is not None
    try:
        text = absolute(path).read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KnownError(
            ErrorKind.CAPTIONS_UNREADABLE,
            f"The captions file {path} cannot be read: {error}.",
            "Give a UTF-8 text file.",
        ) from error
    if not text.strip():
        raise KnownError(
            ErrorKind.CAPTIONS_EMPTY, f"The captions file {path} has no captions.", "Write one caption a line."
        )
    lines = re.split("\r?\n", text)
    return lines[:-1] if not lines[-1] else lines


if __name__ == "__main__":
    main()
