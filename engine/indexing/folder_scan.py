"""The scan of one folder, or of some places in it, taken in slices."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import chain, islice
from pathlib import Path

from engine.errors import KnownError
from engine.library.protocols import Catalogue, FolderGoneError, Scan
from engine.media.drives import Drives
from engine.media.scan import FoundFile, ScanProblem, scan_folder, scan_place, silent_folder

SCAN_SLICE = 500
POLL_S = 0.05
DRIVE_PATIENCE_S = 20.0  # time that a sleeping disk takes to answer


class Outcome(Enum):
    """Whether there is more to scan."""

    MORE = auto()
    DONE = auto()


@dataclass(frozen=True)
class Slice:
    """What one step found: ``known`` counts sounds that were indexed already, ``gone`` holds those that are missing."""

    outcome: Outcome
    found: int = 0
    known: int = 0
    problems: tuple[ScanProblem, ...] = field(default=())
    gone: tuple[int, ...] = field(default=())


class FolderScan:
    """Scans a folder of the library in steps. It begins with the first.

    Args:
        folder_id: The folder.
        scope: Places in it, folders or files; none for all of it.
        catalogue: Where what is found is recorded.
        drives: Tells whether the folder is there.
    """

    def __init__(self, folder_id: int, scope: Sequence[Path], catalogue: Catalogue, drives: Drives) -> None:
        self.folder_id = folder_id
        self.scope = tuple(scope)
        self._catalogue = catalogue
        self._drives = drives
        self._scan: Scan | None = None
        self._root = Path()
        self._entries: Iterator[FoundFile | ScanProblem] | None = None
        self._unreadable: list[Path] = []
        self._give_up_s = 0.0

    def step(self) -> Slice:
        """Record one slice. A folder that went out of the library, or into one that holds it, is done."""
        try:
            if self._scan is None:
                self._begin()
            return self._record(self._scan)
        except FolderGoneError:
            return Slice(Outcome.DONE)

    def _begin(self) -> None:
        self._root = self._catalogue.folder_path(self.folder_id)
        self._scan = self._catalogue.begin_scan(self.folder_id, self.scope)
        self._give_up_s = time.monotonic() + DRIVE_PATIENCE_S

    def _record(self, scan: Scan | None) -> Slice:
        assert scan is not None
        try:
            if self._entries is None:
                if self._drives.have([str(self._root)]) == [None]:
                    return self._wait()
                self._entries = self._walk()
            entries = list(islice(self._entries, SCAN_SLICE))
        except KnownError as error:  # the folder is gone or unreadable: its sounds keep their state
            return Slice(Outcome.DONE, problems=(ScanProblem(self._root, error.kind, error.detail, error.hint),))
        files = [entry for entry in entries if isinstance(entry, FoundFile)]
        problems = tuple(entry for entry in entries if isinstance(entry, ScanProblem))
        self._unreadable += [problem.path for problem in problems]
        counts = self._catalogue.record_scan(scan, files)
        known = counts.unchanged + counts.returned
        if entries:
            return Slice(Outcome.MORE, len(files), known, problems)
        return Slice(Outcome.DONE, gone=self._catalogue.finish_scan(scan, self._unreadable))

    def _walk(self) -> Iterator[FoundFile | ScanProblem]:
        """The folder itself is always looked at, so that a drive that is gone is not taken for deleted files."""
        everything = scan_folder(self._root)
        return chain.from_iterable(map(scan_place, self.scope)) if self.scope else everything

    def _wait(self) -> Slice:
        """Let the drive wake up, while searches are answered, for as long as that may take."""
        if time.monotonic() < self._give_up_s:
            time.sleep(POLL_S)
            return Slice(Outcome.MORE)
        return Slice(Outcome.DONE, problems=(silent_folder(self._root),))
