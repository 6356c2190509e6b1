"""Find the sound files of a folder and all folders in it."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.media.audio_file import modified_ns
from engine.media.formats import SUPPORTED_SUFFIXES

_HAS_HIDDEN_ATTRIBUTE = hasattr(os.stat_result, "st_file_attributes") or hasattr(os.stat_result, "st_flags")


@dataclass(frozen=True)
class FoundFile:
    """A file that by its name is a sound."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class ScanProblem:
    """A folder or file that could not be looked at, or a name that cannot be stored.

    ``kind`` is ``folder_missing``, ``folder_no_answer``, ``folder_no_permission``, ``folder_unreadable``,
    ``sound_io_error`` or ``name_not_unicode``. What lies under ``path`` is not known to be missing. The path of
    ``name_not_unicode`` has surrogates in it (PEP 383): do not print or store it.
    """

    path: Path
    kind: ErrorKind
    detail: str
    hint: str


def scan_folder(root: Path) -> Iterator[FoundFile | ScanProblem]:
    """Walk a folder lazily: its sounds in order of name, then its folders.

    Hidden files and folders are skipped, and what vanishes meanwhile. Links to folders are followed after all real
    folders, and no folder is entered twice, nor one that holds ``root``, so links in circles end.

    Raises:
        KnownError: For the root only: ``folder_missing`` (also at the end, when it has vanished meanwhile, as a drive
            does that is unplugged), ``not_a_folder``, ``folder_no_permission``, ``folder_unreadable`` or
            ``name_not_unicode``.
    """
    if not _is_unicode(str(root)):
        problem = _name_problem(root)
        raise KnownError(problem.kind, problem.detail, problem.hint)
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise KnownError(ErrorKind.NOT_A_FOLDER, f"{root} is not a folder.", "Choose the folder that holds it.")
        os.scandir(root).close()
        above = {_identity(folder) for folder in root.resolve().parents}
    except OSError as error:
        problem = _folder_problem(root, error)
        raise KnownError(problem.kind, problem.detail, problem.hint) from error
    return _walk(root, above)


def scan_place(place: Path) -> Iterator[FoundFile | ScanProblem]:
    """What is at a place inside a folder that is scanned: a sound, or a folder of sounds; nothing where it is gone."""
    if os.path.isdir(place):  # noqa: PTH112 (pathlib's raises where a dying drive does)
        try:
            yield from scan_folder(place)
        except KnownError as error:
            if error.kind is not ErrorKind.FOLDER_MISSING:
                yield ScanProblem(place, error.kind, error.detail, error.hint)
        return
    try:
        with os.scandir(place.parent) as listing:
            entry = next((entry for entry in listing if entry.name == place.name), None)
    except OSError as error:
        problem = _folder_problem(place.parent, error)
        if problem.kind is not ErrorKind.FOLDER_MISSING:
            yield problem
        return
    if entry is not None and not _is_hidden(entry):
        found = _found(entry)
        if found is not None:
            yield found


def missing_folder(folder: Path) -> ScanProblem:
    """What to say of a folder that is not there."""
    return ScanProblem(
        folder, ErrorKind.FOLDER_MISSING, f"{folder} is not there.", "Connect its drive, or remove it from the library."
    )


def silent_folder(folder: Path) -> ScanProblem:
    """What to say of a folder whose drive does not answer."""
    return ScanProblem(
        folder,
        ErrorKind.FOLDER_NO_ANSWER,
        f"The drive of {folder} does not answer.",
        "Check the drive, or the connection to it, then rescan.",
    )


def _walk(root: Path, visited: set[tuple[int, int]]) -> Iterator[FoundFile | ScanProblem]:
    folders, links = deque([root]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        inner: list[Path] = []
        try:
            identity = _identity(folder)
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            for entry in entries:
                if _is_hidden(entry):
                    continue
                if not _is_folder(entry):
                    found = _found(entry)
                    if found is not None:
                        yield found
                elif not _is_unicode(entry.name):
                    yield _name_problem(Path(entry.path))
                elif entry.is_symlink():
                    links.append(Path(entry.path))
                else:
                    inner.append(Path(entry.path))
        except OSError as error:
            problem = _folder_problem(folder, error)
            if problem.kind != ErrorKind.FOLDER_MISSING:
                yield problem
        folders.extendleft(reversed(inner))
    if not os.path.isdir(root):  # noqa: PTH112 (pathlib's raises where a dying drive does)
        problem = missing_folder(root)
        raise KnownError(problem.kind, problem.detail, problem.hint)


def _found(entry: os.DirEntry[str]) -> FoundFile | ScanProblem | None:
    """The sound that an entry is, or None."""
    if os.path.splitext(entry.name)[1].lower() not in SUPPORTED_SUFFIXES:  # noqa: PTH122 (ten times as fast)
        return None
    try:
        status = entry.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        if entry.is_symlink():  # to itself, or to where we may not look
            return None
        if isinstance(error, PermissionError):  # which is the folder's, for all of its files
            raise
        return _file_problem(Path(entry.path), error)
    if not stat.S_ISREG(status.st_mode):
        return None
    if not _is_unicode(entry.name):
        return _name_problem(Path(entry.path))
    return FoundFile(Path(entry.path), status.st_size, modified_ns(status))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where we may not look
        return False


def _is_hidden(entry: os.DirEntry[str]) -> bool:
    """By a dot (which also takes in macOS's ``._`` files), or by an attribute of Windows or macOS."""
    if entry.name.startswith("."):
        return True
    if not _HAS_HIDDEN_ATTRIBUTE:
        return False
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return True
    windows: int = getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_HIDDEN
    macos: int = getattr(status, "st_flags", 0) & stat.UF_HIDDEN
    return bool(windows or macos)


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _name_problem(path: Path) -> ScanProblem:
    readable = os.fsencode(path).decode(errors="replace")
    return ScanProblem(path, ErrorKind.NAME_NOT_UNICODE, f"The name of {readable} is not valid Unicode.", "Rename it.")


def _file_problem(path: Path, error: OSError) -> ScanProblem:
    return ScanProblem(
        path,
        ErrorKind.SOUND_IO_ERROR,
        f"{path} cannot be looked at: {error.strerror or error}.",
        "Check the disk or the connection to it, then rescan.",
    )


def _folder_problem(folder: Path, error: OSError) -> ScanProblem:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return missing_folder(folder)
    if isinstance(error, PermissionError):
        return ScanProblem(
            folder,
            ErrorKind.FOLDER_NO_PERMISSION,
            f"{folder} may not be read.",
            "Give yourself permission to read it, then rescan.",
        )
    reason = error.strerror or str(error)
    return ScanProblem(
        folder,
        ErrorKind.FOLDER_UNREADABLE,
        f"{folder} cannot be read: {reason}.",
        "Check the disk or the connection to it.",
    )
