"""Group images by the place where they were taken, for a map."""

from __future__ import annotations

import numpy as np

from searchapp.catalog.filters.columns import Ids, Values
from searchapp.catalog.filters.fields import UNKNOWN_COORDINATE
from searchapp.types import Area, PlaceCluster

MAX_CLUSTERS = 500
DEGREE = 1_000_000  # coordinates are in millionths of a degree


def group_places(
    latitudes: Values, longitudes: Values, image_ids: Ids, cell: float, within: Area | None
) -> list[PlaceCluster]:
    """Group the images in each square of a grid; return the largest groups, most images first.

    latitudes, longitudes: of all images, by image id. cell: side of a square in degrees.
    within: return only groups in this rectangle, which must not cross longitude 180; squares at
    its edge count completely.
    """
    known = image_ids[latitudes[image_ids] != UNKNOWN_COORDINATE]
    known = known[longitudes[known] != UNKNOWN_COORDINATE]
    side = max(1, round(cell * DEGREE))
    rows = (latitudes[known].astype(np.int64) + 90 * DEGREE) // side
    columns = (longitudes[known].astype(np.int64) + 180 * DEGREE) // side
    if within is not None:
        south, north = ((edge + 90) * DEGREE // side for edge in (within.south, within.north))
        west, east = ((edge + 180) * DEGREE // side for edge in (within.west, within.east))
        is_inside = (rows >= south) & (rows <= north) & (columns >= west) & (columns <= east)
        known, rows, columns = known[is_inside], rows[is_inside], columns[is_inside]
    if not len(known):
        return []
    numbers = rows * (360 * DEGREE // side + 2) + columns
    order = np.lexsort((known, numbers))
    known, numbers = known[order], numbers[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    counts = np.diff(starts, append=len(known))
    souths, norths = _find_range(latitudes[known], starts)
    wests, easts = _find_range(longitudes[known], starts)
    newest = known[starts + counts - 1]  # the highest id: the picture that was indexed last
    largest = np.argsort(-counts, kind="stable")[:MAX_CLUSTERS]
    return [
        PlaceCluster(
            Area(*(float(edges[i]) / DEGREE for edges in (souths, wests, norths, easts))),
            int(counts[i]),
            int(newest[i]),
        )
        for i in largest
    ]


def _find_range(values: Values, starts: Ids) -> tuple[Values, Values]:
    """Return the lowest and the highest value of each group that begins at starts."""
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
