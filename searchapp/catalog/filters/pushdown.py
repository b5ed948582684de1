"""Translate a filter to simple conditions on fields, for a vector store such as Milvus."""

from __future__ import annotations

import math

from sqlite_utils import Database

from searchapp.catalog.filters.columns import (
    EARTH_RADIUS_KM,
    MAX_NUMBER,
    list_number_conditions,
    list_text_patterns,
)
from searchapp.catalog.filters.fields import FILTER_FIELDS, UNKNOWN_COORDINATE, encode_text_value
from searchapp.catalog.filters.text_codes import compile_pattern
from searchapp.types import Area, Between, Circle, Filter, OneOf
from searchapp.types.filter_values import list_values

Conditions = list[Between | OneOf]


def filter_to_conditions(
    db: Database, image_filter: Filter
) -> tuple[tuple[Between | OneOf, ...], bool]:
    """Translate a filter to conditions; return them, and whether they define the filter completely.

    Every match of the filter meets the conditions. A circle becomes a bounding box. SQL conditions,
    keywords and names of places cannot be translated. Folders are not translated, because a moved
    file would need an update in the vector store. The store has the metadata of images, so nothing
    is translated if files of one image have different metadata.
    """
    if db.execute("select exists (select 1 from file_metadata)").fetchone()[0]:
        return (), False
    ratings = list_values(image_filter.rating)
    is_complete = not (
        image_filter.folder
        or image_filter.where is not None
        or image_filter.near
        or image_filter.area
        or image_filter.keyword
        or len(ratings) > 1
        or image_filter.place
    )
    conditions: Conditions = [condition for _, condition in list_number_conditions(image_filter)]
    if ratings:
        low, high = min(r.low for r in ratings), max(r.high for r in ratings)
        conditions.append(Between("rating", low, high))
    conditions += [
        OneOf(name, _find_matching_texts(db, name, patterns))
        for name, patterns in list_text_patterns(image_filter)
    ]
    if image_filter.near is not None:
        conditions += _build_bounding_box(image_filter.near)
    if image_filter.area is not None:
        conditions += _build_area_conditions(image_filter.area)
    return tuple(conditions), is_complete


def _find_matching_texts(db: Database, name: str, patterns: list[str]) -> tuple[str, ...]:
    """Return a field's texts in the catalog that match one of the patterns, encoded and sorted."""
    # The query jumps from text to text in the index that VectorStores.get_or_create makes.
    column = name
    rows = db.execute(
        f"with recursive texts(text) as ("
        f" select min({column}) from images union all"
        f" select (select min({column}) from images where {column} > text) from texts"
        f" where text is not null)"
        f" select distinct {FILTER_FIELDS[name].sql.replace(column, 'text', 1)} from texts"
        f" where text is not null"
    )
    tests = [*map(compile_pattern, patterns)]
    matching = (text for (text,) in rows if any(is_match(text) for is_match in tests))
    return tuple(sorted(map(encode_text_value, matching)))


def _build_bounding_box(circle: Circle) -> Conditions:
    """Return conditions for a box that contains a circle on the sphere.

    The bounds are in millionths of a degree. If the circle is near a pole or crosses longitude 180,
    all longitudes are included. Formula: http://janmatuschek.de/LatitudeLongitudeBoundingCoordinates
    """
    latitude, longitude, km = circle.latitude, circle.longitude, circle.radius_km
    latitude_margin = math.degrees(km / EARTH_RADIUS_KM) + 1e-4  # allowance for rounding
    south, north = max(latitude - latitude_margin, -90.0), min(latitude + latitude_margin, 90.0)
    box: Conditions = [Between("latitude", _to_millionths(south) - 1, _to_millionths(north) + 1)]
    if max(-south, north) < 89.9:
        # The circle has its widest parallel nearer to the pole than its center.
        ratio = math.sin(min(km / EARTH_RADIUS_KM, math.pi / 2)) / math.cos(math.radians(latitude))
        longitude_margin = math.degrees(math.asin(min(ratio, 1.0))) + 1e-3 if ratio < 1 else 360.0
        if longitude - longitude_margin > -180 and longitude + longitude_margin < 180:
            west, east = longitude - longitude_margin, longitude + longitude_margin
            box.append(Between("longitude", _to_millionths(west), _to_millionths(east)))
    if len(box) == 1:
        box.append(Between("longitude", -MAX_NUMBER, UNKNOWN_COORDINATE - 1))
    return box


def _build_area_conditions(area: Area) -> Conditions:
    """Return conditions for a rectangle; one that crosses longitude 180 has all longitudes."""
    west, east = (area.west, area.east) if area.west <= area.east else (-180.0, 180.0)
    return [
        Between("latitude", _to_millionths(area.south), _to_millionths(area.north)),
        Between("longitude", _to_millionths(west), _to_millionths(east)),
    ]


def _to_millionths(degrees: float) -> int:
    return round(degrees * 1e6)
