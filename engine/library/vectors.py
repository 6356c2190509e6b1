"""Every segment's vector in memory, and exact search over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_SCORES_AT_ONCE = 1 << 25  # floats, 128 MB: bounds what search_many holds


class Ranked(NamedTuple):
    """A content with its best score and the segment that earned it."""

    content_id: int
    score: float
    start_s: float
    end_s: float


class VectorIndex:
    """An append-only matrix of segment vectors, searched by dot product: exact, with no approximation to tune.

    A content's segments lie together, in order. Vectors are kept in blocks, each as large as all before it, so growing
    never copies a vector and the number of blocks stays small. A search is one matrix-vector product and a partition
    for the highest scores. Not thread-safe: it belongs to the engine thread.

    Args:
        dim: Length of a vector.
        first_block: Segments that the first block has room for.
    """

    def __init__(self, dim: int, first_block: int = 4096) -> None:
        self.dim = dim
        self._first_block = first_block
        self._blocks: list[Floats] = []
        self._segments = 0
        self._contents = 0
        self._starts_s = np.empty(0)
        self._ends_s = np.empty(0)
        self._content_ids: Ids = np.empty(0, np.int64)
        self._first_rows: Ids = np.empty(0, np.int64)
        self._visible = np.empty(0, np.bool_)
        self._slots: Ids = np.empty(0, np.int64)  # content id -> its position among contents, or -1

    def __len__(self) -> int:
        """Number of segments, hidden ones included."""
        return self._segments

    def reserve(self, segments: int) -> None:
        """Make room for so many further segments in one block (memory is taken up only as they are appended)."""
        room = sum(map(len, self._blocks)) - self._segments
        if segments > room:
            self._blocks.append(np.empty((segments - room, self.dim), np.float32))

    def append(
        self, content_ids: Ids, starts_s: NDArray[np.float64], ends_s: NDArray[np.float64], vectors: Floats
    ) -> None:
        """Add segments; a content not seen before is visible.

        Args:
            content_ids: (n,) the content of each segment: small non-negative numbers, as they index a table here. The
                first may go on with the last content of the call before.
            starts_s: (n,) where segments start.
            ends_s: (n,) where they end.
            vectors: (n, dim), finite.

        Raises:
            ValueError: shapes disagree, a value is not finite, or a content's segments do not lie together.
        """
        n = len(content_ids)
        if vectors.shape != (n, self.dim) or starts_s.shape != (n,) or ends_s.shape != (n,):
            raise ValueError(f"vectors {vectors.shape} and times {starts_s.shape}, {ends_s.shape} for {n} segments")
        if n == 0:
            return
        flat = np.ascontiguousarray(vectors, np.float32).reshape(-1)
        if not np.isfinite(np.dot(flat, flat)):  # one product, far quicker than testing each value
            raise ValueError("a vector holds a value that is not finite")

        goes_on = self._contents > 0 and content_ids[0] == self._content_ids[self._contents - 1]
        is_first = np.empty(n, np.bool_)
        is_first[0] = not goes_on
        is_first[1:] = content_ids[1:] != content_ids[:-1]
        firsts = np.flatnonzero(is_first)
        new_ids = content_ids[firsts].astype(np.int64)
        in_order = np.sort(new_ids)
        if (in_order[1:] == in_order[:-1]).any() or self.has(new_ids).any():
            raise ValueError("the segments of a content must lie together")

        self._append_vectors(flat.reshape(n, self.dim))
        self._starts_s = _appended(self._starts_s, self._segments, starts_s)
        self._ends_s = _appended(self._ends_s, self._segments, ends_s)
        self._content_ids = _appended(self._content_ids, self._contents, new_ids)
        self._first_rows = _appended(self._first_rows, self._contents, firsts + self._segments)
        self._visible = _appended(self._visible, self._contents, np.ones(len(new_ids), np.bool_))
        if len(new_ids) and (highest := int(new_ids.max())) >= len(self._slots):
            self._slots = _appended(self._slots, len(self._slots), np.full(highest + 1 - len(self._slots), -1), fill=-1)
        self._slots[new_ids] = np.arange(self._contents, self._contents + len(new_ids))
        self._segments += n
        self._contents += len(new_ids)

    def has(self, content_ids: Ids) -> NDArray[np.bool_]:
        """Which of these contents (n,) have segments here, as (n,) booleans."""
        return self._slots_of(content_ids) >= 0

    def show(self, content_ids: Ids, visible: bool = True) -> None:
        """Let searches return these contents, or hide them. Those without segments here are passed over."""
        slots = self._slots_of(content_ids)
        self._visible[slots[slots >= 0]] = visible

    def show_only(self, content_ids: Ids) -> None:
        """Let searches return these contents and no others."""
        self._visible[:] = False
        self.show(content_ids)

    def search(self, query: Floats, limit: int) -> list[Ranked]:
        """The visible contents whose best segments score highest, best first, equal scores by content id.

        Args:
            query: (dim,), finite.
            limit: Length of the answer at most.

        Raises:
            ValueError: the query has another shape or is not finite.
        """
        return self.search_many(np.asarray(query)[np.newaxis], limit)[0]

    def search_many(self, queries: Floats, limit: int, allowed: Ids | None = None) -> list[list[Ranked]]:
        """As ``search``, for each row of ``queries`` (q, dim); quicker than one by one, in bounded memory.

        ``allowed`` (n,) names the contents that may be found; None allows every visible one.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim or not np.isfinite(queries).all():
            raise ValueError(f"expected finite queries of length {self.dim}, got shape {queries.shape}")
        queries = np.ascontiguousarray(queries, np.float32)
        at_once = max(1, _SCORES_AT_ONCE // max(1, self._segments))
        visible = self._visible[: self._contents]
        if allowed is not None:
            slots = self._slots_of(allowed)
            permitted = np.zeros(self._contents, np.bool_)
            permitted[slots[slots >= 0]] = True
            visible = visible & permitted
        return [
            self._top(scores, limit, visible)
            for at in range(0, len(queries), at_once)
            for scores in self._scores(queries[at : at + at_once])
        ]

    def _scores(self, queries: Floats) -> Floats:
        """Dot products (q, segments)."""
        scores = np.empty((len(queries), self._segments), np.float32)
        for at, block in self._used_blocks():
            if len(queries) == 1:  # a matrix-vector product: half the time of the general one
                np.dot(block, queries[0], out=scores[0, at : at + len(block)])
            else:
                np.matmul(queries, block.T, out=scores[:, at : at + len(block)])
        return scores

    def _top(self, scores: Floats, limit: int, visible: NDArray[np.bool_]) -> list[Ranked]:
        """The best ``limit`` of the ``visible`` (contents,) by ``scores`` (segments,).

        Looks at the highest scores only, and at more of them until they hold enough contents. Whatever is not looked at
        scores less, so the answer is exact.
        """
        limit = min(limit, int(np.count_nonzero(visible)))
        if limit < 1:
            return []
        first_rows = self._first_rows[: self._contents]
        looked_at = 0
        slots = np.empty(0, np.int64)
        while len(slots) < limit:
            looked_at = min(max(8 * looked_at, 4 * limit), self._segments)
            lowest = np.partition(scores, -looked_at)[-looked_at]
            rows = np.flatnonzero(scores >= lowest)
            slots = np.searchsorted(first_rows, rows, "right") - 1
            rows, slots = rows[visible[slots]], slots[visible[slots]]
            best_first = np.lexsort((rows, -scores[rows]))
            slots, at = np.unique(slots[best_first], return_index=True)
            rows = rows[best_first[at]]  # the best row of each content, the earlier where two are equal
        ranks = np.lexsort((self._content_ids[slots], -scores[rows]))[:limit]
        return [
            Ranked(content_id, score, start_s, end_s)
            for content_id, score, start_s, end_s in zip(
                self._content_ids[slots[ranks]].tolist(),
                scores[rows[ranks]].tolist(),
                self._starts_s[rows[ranks]].tolist(),
                self._ends_s[rows[ranks]].tolist(),
                strict=True,
            )
        ]

    def _slots_of(self, content_ids: Ids) -> Ids:
        """Positions among contents (n,), -1 for those without segments here."""
        slots = np.full(len(content_ids), -1, np.int64)
        inside = content_ids < len(self._slots)
        slots[inside] = self._slots[content_ids[inside]]
        return slots

    def _used_blocks(self) -> Iterator[tuple[int, Floats]]:
        """The filled part of each block, with the number of its first row."""
        at = 0
        for block in self._blocks:
            used = block[: self._segments - at]
            if len(used):
                yield at, used
            at += len(block)

    def _append_vectors(self, vectors: Floats) -> None:
        """Copy vectors behind the last one, into room that is there and then into new blocks."""
        at, done = 0, 0
        for block in self._blocks:
            free = block[max(self._segments - at, 0) :]
            taken = min(len(free), len(vectors) - done)
            free[:taken] = vectors[done : done + taken]
            at, done = at + len(block), done + taken
        if done < len(vectors):
            block = np.empty((max(self._first_block, at, len(vectors) - done), self.dim), np.float32)
            block[: len(vectors) - done] = vectors[done:]
            self._blocks.append(block)


def _appended(array: NDArray[_Scalar], used: int, values: NDArray[_Scalar], fill: float | bool = 0) -> NDArray[_Scalar]:
    """``array`` with ``values`` written from ``used`` on; moved into one twice as long where they do not fit."""
    if used + len(values) > len(array):
        grown = np.full(max(2 * len(array), used + len(values)), fill, array.dtype)
        grown[:used] = array[:used]
        array = grown
    array[used : used + len(values)] = values
    return array
