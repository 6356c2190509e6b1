"""Caption or sound -> ranked hits, by audio alone: never by file name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.indexing.decode_pool import DecodePool, Job
from engine.indexing.embedder import Embedder, decode_options
from engine.library.store import Store
from engine.library.types import Hit
from engine.models.packs import Pack

if TYPE_CHECKING:
    from engine.models.encoder import Encoder

CAPTION_BATCH = 64
MATCHES_HELD = 200_000  # matches of captions that are ranked together


def by_captions(
    store: Store, get_encoder: Callable[[], Encoder], captions: Sequence[str], limit: int
) -> Iterator[tuple[Hit, ...]]:
    """Rank the library by each caption, one after the other; hits carry the segment that matched best.

    The encoder, which takes seconds to load, is asked for only when the captions can be searched.

    Raises:
        KnownError: At once: ``caption_empty`` when a caption has nothing but white space, ``caption_not_text``.
    """
    for caption in captions:
        _require_text(caption)
    return _ranked(store, get_encoder(), captions, limit)


def _ranked(store: Store, encoder: Encoder, captions: Sequence[str], limit: int) -> Iterator[tuple[Hit, ...]]:
    together = max(1, min(CAPTION_BATCH, MATCHES_HELD // max(limit, 1)))
    for start in range(0, len(captions), together):
        vectors = encoder.text_vectors(captions[start : start + together])
        for ranked in store.search(vectors, limit):
            yield store.hits(ranked, limit)


def by_sound(store: Store, pack: Pack, get_encoder: Callable[[], Encoder], sound: Path, limit: int) -> tuple[Hit, ...]:
    """Rank the library by likeness to a sound file, in the library or not; the file itself is left out, also where
    the library has it by another path.

    The pack's encoder is asked for only when the file is decoded, and not at all for a sound that is indexed.

    Raises:
        KnownError: The file is not in the library and cannot be decoded; ``sound_vanished`` when it is not there, which
            is told otherwise of one that the library knows than of one that it has never seen.
    """
    vectors = store.sound_vectors(sound)
    itself = {sound}
    if vectors is None:
        try:
            content_hash, vectors = embed_file(sound, pack, get_encoder)
        except KnownError as error:
            if error.kind != ErrorKind.SOUND_VANISHED or store.sound_by_path(sound) is not None:
                raise
            hint = "Check the name, or connect its drive."
            raise KnownError(ErrorKind.SOUND_VANISHED, f"There is no sound file {sound}.", hint) from error
        itself |= {path for path in store.paths_of(content_hash) if _same_file(path, sound)}
    query = vectors.mean(axis=0, keepdims=True)
    query /= max(float(np.linalg.norm(query)), 1e-9)
    most = limit + len(itself)
    hits = store.hits(store.search(query, most)[0], most)
    others = [hit for hit in hits if hit.path not in itself]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(others[:limit], start=1))


def embed_file(sound: Path, pack: Pack, get_encoder: Callable[[], Encoder]) -> tuple[bytes, NDArray[np.float32]]:
    """Content hash and vectors (segments, dim) of a sound file, decoded in a process of its own.

    Raises:
        KnownError: Why it cannot be decoded.
    """
    [(_, found)] = embed_files([sound], pack, get_encoder, workers=1)
    if isinstance(found, KnownError):
        raise found
    return found


def embed_files(
    sounds: Sequence[Path], pack: Pack, get_encoder: Callable[[], Encoder], workers: int | None = None
) -> Iterator[tuple[int, tuple[bytes, NDArray[np.float32]] | KnownError]]:
    """As the files are done, in any order: each one's number with its content hash and vectors (segments, dim), or why
    it has none.

    Decodes in processes of their own, as many as ``DecodePool`` takes by default.
    """
    pool = DecodePool(decode_options(pack), workers)
    embedder = Embedder(pack, get_encoder)
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
        raise KnownError(
            ErrorKind.CAPTION_EMPTY, "The caption is empty.", "Describe a sound, for example “glass breaking”."
        )
    try:
        caption.encode()
    except UnicodeEncodeError as error:  # bytes of another encoding, or half of a pasted character
        readable = caption[:100].encode(errors="backslashreplace").decode()
        raise KnownError(
            ErrorKind.CAPTION_NOT_TEXT,
            f"The caption “{readable}” is not valid text.",
            "Type it again, or save it as UTF-8.",
        ) from error
