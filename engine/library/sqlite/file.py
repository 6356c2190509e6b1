"""The library file: opened whatever state it is in, with transactions, and errors in words a user can act on."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from sqlite_utils import Database

from engine.errors import ErrorKind, KnownError
from engine.library.sqlite import errors as errors
from engine.library.sqlite.migrations import APPLICATION_ID, SCHEMA_VERSION, migrate

_CACHE_BYTES = 64 << 20  # holds what lies above the rows of a million sounds
_LOG_BYTES = 4 << 20  # size at which the write-ahead file is brought in, and to which it is cut down
_PAGE_BYTES = 8192  # reads a million vectors in two thirds of the time that SQLite's default takes
_NETWORK_PATIENCE = 6
_CANNOT_WRITE = {ErrorKind.LIBRARY_READ_ONLY, ErrorKind.LIBRARY_UNWRITABLE, ErrorKind.DISK_FULL}


class LibraryFile:
    """An open library: a connection in write-ahead mode whose errors are KnownErrors. For one thread.

    **Unclean exits.** SQLite removes the ``-wal`` file when the last process closes the library. So one that is left
    over, while no other process has the library open (only then can the journal mode be changed), means that a process
    was killed or power failed, and the file is checked once before use.

    Attributes:
        db: The connection, in autocommit mode outside of ``writing()``.
        path: The library file.
        read_only: Whether ``writing()`` refuses.
        commits: How many transactions ``writing()`` has committed.
    """

    def __init__(self, path: Path, mode: str, busy_timeout_s: float, refusal: KnownError | None = None) -> None:
        self.path = path
        self.commits = 0
        self._refusal = refusal
        with self.reading():
            connection = sqlite3.connect(_uri(path, mode), busy_timeout_s, isolation_level=None, uri=True)
        self.db = Database(connection, execute_plugins=False)
        self._identity = path.stat()

    @classmethod
    def open(cls, path: Path, read_only: bool = False, busy_timeout_s: float = 5.0, on_network: bool = False) -> Self:
        """Open a library, making it where it does not exist; for reading only where it cannot be written.

        Args:
            path: The library file.
            read_only: Never write to it.
            busy_timeout_s: How long to wait for another process that is writing.
            on_network: The file lies on a network share, where processes on two computers cannot share the memory that
                a write-ahead log needs: use a rollback journal, and wait longer.

        Raises:
            KnownError: ``library_is_folder``, ``library_not_a_file`` (a device or the like), ``library_missing`` (asked
                for reading only), ``library_unwritable`` (it does not exist and cannot be made),
                ``library_unreadable``, ``library_locked``, ``library_corrupt``, ``library_foreign`` (another
                program's), ``library_newer``, ``library_outdated`` (an older one that cannot be upgraded, being
                read-only), ``library_io_error``, ``disk_full``.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, the messages should not
        found = _stat(path)
        if found and stat.S_ISDIR(found.st_mode):
            raise KnownError(
                ErrorKind.LIBRARY_IS_FOLDER, f"{path} is a folder, not a library file.", "Name a file inside it."
            )
        if found and not stat.S_ISREG(found.st_mode):  # SQLite would make files beside it, even in its place
            raise KnownError(
                ErrorKind.LIBRARY_NOT_A_FILE, f"{path} is a device or a pipe, not a library file.", "Name another file."
            )
        if on_network:
            busy_timeout_s *= _NETWORK_PATIENCE
        if read_only:
            return cls._open_to_read(path, busy_timeout_s, errors.read_only(path))
        try:
            return cls._open_to_write(path, busy_timeout_s, on_network)
        except KnownError as error:
            protected = error.kind == ErrorKind.LIBRARY_IO_ERROR and not _may_be_written(
                path
            )  # what SQLite makes of a log left
            if not (error.kind in _CANNOT_WRITE or protected) or not _has_content(path):
                raise
            if error.kind != ErrorKind.DISK_FULL:
                return cls._open_to_read(path, busy_timeout_s, errors.read_only(path))
            try:
                return cls._open_to_read(path, busy_timeout_s, error)
            except KnownError:  # what stands in the way is the full disk
                raise error from None

    @classmethod
    def _open_to_write(cls, path: Path, busy_timeout_s: float, on_network: bool) -> Self:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise (errors.disk_full(path) if error.errno == errno.ENOSPC else errors.unwritable(path, error)) from error
        left_over = _has_content(_beside(path, "-wal"))
        return cls._opened(cls(path, "rwc", busy_timeout_s), lambda file: file._prepare(left_over, on_network))

    @classmethod
    def _open_to_read(cls, path: Path, busy_timeout_s: float, refusal: KnownError) -> Self:
        """SQLite reads a write-ahead library only with the help of files beside it. Where those cannot be made, nobody
        is writing either, and the file can be taken as it is ("immutable"), unless changes still lie in one of them."""
        if not _has_content(path):
            raise KnownError(
                ErrorKind.LIBRARY_MISSING, f"There is no library {path}.", "Index a folder first, or check the name."
            )
        try:
            return cls._opened(cls(path, "ro", busy_timeout_s, refusal), cls._require_current)
        except KnownError as error:
            if error.kind not in _CANNOT_WRITE:
                raise
        if _has_content(_beside(path, "-wal")):
            raise KnownError(
                ErrorKind.LIBRARY_UNREADABLE,
                f"{path} was not closed properly, and its last changes cannot be brought in: its folder is read-only.",
                f"Copy it, together with {path.name}-wal, to a folder that you can write to, and open it there.",
            )
        try:
            return cls._opened(cls(path, "immutable", busy_timeout_s, refusal), cls._require_current)
        except KnownError as error:
            if error.kind not in _CANNOT_WRITE:
                raise
            raise KnownError(
                ErrorKind.LIBRARY_UNREADABLE,
                f"{path} cannot be read.",
                "Check its permissions and those of its folder.",
            ) from error

    @classmethod
    def _opened(cls, file: Self, prepare: Callable[[Self], None]) -> Self:
        try:
            with file.reading():
                file._require_ours()
                file.db.execute(f"PRAGMA cache_size = {-_CACHE_BYTES // 1024}")
                prepare(file)
        except BaseException:
            file.close()
            raise
        return file

    def _require_ours(self) -> None:
        """Refuse other programs' databases and newer libraries before anything is written to them."""
        version, application = self._pragma("user_version"), self._pragma("application_id")
        if application != APPLICATION_ID and (version or application or self._pragma("schema_version")):
            raise KnownError(
                ErrorKind.LIBRARY_FOREIGN,
                f"{self.path} is a database of another program.",
                "Name another file for the library.",
            )
        if version > SCHEMA_VERSION:
            raise KnownError(
                ErrorKind.LIBRARY_NEWER,
                f"{self.path} was written by a newer version of Foundsound "
                f"(its format is {version}, this version reads up to {SCHEMA_VERSION}).",
                "Update Foundsound, or open another library.",
            )

    def _require_current(self) -> None:
        if self._pragma("user_version") < SCHEMA_VERSION:
            raise KnownError(
                ErrorKind.LIBRARY_OUTDATED,
                f"{self.path} is of an older version and cannot be upgraded, as it is read-only.",
                "Make it and its folder writable, or open a copy of it.",
            )

    def _prepare(self, left_over: bool, on_network: bool) -> None:
        """Make an accepted file ready for writing."""
        self.db.execute("PRAGMA temp_store = MEMORY")
        if left_over and self._is_alone():
            self.check()
        if not self._pragma("schema_version"):
            self.db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        self._set_journal("DELETE" if on_network else "WAL")
        self.db.execute(f"PRAGMA synchronous = {'FULL' if on_network else 'NORMAL'}")
        self.db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_BYTES // _PAGE_BYTES}")
        self.db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        if self._pragma("user_version") < SCHEMA_VERSION:
            with self.writing():
                if self._pragma("user_version") < SCHEMA_VERSION:  # another process may have been first
                    migrate(self.db)
        else:
            self._require_writable()
        self.db.execute("PRAGMA foreign_keys = ON")  # after a migration, which makes tables anew

    def _set_journal(self, mode: str) -> None:
        """Of several processes that make a library at once, SQLite turns all but one away here without waiting."""
        give_up = time.monotonic() + self._pragma("busy_timeout") / 1000
        while True:
            try:
                self.db.execute(f"PRAGMA journal_mode = {mode}")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
            time.sleep(0.01)

    def _is_alone(self) -> bool:
        """Whether no other process has the library open. Brings leftovers of the write-ahead file in."""
        with self._not_waiting():
            try:
                self.db.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
                    raise
                return False
        return True

    def _require_writable(self) -> None:
        """Fail now, rather than at the first write, where the file cannot be written. Another writer is no failure."""
        with self._not_waiting():
            try:
                self.db.execute("BEGIN IMMEDIATE")  # this alone would succeed
                self.db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            finally:
                self.db.rollback()

    @contextmanager
    def _not_waiting(self) -> Iterator[None]:
        timeout_ms = self._pragma("busy_timeout")
        self.db.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            self.db.execute(f"PRAGMA busy_timeout = {timeout_ms}")

    @property
    def read_only(self) -> bool:
        return self._refusal is not None

    def data_version(self) -> int:
        """A number that changes when another process (or connection) has written."""
        return self._pragma("data_version")

    def size_bytes(self) -> int:
        """Size of the library, with what is still in the write-ahead file."""
        return self._pragma("page_count") * self._pragma("page_size")

    def check(self) -> None:
        """Read the whole file and raise ``library_corrupt`` if its structure is damaged."""
        with self.reading():
            found = self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise errors.corrupt(self.path, found)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn SQLite's errors that a user can act on into KnownErrors; the others are bugs and pass."""
        try:
            yield
        except sqlite3.Error as error:
            known = errors.as_known(self.path, error)
            if known is None:
                raise
            raise known from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, locked for writing from its start; undone as a whole by any exception."""
        if self._refusal is not None:
            raise KnownError(self._refusal.kind, self._refusal.detail, self._refusal.hint)
        self._require_same_file()
        with self.reading():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.commit()
                self.commits += 1
            except BaseException:
                self.db.rollback()
                raise

    def corrupt(self, detail: str) -> KnownError:
        """The error to raise where what the file holds makes no sense."""
        return errors.corrupt(self.path, detail)

    def close(self) -> None:
        self.db.close()

    def _require_same_file(self) -> None:
        """SQLite would go on writing into a file that was deleted, and all of it would be lost."""
        try:
            if os.path.samestat(self.path.stat(), self._identity):
                return
        except OSError:  # gone, or out of reach: either way what we write would not arrive there
            pass
        raise errors.vanished(self.path)

    def _pragma(self, name: str) -> int:
        value: Any = self.db.execute(f"PRAGMA {name}").fetchone()[0]
        return int(value)


def _stat(path: Path) -> os.stat_result | None:
    """None where there is no such file."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KnownError(
            ErrorKind.LIBRARY_UNREADABLE, f"{path} cannot be reached ({error}).", "Check the path."
        ) from error


def _may_be_written(path: Path) -> bool:
    as_ourselves = os.access in os.supports_effective_ids
    return all(os.access(place, os.W_OK, effective_ids=as_ourselves) for place in (path, path.parent))


def _has_content(path: Path) -> bool:
    found = _stat(path)
    return found is not None and found.st_size > 0


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _uri(path: Path, mode: str) -> str:
    """SQLite's name for a file; ``as_uri`` would give network shares an authority, which SQLite refuses."""
    name = path.as_posix()
    query = "mode=ro&immutable=1" if mode == "immutable" else f"mode={mode}"
    return f"file://{'' if name.startswith('/') else '/'}{quote(os.fsencode(name))}?{query}"
