"""Decoded sounds in one memory-mapped file, so that an epoch costs no decoding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray


class AudioCache:
    """Mono sounds at one sample rate, kept as 16-bit samples in ``<folder>/audio.i16`` with an index beside it."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.sample_rate_hz: int = index["sample_rate_hz"]
        self.files: list[str] = index["files"]
        self._offsets: list[int] = index["offsets"]
        self._path = folder / "audio.i16"
        self._samples: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def waveform(self, index: int) -> NDArray[np.float32]:
        """Sound ``index`` as float32 in [-1, 1]."""
        if self._samples is None:
            self._samples = np.memmap(self._path, dtype=np.int16, mode="r")
        start, end = self._offsets[index], self._offsets[index + 1]
        return self._samples[start:end].astype(np.float32) / 32768.0

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_samples": None}

    @classmethod
    def build(cls, folder: Path, root: Path, files: Sequence[str], sample_rate_hz: int) -> AudioCache:
        """Decode ``files`` (relative to ``root``) unless the folder already holds exactly them."""
        index = folder / "index.json"
        if index.exists():
            cache = cls(folder)
            if cache.files == list(files) and cache.sample_rate_hz == sample_rate_hz:
                return cache
        folder.mkdir(parents=True, exist_ok=True)
        offsets = [0]
        with (folder / "audio.i16").open("wb") as out:
            for file in files:
                samples, rate = soundfile.read(root / file, dtype="float32", always_2d=True)
                mono = soxr.resample(samples.mean(axis=1), rate, sample_rate_hz)
                loudest = max(float(np.abs(mono).max(initial=0.0)), 1e-9)
                out.write((mono / loudest * 32767.0).astype(np.int16).tobytes())
                offsets.append(offsets[-1] + len(mono))
        data = {"sample_rate_hz": sample_rate_hz, "files": list(files), "offsets": offsets}
        index.write_text(json.dumps(data), encoding="utf-8")
        return cls(folder)
