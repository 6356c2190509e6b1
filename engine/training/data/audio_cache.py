"""Decoded sounds in one memory-mapped file, so that an epoch costs no decoding."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.files import atomic_write
from engine.training.data.decoding import load_mono

Waveform = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with (done, total)."""

FILES_AHEAD = 16


class AudioCache:
    """Mono sounds at one sample rate, kept as 16-bit samples in ``<folder>/audio.i16`` with an index beside it."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.sample_rate_hz: int = index["sample_rate_hz"]
        self.files: list[str] = index["files"]
        self.offsets: list[int] = index["offsets"]
        self._path = folder / "audio.i16"

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def values(self) -> NDArray[np.int16]:
        """All sounds, one after the other; sound i is from ``offsets[i]`` to ``offsets[i + 1]``."""
        return np.memmap(self._path, dtype=np.int16, mode="c")

    def waveform(self, index: int) -> Waveform:
        """Sound ``index`` as float32 in [-1, 1]."""
        return self.values[self.offsets[index] : self.offsets[index + 1]].astype(np.float32) / 32768.0

    @classmethod
    def build(
        cls, folder: Path, sounds: Sequence[Path], sample_rate_hz: int, progress: Progress | None = None
    ) -> AudioCache:
        """Decode sounds unless the folder already holds exactly these paths.

        Sounds are decoded as the app decodes them; each is scaled to its full range, a silent one stays silent.

        Raises:
            KnownError: As :func:`engine.media.decode.decode`, for the first file that cannot be decoded.
        """
        index, files = folder / "index.json", [path.as_posix() for path in sounds]
        if index.exists():
            cache = cls(folder)
            if cache.files == files and cache.sample_rate_hz == sample_rate_hz:
                return cache
            index.unlink()  # an interrupted build must not leave the old index beside new samples
        folder.mkdir(parents=True, exist_ok=True)
        offsets = [0]
        with (folder / "audio.i16").open("wb") as out, ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for mono in _ahead(pool, lambda path: load_mono(path, sample_rate_hz), sounds):
                loudest = max(float(np.abs(mono).max(initial=0.0)), 1e-9)
                out.write((mono / loudest * 32767.0).astype(np.int16).tobytes())
                offsets.append(offsets[-1] + len(mono))
                if progress is not None:
                    progress(len(offsets) - 1, len(files))
        data = {"sample_rate_hz": sample_rate_hz, "files": files, "offsets": offsets}
        with atomic_write(index) as partial:
            partial.write_text(json.dumps(data), encoding="utf-8")
        return cls(folder)


def _ahead(pool: ThreadPoolExecutor, load: Callable[[Path], Waveform], sounds: Sequence[Path]) -> Iterator[Waveform]:
    """Results in order, with a few files decoded ahead (decoders and soxr release the GIL)."""
    waiting: deque[Future[Waveform]] = deque()
    for path in sounds:
        waiting.append(pool.submit(load, path))
        if len(waiting) > FILES_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
