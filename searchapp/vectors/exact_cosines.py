"""Compute exact cosines from the catalog's vectors, and select the best hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from searchapp.vectors.packing import Ids, Vectors, unpack_vectors

# Maps ids to pages of (ids, stored vectors); see Catalog.read_vectors.
FetchVectors: TypeAlias = Callable[[list[int]], Iterable[tuple[list[int], list[bytes]]]]


def compute_cosines(
    query: Vectors, ids: Ids, fetch: FetchVectors, dimensions: int
) -> tuple[Ids, Vectors]:
    """Return the cosines of a query with stored vectors, as (ids, cosines).

    query has the shape [1, dimensions]. Ids without a stored vector are left out.
    """
    found_ids, cosines = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for page, blobs in fetch(np.sort(ids).tolist()):
        if page:
            found_ids.append(np.array(page, dtype=np.int64))
            cosines.append(unpack_vectors(blobs, dimensions) @ query[0])
    return np.concatenate(found_ids), np.concatenate(cosines)


def select_best(ids: Ids, scores: Vectors, count: int) -> list[tuple[int, float]]:
    """Return the count highest scores as (id, cosine), best first; equal scores by id."""
    order = np.lexsort((ids, -scores))[:count]
    cosines = np.minimum(scores[order], 1.0)  # rounding can exceed 1
    return list(zip(ids[order].tolist(), cosines.tolist(), strict=True))
