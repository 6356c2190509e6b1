"""Caption or sound -> ranked hits, by audio alone: never by file name."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.embedder import Embedder, decode_options
from engine.errors import KnownError
from engine.messages import Hit
from engine.store.store import Store
from engine.workers import DecodePool, Job

if TYPE_CHECKING:
    from engine.encoders.encoder import Encoder

CAPTION_BATCH = 64


def by_captions(store: Store, encoder: Encoder, captions: Sequence[str], limit: int) -> list[tuple[Hit, ...]]:
    """Rank the library by each caption; hits carry the segment that matched best.

    Raises:
        KnownError: ``caption_empty`` when a caption has nothing but white space, ``caption_not_text``.
    """
    for caption in captions:
        _require_text(caption)
    results: list[tuple[Hit, ...]] = []
    for start in range(0, len(captions), CAPTION_BATCH):
        vectors = encoder.text_vectors(captions[start : start + CAPTION_BATCH])
        results += [store.hits(ranked, limit) for ranked in store.search(vectors, limit)]
    return results


def by_sound(store: Store, encoder: Encoder, sound: Path, limit: int) -> tuple[Hit, ...]:
    """Rank the library by likeness to a sound file, in the library or not; the file itself is left out, also where
    the library has it by another path.

    Raises:
        KnownError: The file is not in the library and cannot be decoded.
    """
    known = store.sound_vectors(sound)
    vectors = embed_file(sound, encoder) if known is None else known
    query = vectors.mean(axis=0, keepdims=True)
    query /= max(float(np.linalg.norm(query)), 1e-9)
    hits = store.hits(store.search(query, limit + 1)[0], limit + 1)
    others = [hit for hit in hits if hit.path != sound and (known is not None or not _same_file(hit.path, sound))]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(others[:limit], start=1))


def embed_file(sound: Path, encoder: Encoder) -> NDArray[np.float32]:
    """Vectors (segments, dim) of a sound file, decoded in a process of its own.

    Raises:
        KnownError: Why it cannot be decoded.
    """
    for _, vectors in embed_files([sound], encoder, workers=1):
        if isinstance(vectors, KnownError):
            raise vectors
        return vectors
    raise AssertionError("a file gave neither vectors nor an error")


def embed_files(
    sounds: Sequence[Path], encoder: Encoder, workers: int | None = None
) -> Iterator[tuple[int, NDArray[np.float32] | KnownError]]:
    """As the files are done, in any order: each one's number with its vectors (segments, dim) or why it has none.

    Decodes in processes of their own, by default one per core, at most eight.
    """
    pool = DecodePool(decode_options(encoder.pack), workers or min(8, os.cpu_count() or 2))
    embedder = Embedder(encoder.pack, lambda: encoder)
    waiting = deque(enumerate(sounds))
    try:
        while waiting or pool.in_flight:
            for _ in range(min(pool.capacity, len(waiting))):
                number, sound = waiting.popleft()
                embedder.open(number)
                pool.submit(Job(number, sound))
            for number, part in pool.poll(0.05):
                if isinstance(part, KnownError):
                    embedder.drop(number)
                    yield number, part
                else:
                    assert not isinstance(part, bytes)
                    embedder.add(number, part)
            while embedder.ready_s:
                embedder.embed()
            for number, assembly in embedder.collect():
                yield number, np.stack(assembly.vectors)
    finally:
        pool.close()


def _same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, as by a link; False where that cannot be seen."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def _require_text(caption: str) -> None:
    if not caption.strip():
        raise KnownError("caption_empty", "The caption is empty.", "Describe a sound, for example “glass breaking”.")
    try:
        caption.encode()
    except UnicodeEncodeError as error:  # bytes of another encoding, or half of a pasted character
        readable = caption[:100].encode(errors="backslashreplace").decode()
        raise KnownError(
            "caption_not_text", f"The caption “{readable}” is not valid text.", "Type it again, or save it as UTF-8."
        ) from error
