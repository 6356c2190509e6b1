"""Caption or sound -> ranked hits, by audio alone: never by file name."""

from __future__ import annotations

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
MATCHES_HELD = 200_000  # matches of captions that are ranked together


def by_captions(store: Store, encoder: Encoder, captions: Sequence[str], limit: int) -> Iterator[tuple[Hit, ...]]:
    """Rank the library by each caption, one after the other; hits carry the segment that matched best.

    Raises:
        KnownError: At once: ``caption_empty`` when a caption has nothing but white space, ``caption_not_text``.
    """
    for caption in captions:
        _require_text(caption)
    return _ranked(store, encoder, captions, limit)


def _ranked(store: Store, encoder: Encoder, captions: Sequence[str], limit: int) -> Iterator[tuple[Hit, ...]]:
    together = max(1, min(CAPTION_BATCH, MATCHES_HELD // max(limit, 1)))
    for start in range(0, len(captions), together):
        vectors = encoder.text_vectors(captions[start : start + together])
        for ranked in store.search(vectors, limit):
            yield store.hits(ranked, limit)


def by_sound(store: Store, encoder: Encoder, sound: Path, limit: int) -> tuple[Hit, ...]:
    """Rank the library by likeness to a sound file, in the library or not; the file itself is left out, also where
    the library has it by another path.

    Raises:
        KnownError: The file is not in the library and cannot be decoded.
    """
    vectors = store.sound_vectors(sound)
    itself = {sound}
    if vectors is None:
        content_hash, vectors = embed_file(sound, encoder)
        itself |= {path for path in store.paths_of(content_hash) if _same_file(path, sound)}
    query = vectors.mean(axis=0, keepdims=True)
    query /= max(float(np.linalg.norm(query)), 1e-9)
    most = limit + len(itself)
    hits = store.hits(store.search(query, most)[0], most)
    others = [hit for hit in hits if hit.path not in itself]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(others[:limit], start=1))


def embed_file(sound: Path, encoder: Encoder) -> tuple[bytes, NDArray[np.float32]]:
    """Content hash and vectors (segments, dim) of a sound file, decoded in a process of its own.

    Raises:
        KnownError: Why it cannot be decoded.
    """
    [(_, found)] = embed_files([sound], encoder, workers=1)
    if isinstance(found, KnownError):
        raise found
    return found


def embed_files(
    sounds: Sequence[Path], encoder: Encoder, workers: int | None = None
) -> Iterator[tuple[int, tuple[bytes, NDArray[np.float32]] | KnownError]]:
    """As the files are done, in any order: each one's number with its content hash and vectors (segments, dim), or why
    it has none.

    Decodes in processes of their own, as many as ``DecodePool`` takes by default.
    """
    pool = DecodePool(decode_options(encoder.pack), workers)
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
                assert assembly.info is not None
                yield number, (assembly.info.content_hash, np.stack(assembly.vectors))
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
