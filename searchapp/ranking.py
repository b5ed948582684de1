"""What an index found, made into hits: in pages, best first, of images that have files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from searchapp.catalog import Located
from searchapp.engines import Vector
from searchapp.types import Hit, Order
from searchapp.vectors import Ids, VectorIndex


def ranked(
    index: VectorIndex, vector: Vector, among: Ids | None, first: int
) -> Iterator[list[tuple[int, float]]]:
    """Yield all that is found in pages, nearest first, ties by age, nothing twice.

    Of equal scores at the end of what was asked for, others may lie beyond: they come with those.
    """
    most = len(index) if among is None else len(among)
    asked, seen = min(first, most), set[int]()
    while asked:
        found = sorted(index.search(vector, asked, among), key=lambda it: (-it[1], it[0]))
        goes_on = asked < most and len(found) == asked
        page = [
            (id, score)
            for id, score in found
            if id not in seen and not (goes_on and score == found[-1][1])
        ]
        seen.update(id for id, _ in page)
        if page:
            yield page
        asked = min(most, 4 * asked) if goes_on else 0


def in_order(hits: Sequence[Hit], order: Order) -> list[Hit]:
    """Return hits, given best first, in the order asked for."""
    if order == "date":
        return sorted(hits, key=lambda hit: hit.taken_at or "", reverse=True)
    return list(hits)


def hit_of(image: Located | None, score: float, folder: Path | None) -> Hit | None:
    """Make a hit of an image that has files; those below the folder asked for come first."""
    paths = [path for path in (image.paths if image else ()) if os.path.exists(path)]  # noqa: PTH110
    if image is None or not paths:
        return None
    if folder is not None:
        paths.sort(key=lambda path: folder not in Path(path).parents)
    best, *also = paths
    return Hit(
        best, round(score, 6), image.sha256, image.width, image.height, tuple(also),
        image.image_id, image.taken_at, image.camera,
    )  # fmt: skip
