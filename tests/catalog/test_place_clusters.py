"""Grouping of images by place."""

from __future__ import annotations

import numpy as np

from searchapp.catalog.filters.fields import UNKNOWN_COORDINATE
from searchapp.catalog.filters.place_clusters import MAX_CLUSTERS, group_places
from searchapp.types import Area

PLACES = [None, (48.85, 2.29), (48.86, 2.35), (-33.9, 151.2), None, (48.855, 2.3), (90.0, 180.0)]
LATITUDES, LONGITUDES = (
    np.array([UNKNOWN_COORDINATE if p is None else round(p[i] * 1e6) for p in PLACES], np.int32)
    for i in (0, 1)
)
ALL = np.arange(len(PLACES))


def test_largest_groups_come_first_with_the_area_of_their_images() -> None:
    """Images without a position are left out; the poles and the edges of the map are no problem."""
    first, *others = group_places(LATITUDES, LONGITUDES, ALL, 1.0, None)
    assert (first.area, first.images, first.image_id) == (Area(48.85, 2.29, 48.86, 2.35), 3, 5)
    assert {cluster.image_id: cluster.images for cluster in others} == {3: 1, 6: 1}
    fine = group_places(LATITUDES, LONGITUDES, ALL, 0.01, None)
    assert sorted(cluster.images for cluster in fine) == [1, 1, 1, 1, 1]
    assert group_places(LATITUDES, LONGITUDES, ALL, 90, None)[0].images == 3


def test_only_squares_in_the_rectangle_are_returned() -> None:
    """Squares at the edge count completely, so that a cluster does not depend on the view."""
    (paris,) = group_places(LATITUDES, LONGITUDES, ALL, 1.0, Area(48.859, 2.0, 50, 2.32))
    assert paris.images == 3
    assert group_places(LATITUDES, LONGITUDES, ALL, 1.0, Area(0, 0, 10, 10)) == []
    assert group_places(LATITUDES, LONGITUDES, ALL[:1], 1.0, None) == []


def test_number_of_groups_is_bounded() -> None:
    values = np.arange(2 * MAX_CLUSTERS, dtype=np.int32) * 10_000
    found = group_places(values, values, np.arange(len(values)), 0.01, None)
    assert len(found) == MAX_CLUSTERS
