"""Query -> ranked hits: words and sounds to be like become one vector, which the library ranks by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import ErrorKind, KnownError
from engine.indexing.embed_files import embed_file
from engine.library.protocols import Library, Segments
from engine.library.query import Filter, Likeness, Query, checked
from engine.library.types import Hit, SoundState
from engine.models.packs import Pack
from engine.models.source import EncoderSource
from engine.paths import absolute

if TYPE_CHECKING:
    from engine.library.protocols import StoredSound

Vector = NDArray[np.float32]

CAPTION_BATCH = 64
MATCHES_HELD = 200_000
"""Matches of queries that are ranked together."""


@dataclass(frozen=True)
class _Example:
    """A sound to be like: its unit vector (dim,), and the sounds of the library that are the same file."""

    vector: Vector
    same: tuple[int, ...]


class Searcher:
    """Answers queries about one library.

    Args:
        library: The library.
        pack: The pack it is open for.
        encoders: Loads its encoder: asked only for words, and for sounds that the library has no vectors of.
    """

    def __init__(self, library: Library, pack: Pack, encoders: EncoderSource) -> None:
        self._library = library
        self._pack = pack
        self._encoders = encoders

    def needs_encoder(self, query: Query) -> bool:
        """Whether a query can only be answered with the encoder."""
        return bool(query.words.strip()) or any(self._indexed(self._stored(like)) is None for like in query.like)

    def find(self, query: Query) -> tuple[Hit, ...]:
        """The hits of one query; raises as :meth:`find_all`."""
        return next(self.find_all([query]))

    def find_all(self, queries: Sequence[Query]) -> Iterator[tuple[Hit, ...]]:
        """The hits of each query, one after the other; each hit says which segment matched best.

        Sounds that a query names as likenesses are left out of its hits.

        Raises:
            KnownError: At once, as :func:`engine.library.query.checked`; later, where a sound to be like is not in the
                library and cannot be decoded: ``sound_vanished`` when it is not there, which is told otherwise of one
                that the library knows than of one that it has never seen.
        """
        return self._answers([checked(query) for query in queries])

    def _answers(self, queries: Sequence[Query]) -> Iterator[tuple[Hit, ...]]:
        longest = max((query.limit + query.offset for query in queries), default=1)
        together = max(1, min(CAPTION_BATCH, MATCHES_HELD // longest))
        for start in range(0, len(queries), together):
            batch = queries[start : start + together]
            asked = list(zip(batch, self._vectors(batch), strict=True))
            for (limit, offset, where, same), group in groupby(asked, lambda pair: _terms(*pair)):
                vectors = np.stack([example.vector for _, example in group])
                yield from self._library.vectors.rank(vectors, limit, offset, where, same)

    def _vectors(self, queries: Sequence[Query]) -> list[_Example]:
        """For each query the unit vector of all that it asks to be like."""
        worded = [query.words for query in queries if query.words.strip()]
        words = iter(self._encoders.get().text_vectors(worded) if worded else ())
        return [self._combined(query, next(words) if query.words.strip() else None) for query in queries]

    def _combined(self, query: Query, words: Vector | None) -> _Example:
        examples = [self._example(like) for like in query.like]
        total = np.zeros(self._pack.dim, np.float32) if words is None else words.astype(np.float32)
        for like, example in zip(query.like, examples, strict=True):
            total = total + np.float32(like.weight) * example.vector
        return _Example(_unit(total), tuple(sorted({sound for example in examples for sound in example.same})))

    def _example(self, like: Likeness) -> _Example:
        sound = self._stored(like)
        segments = self._indexed(sound)
        if sound is not None and segments is not None:
            return _Example(_mean(segments, like), (sound.sound_id,))
        path = sound.path if sound is not None else absolute(like.path or Path())
        try:
            embedded = embed_file(path, self._pack, self._encoders.get)
        except KnownError as error:
            if error.kind is not ErrorKind.SOUND_VANISHED or sound is not None:
                raise
            hint = "Check the name, or connect its drive."
            raise KnownError(error.kind, f"There is no sound file {path}.", hint) from error
        known = self._library.catalogue.sounds_with(embedded.fingerprint.audio)
        same = tuple(stored.sound_id for stored in known if _same(stored.path, path))
        return _Example(_mean(embedded.segments, like), same)

    def _stored(self, like: Likeness) -> StoredSound | None:
        """The sound of the library that is meant; None for a file that is not in it."""
        catalogue = self._library.catalogue
        if like.sound_id is None:
            return catalogue.sound_at(absolute(like.path or Path()))
        sound = catalogue.sound(like.sound_id)
        if sound is None:
            raise KnownError(
                ErrorKind.QUERY_INVALID, f"The library has no sound {like.sound_id}.", "Name the sound by its path."
            )
        return sound

    def _indexed(self, sound: StoredSound | None) -> Segments | None:
        if sound is None or sound.state is not SoundState.INDEXED:
            return None
        return self._library.vectors.segments(sound.sound_id)


def _terms(query: Query, example: _Example) -> tuple[int, int, Filter | None, tuple[int, ...]]:
    """What queries that are ranked together must agree on."""
    return query.limit, query.offset, query.where, example.same


def _mean(segments: Segments, like: Likeness) -> Vector:
    """Unit vector of the segments that overlap the region that is meant; of all where none does."""
    first = -np.inf if like.start_s is None else like.start_s
    last = np.inf if like.end_s is None else like.end_s
    inside = (np.asarray(segments.starts_s) < last) & (np.asarray(segments.ends_s) > first)
    return _unit(segments.vectors[inside if inside.any() else slice(None)].mean(axis=0))


def _unit(vector: Vector) -> Vector:
    normalised: Vector = (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)
    return normalised


def _same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file, as by a link; False where that cannot be seen."""
    try:
        return path.samefile(other)
    except OSError:
        return False
