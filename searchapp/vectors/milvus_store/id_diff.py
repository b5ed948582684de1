"""Compare the ids that are embedded with those in Milvus, range by range."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchapp.vectors import Ids

SPAN = 2**20  # ids, that are counted at once
LISTED = 2**14  # ids, that are listed at once: what Milvus returns at most


@dataclass(frozen=True, slots=True)
class Difference:
    """What Milvus has too many, as ids, and what it has too few, as pages of rows."""

    more: Ids
    pages: Iterable[list[dict[str, Any]]]
    fewer: int  # rows in all pages


def compare(
    live: Ids,
    count: Callable[[int, int], int],
    ids: Callable[[int, int], Ids],
    last: int,
    trusted: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Ids, Ids]:
    """Return the ids that are held and not live, and those that are live and not held.

    live: sorted. count and ids: of those held with first < id <= last. trusted: up to this id
    nothing live is missing, so that equal counts are equal sets.
    """
    more, fewer = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    ranges = [(first, min(first + SPAN, last)) for first in range(0, last, SPAN)][::-1]
    while ranges:
        tick()
        first, end = ranges.pop()
        here = live[np.searchsorted(live, first, "right") : np.searchsorted(live, end, "right")]
        counted = count(first, end)
        if counted == 0:
            fewer.append(here)
        elif end <= trusted and counted == len(here):
            continue
        elif end - first <= LISTED:
            held = ids(first, end)
            more.append(np.setdiff1d(held, here))
            fewer.append(np.setdiff1d(here, held))
        else:
            middle = (first + end) // 2
            ranges += [(middle, end), (first, middle)]
    return np.concatenate(more), np.concatenate(fewer)
