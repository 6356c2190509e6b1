"""What goes wrong with a library file, in words that a user can act on."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from engine.errors import ErrorKind, KnownError
from engine.library.sqlite.migrations import TABLES

_LITTLE_SPACE_BYTES = 1 << 20


def as_known(path: Path, error: sqlite3.Error) -> KnownError | None:
    """What an error of SQLite means to the user; None for a bug."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return vanished(path)
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return KnownError(
                ErrorKind.LIBRARY_LOCKED,
                f"{path} is in use by another process.",
                "Wait until the other Foundsound has finished, or close it, and try again.",
            )
        case sqlite3.SQLITE_FULL:
            return disk_full(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return corrupt(path, str(error))
        case sqlite3.SQLITE_READONLY:
            return read_only(path)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return disk_full(path) if _disk_is_full(path) else unwritable(path, error)
        case sqlite3.SQLITE_IOERR:
            if _disk_is_full(path):
                return disk_full(path)
            return KnownError(
                ErrorKind.LIBRARY_IO_ERROR,
                f"{path} could not be read or written ({error}).",
                "Check that its disk is connected and healthy, and start Foundsound again.",
            )
        case sqlite3.SQLITE_ERROR if _lacks_table(error):
            return corrupt(path, str(error))
        case _:
            return None


def _lacks_table(error: sqlite3.Error) -> bool:
    """Whether the file has lost one of its tables: any other error in a statement is a bug."""
    before, _, name = str(error).rpartition(" ")
    return before == "no such table:" and name.removeprefix("main.") in TABLES


def disk_full(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.DISK_FULL,
        f"The disk that holds {path} is full; the last step was not saved.",
        "Free some space and go on: nothing that was saved is lost.",
    )


def corrupt(path: Path, detail: str) -> KnownError:
    return KnownError(
        ErrorKind.LIBRARY_CORRUPT,
        f"{path} is damaged or not a library ({detail}). It was left as it is.",
        "Restore it from a backup, or move it away and index your folders again.",
    )


def read_only(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.LIBRARY_READ_ONLY,
        f"{path} is open for reading only.",
        "To index sounds, make the file and its folder writable and open it again.",
    )


def unwritable(path: Path, error: Exception) -> KnownError:
    return KnownError(
        ErrorKind.LIBRARY_UNWRITABLE,
        f"{path} cannot be opened or made ({error}).",
        "Check the permissions of its folder, or choose another place for the library.",
    )


def vanished(path: Path) -> KnownError:
    return KnownError(
        ErrorKind.LIBRARY_VANISHED,
        f"{path} was deleted, moved or replaced while it was open.",
        "Put it back, or start Foundsound again to begin a new library.",
    )


def _disk_is_full(path: Path) -> bool:
    """SQLite reports some full disks as I/O errors, or as files that cannot be opened."""
    try:
        return shutil.disk_usage(path.parent).free < _LITTLE_SPACE_BYTES
    except OSError:
        return False
