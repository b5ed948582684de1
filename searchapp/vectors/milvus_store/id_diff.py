"""Find the ids that differ between the catalog and Milvus, range by range."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchapp.vectors import Ids

MAX_COUNTED_IDS = 2**20  # the size of a range that is counted in one request
MAX_LISTED_IDS = 2**14  # the size of a range that is listed: the row limit of Milvus


@dataclass(frozen=True, slots=True)
class IdDifference:
    """Ids to delete from Milvus, and rows to add to Milvus, in pages."""

    extra_ids: Ids
    missing_pages: Iterable[list[dict[str, Any]]]
    missing_rows: int  # the number of rows in all pages


def compare_ids(
    live_ids: Ids,
    count_held: Callable[[int, int], int],
    list_held: Callable[[int, int], Ids],
    last_id: int,
    trusted_last_id: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Ids, Ids]:
    """Return two arrays: ids in Milvus but not in the catalog, and ids in the catalog only.

    live_ids: the ids in the catalog, sorted. count_held and list_held return the number and the
    ids of the rows in Milvus with first < id <= last. Up to trusted_last_id, Milvus has every id
    of the catalog, so equal counts prove equal sets. Other ranges are split or listed.
    """
    extra, missing = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    ranges = [
        (first, min(first + MAX_COUNTED_IDS, last_id))
        for first in range(0, last_id, MAX_COUNTED_IDS)
    ][::-1]
    while ranges:
        tick()
        first, end = ranges.pop()
        live_in_range = live_ids[
            np.searchsorted(live_ids, first, "right") : np.searchsorted(live_ids, end, "right")
        ]
        held_count = count_held(first, end)
        if held_count == 0:
            missing.append(live_in_range)
        elif end <= trusted_last_id and held_count == len(live_in_range):
            continue
        elif end - first <= MAX_LISTED_IDS:
            held = list_held(first, end)
            extra.append(np.setdiff1d(held, live_in_range))
            missing.append(np.setdiff1d(live_in_range, held))
        else:
            middle = (first + end) // 2
            ranges += [(middle, end), (first, middle)]
    return np.concatenate(extra), np.concatenate(missing)
