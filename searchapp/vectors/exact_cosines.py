"""Compare a query with stored vectors, and put what was found in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from searchapp.vectors.packing import Ids, Vectors, unpack_vectors

# Ids -> pages of ids and stored vectors, as Catalog.vectors has it.
FetchVectors: TypeAlias = Callable[[list[int]], Iterable[tuple[list[int], list[bytes]]]]


def compute_cosines(
    query: Vectors, ids: Ids, fetch: FetchVectors, dimensions: int
) -> tuple[Ids, Vectors]:
    """Return those of some ids that have a stored vector, and their cosines with a query.

    query: [1, dimensions].
    """
    found, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for page, blobs in fetch(np.sort(ids).tolist()):
        if page:
            found.append(np.array(page, dtype=np.int64))
            scores.append(unpack_vectors(blobs, dimensions) @ query[0])
    return np.concatenate(found), np.concatenate(scores)


def select_best(ids: Ids, scores: Vectors, count: int) -> list[tuple[int, float]]:
    """Return the count best as (id, cosine), ties by id."""
    order = np.lexsort((ids, -scores))[:count]
    cosines = np.minimum(scores[order], 1.0)
    return list(zip(ids[order].tolist(), cosines.tolist(), strict=True))
