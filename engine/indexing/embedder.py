"""Decoded blocks -> segment vectors, many sounds at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.indexing.segments import Segment, Windows
from engine.media.decode import Block, DecodeOptions, SoundInfo
from engine.models.packs import Pack

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

BATCH_S = 80.0
"""Audio embedded in one step: about 250 ms of work on two cores."""
QUIETEST_REFERENCE = 0.1
"""A block is normalised by its own peak, but by no less than this share of the loudest so far in its sound (-20 dB)."""


def decode_options(pack: Pack) -> DecodeOptions:
    """What the pack's encoder wants of decoding."""
    return DecodeOptions(pack.sample_rate_hz, pack.block_samples)


@dataclass
class Assembly:
    """A sound on its way from decoded blocks to segment vectors."""

    windows: Windows
    loudest: float = 0.0
    waiting: int = 0
    info: SoundInfo | None = None
    segments: list[tuple[float, float]] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return self.info is not None and self.waiting == 0


class Embedder:
    """Runs decoded blocks through the encoder in batches and assembles each sound's segments.

    Args:
        pack: The pack.
        get_encoder: Its encoder, not asked for before there is something to encode.
    """

    def __init__(self, pack: Pack, get_encoder: Callable[[], Encoder]) -> None:
        self._pack = pack
        self._get_encoder = get_encoder
        self._ready: deque[tuple[int, Block]] = deque()
        self._assemblies: dict[int, Assembly] = {}
        self.ready_s = 0.0

    def open(self, job_id: int) -> None:
        """Expect blocks of a sound."""
        pack = self._pack
        self._assemblies[job_id] = Assembly(Windows(pack.segment_s, pack.hop_s, pack.frame_s))

    def drop(self, job_id: int) -> None:
        """Forget a sound whose decoding failed, also the blocks that came before."""
        if self._assemblies.pop(job_id, None) is None:
            return
        self._ready = deque(item for item in self._ready if item[0] != job_id)
        self.ready_s = sum(self._seconds(block) for _, block in self._ready)

    def add(self, job_id: int, part: Block | SoundInfo) -> None:
        """Take a decoded block, or the information that ends a sound."""
        if isinstance(part, SoundInfo):
            self._assemblies[job_id].info = part
            return
        self._assemblies[job_id].waiting += 1
        self._ready.append((job_id, part))
        self.ready_s += self._seconds(part)

    def embed(self, most_s: float = BATCH_S) -> float:
        """Encode up to ``most_s`` seconds of what is ready; returns the seconds encoded."""
        batch: list[tuple[int, Block]] = []
        seconds = 0.0
        while self._ready and (not batch or seconds + self._seconds(self._ready[0][1]) <= most_s):
            batch.append(self._ready.popleft())
            seconds += self._seconds(batch[-1][1])
        self.ready_s = max(0.0, self.ready_s - seconds) if self._ready else 0.0  # sums of floats leave a trace
        peaks = [self._reference_peak(job_id, block) for job_id, block in batch]
        features = self._get_encoder().frames([block.waveform for _, block in batch], peaks)
        cut: list[tuple[Assembly, Segment]] = []
        for (job_id, _), frames in zip(batch, features, strict=True):
            assembly = self._assemblies[job_id]
            assembly.waiting -= 1
            cut += [(assembly, segment) for segment in assembly.windows.push(frames)]
        self._encode_segments(cut)
        return seconds

    def collect(self) -> Iterator[tuple[int, Assembly]]:
        """Sounds whose every segment now has a vector; each is handed out once."""
        done = {job_id: assembly for job_id, assembly in self._assemblies.items() if assembly.complete}
        last: list[tuple[Assembly, Segment]] = []
        for assembly in done.values():
            assert assembly.info is not None
            last += [(assembly, segment) for segment in assembly.windows.finish(assembly.info.duration_s)]
        self._encode_segments(last)
        for job_id in done:
            yield job_id, self._assemblies.pop(job_id)

    def _encode_segments(self, cut: Sequence[tuple[Assembly, Segment]]) -> None:
        if not cut:
            return
        vectors = self._get_encoder().audio_vectors([segment.frames for _, segment in cut])
        for (assembly, segment), vector in zip(cut, vectors, strict=True):
            assembly.segments.append((segment.start_s, segment.end_s))
            assembly.vectors.append(vector)

    def _reference_peak(self, job_id: int, block: Block) -> float:
        """Raises quiet stretches of a long sound to where they can be told apart, but not room tone to full scale."""
        assembly = self._assemblies[job_id]
        peak = float(np.abs(block.waveform).max(initial=0.0))
        assembly.loudest = max(assembly.loudest, peak)
        return max(peak, QUIETEST_REFERENCE * assembly.loudest)

    def _seconds(self, block: Block) -> float:
        return len(block.waveform) / self._pack.sample_rate_hz
