"""Files -> vectors, without a library."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import KnownError
from engine.indexing.decode_pool import DecodePool, Job
from engine.indexing.embedder import Embedder, decode_options
from engine.library.protocols import Segments
from engine.media.fingerprint import Fingerprint
from engine.models.packs import Pack

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

_POLL_S = 0.05


@dataclass(frozen=True)
class EmbeddedFile:
    """What became of a file: what it holds, and its segments with their vectors."""

    fingerprint: Fingerprint
    segments: Segments


def embed_file(path: Path, pack: Pack, get_encoder: Callable[[], Encoder]) -> EmbeddedFile:
    """Embed one file, decoded in a process of its own.

    Raises:
        KnownError: Why it cannot be decoded.
    """
    [(_, found)] = embed_files([path], pack, get_encoder, workers=1)
    if isinstance(found, KnownError):
        raise found
    return found


def embed_files(
    paths: Sequence[Path], pack: Pack, get_encoder: Callable[[], Encoder], workers: int | None = None
) -> Iterator[tuple[int, EmbeddedFile | KnownError]]:
    """As the files are done, in any order: each one's number with what became of it, or why it cannot be decoded.

    Decodes in processes of their own, as many as ``DecodePool`` takes by default.
    """
    pool = DecodePool(decode_options(pack), workers)
    embedder = Embedder(pack, get_encoder)
    waiting = deque(enumerate(paths))
    try:
        while waiting or pool.in_flight:
            for _ in range(min(pool.capacity, len(waiting))):
                number, path = waiting.popleft()
                embedder.open(number)
                pool.submit(Job(number, path))
            for number, part in pool.poll(_POLL_S):
                if isinstance(part, KnownError):
                    embedder.drop(number)
                    yield number, part
                else:
                    assert not isinstance(part, Fingerprint)
                    embedder.add(number, part)
            while embedder.ready_s:
                embedder.embed()
            for number, assembly in embedder.collect():
                assert assembly.info is not None
                starts_s, ends_s = zip(*assembly.segments, strict=True)
                segments = Segments(starts_s, ends_s, np.stack(assembly.vectors))
                yield number, EmbeddedFile(assembly.info.fingerprint, segments)
    finally:
        pool.close()
