"""Find the true neighbors of queries by reading all vectors of a collection once, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from searchapp.vectors import Ids, Vectors, unpack_vectors

MIN_ROWS = 16_384  # of a matrix product; smaller ones take longer for each row


@dataclass(frozen=True, slots=True)
class TrueNeighbors:
    """For each query, the ids of the nearest vectors, best first."""

    ids: list[list[int]]
    ids_by_filter: list[list[list[int]]] = field(default_factory=list)


def find_true_neighbors(
    pages: Iterable[tuple[list[int], list[bytes]]],
    queries: Vectors,
    filter_ids: tuple[Ids, ...],
    count: int,
) -> TrueNeighbors:
    """Return the count vectors with the highest cosines for each query, with and without filters.

    pages: the ids and the stored vectors of the collection. queries: [n, dimensions]. filter_ids:
    for each filter, the sorted ids that match.
    """
    best = [_NearestVectors(len(queries), count) for _ in (None, *filter_ids)]
    for ids, vectors in _merge_pages(pages, queries.shape[1]):
        cosines = vectors @ queries.T
        best[0].add(ids, cosines)
        for allowed, nearest in zip(filter_ids, best[1:], strict=True):
            is_allowed = np.isin(ids, allowed, assume_unique=True)
            nearest.add(ids[is_allowed], cosines[is_allowed])
    return TrueNeighbors(best[0].list_ids(), [nearest.list_ids() for nearest in best[1:]])


class _NearestVectors:
    """The nearest vectors of each query so far."""

    def __init__(self, queries: int, count: int) -> None:
        self._count = count
        self._ids = np.full((count, queries), -1, np.int64)
        self._cosines: NDArray[np.float32] = np.full((count, queries), -np.inf, np.float32)

    def add(self, ids: Ids, cosines: Vectors) -> None:
        """Compare more vectors. ids: [n]. cosines: [n, queries]."""
        if len(ids) > self._count:
            chosen = np.argpartition(cosines, -self._count, axis=0)[-self._count :]
            cosines, new_ids = np.take_along_axis(cosines, chosen, axis=0), ids[chosen]
        else:
            new_ids = np.repeat(ids[:, None], cosines.shape[1], axis=1)
        all_cosines = np.concatenate([self._cosines, cosines])
        all_ids = np.concatenate([self._ids, new_ids])
        order = np.argsort(-all_cosines, axis=0, kind="stable")[: self._count]
        self._cosines = np.take_along_axis(all_cosines, order, axis=0)
        self._ids = np.take_along_axis(all_ids, order, axis=0)

    def list_ids(self) -> list[list[int]]:
        return [[number for number in row if number >= 0] for row in self._ids.T.tolist()]


def _merge_pages(
    pages: Iterable[tuple[list[int], list[bytes]]], dimensions: int
) -> Iterable[tuple[Ids, Vectors]]:
    """Yield ids and vectors in larger pages."""
    ids, blobs = list[int](), list[bytes]()
    for page_ids, page in pages:
        ids += page_ids
        blobs += page
        if len(ids) >= MIN_ROWS:
            yield np.array(ids), unpack_vectors(blobs, dimensions)
            ids, blobs = [], []
    if ids:
        yield np.array(ids), unpack_vectors(blobs, dimensions)
