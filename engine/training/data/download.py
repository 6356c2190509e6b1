"""Fetch published files: resumable, checked against pinned hashes. Only ``packs install`` opens a connection at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.errors import ErrorKind, KnownError

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0
NETWORK_ERRORS = (OSError, http.client.HTTPException)
"""urllib's errors are OSErrors; a server that breaks off in the middle is an HTTPException."""

Progress = Callable[[int, int], None]
"""Called with (bytes here, bytes in all)."""


@dataclass(frozen=True)
class Source:
    """A published file.

    ``sha256`` is None where only the MD5 is published; one of the two is always there.
    """

    url: str
    file: str
    size: int
    licence: str
    sha256: str | None = None
    md5: str | None = None

    def __post_init__(self) -> None:
        if not (self.sha256 or self.md5):
            raise ValueError(f"{self.file} has no pinned hash")


def fetch(source: Source, folder: Path, progress: Progress | None = None) -> Path:
    """The file in ``folder``, downloaded unless it is there and whole; a download that broke off goes on.

    Raises:
        KnownError: ``download_failed`` when the server cannot be reached or breaks off, ``download_wrong_hash`` when
            what came is not the pinned file, ``download_unwritable`` when it cannot be saved.
    """
    path = folder / source.file
    unfinished = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            _check(source, path)
            return path
        if unfinished.is_file() and unfinished.stat().st_size > source.size:
            unfinished.unlink()
        if not unfinished.is_file() or unfinished.stat().st_size < source.size:
            _download(source, unfinished, progress)
        _check(source, unfinished)
        unfinished.replace(path)
    except OSError as error:
        raise KnownError(
            ErrorKind.DOWNLOAD_UNWRITABLE,
            f"{path} cannot be saved: {error}.",
            "Check the disk and the rights of its folder.",
        ) from error
    return path


def _download(source: Source, unfinished: Path, progress: Progress | None) -> None:
    """Bring ``unfinished`` to its full size, from where it ends."""
    start = unfinished.stat().st_size if unfinished.is_file() else 0
    request = urllib.request.Request(source.url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310 - only pinned URLs come here
    except NETWORK_ERRORS as error:
        raise _failed(source, error) from error
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        done = start if resumed else 0
        with unfinished.open("ab" if resumed else "wb") as out:
            while True:
                try:
                    chunk = response.read(CHUNK_BYTES)
                except NETWORK_ERRORS as error:
                    raise _failed(source, error) from error
                if not chunk:
                    break
                out.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, source.size)
                if done > source.size:
                    break  # not the file wanted; the check says so
    if done < source.size:
        raise _failed(source, f"it ended after {done} of {source.size} bytes")


def _check(source: Source, path: Path) -> None:
    """Size and hashes; a file that differs is deleted, so that the next try starts anew."""
    wanted = {"sha256": source.sha256, "md5": source.md5}
    right = path.stat().st_size == source.size
    for name, expected in wanted.items():
        if right and expected is not None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False))
            right = digest.hexdigest() == expected
    if not right:
        path.unlink()
        raise KnownError(
            ErrorKind.DOWNLOAD_WRONG_HASH,
            f"{source.file} from {source.url} is not the published file: its hash is another. It was deleted.",
            "Try again; if it stays so, the file was changed or something on the way changes it.",
        )


def _failed(source: Source, reason: object) -> KnownError:
    if isinstance(reason, urllib.error.URLError) and not isinstance(reason, urllib.error.HTTPError):
        reason = reason.reason
    return KnownError(
        ErrorKind.DOWNLOAD_FAILED,
        f"{source.url} cannot be fetched: {reason}.",
        "This needs the internet; run the same command again, it goes on where it stopped.",
    )
