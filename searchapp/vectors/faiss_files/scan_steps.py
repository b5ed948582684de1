"""Scan the inverted lists of an index in steps, until a step finds hardly any better vector.

How many lists a search with a filter needs depends on the filter, the vectors and the query. Random
vectors that are left are near the query, those of one folder can all be far away. The results of a
step tell whether the next one is worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from searchapp.vectors.packing import Ids, Vectors

# Measured with 250,000 and a million vectors of `bench search` and PQ192x4fs. Filters that leave
# 1 to 30 %, at random, on one side of the space, or around a picture, have a recall of .99.
STEP_FACTOR = 1.5  # lists after a step, as a multiple of those before it
MAX_NEW_SHARE = 0.08  # of the best vectors, that the last step may have found

# Scans some lists for the queries with these numbers: from the number of the first list up to the
# number behind the last one. Returns the ids and the cosines of the best vectors, [n, keep].
# Missing results have the id -1.
ScanLists: TypeAlias = "Callable[[Ids, int, int], tuple[Ids, Vectors]]"


def scan_in_steps(
    scan: ScanLists, query_count: int, list_count: int, first_count: int, *, keep: int, wanted: int
) -> tuple[Ids, Vectors]:
    """Return the ids and the cosines of the best vectors of each query, [n, keep], in no order.

    Missing results have the id -1. All queries take a step together, because FAISS then uses all
    cores. scan: scans some of list_count lists. first_count: lists of the first step. wanted: fewer
    vectors than this are not enough.
    """
    ids = np.full((query_count, keep), -1, np.int64)
    cosines = np.full((query_count, keep), -np.inf, np.float32)
    active, start, end = np.arange(query_count), 0, min(first_count, list_count)
    while keep and len(active) and start < end:
        new_ids, new_cosines = scan(active, start, end)
        all_ids = np.hstack([ids[active], new_ids])
        all_cosines = np.hstack([cosines[active], np.where(new_ids < 0, -np.inf, new_cosines)])
        best = np.argpartition(-all_cosines, keep - 1, axis=1)[:, :keep]
        ids[active] = best_ids = np.take_along_axis(all_ids, best, 1)
        cosines[active] = np.take_along_axis(all_cosines, best, 1)
        counts = np.count_nonzero(best_ids >= 0, axis=1)
        new_counts = np.count_nonzero((best >= keep) & (best_ids >= 0), axis=1)
        active = active[(counts < wanted) | (new_counts > MAX_NEW_SHARE * counts)]
        start, end = end, min(list_count, max(end + 1, round(STEP_FACTOR * end)))
    return ids, cosines
