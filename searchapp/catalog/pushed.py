"""Filters as conditions on fields, for who searches elsewhere: as far as such can say them."""

from __future__ import annotations

import math
from collections.abc import Callable

from sqlite_utils import Database

from searchapp.catalog.columns import EARTH, format_of, like, number_of, place_of, rating_of
from searchapp.catalog.values import FIELDS, NOWHERE, told
from searchapp.types import Between, Filter, OneOf

MOST = 2**62
Parts = list[Between | OneOf]


def pushed(db: Database, wanted: Filter) -> tuple[tuple[Between | OneOf, ...], bool]:
    """Return conditions that all which fulfils a filter fulfils, and whether they say all of it.

    A folder is none: files move, and nothing is embedded again. An SQL condition is none, nor is a
    keyword. A place is a box around its circle. Errors: QueryError.
    """
    parts: Parts = []
    whole = not (wanted.folder or wanted.where is not None or wanted.near or wanted.keyword)
    if wanted.after is not None:
        parts.append(Between("date", number_of(wanted.after, "0"), MOST))
    if wanted.before is not None:
        parts.append(Between("date", 0, number_of(wanted.before, "9")))
    if wanted.taken:
        parts.append(Between("by_file", 0, 0))
    if wanted.rating is not None:
        parts.append(Between("rating", *rating_of(wanted.rating)))
    if wanted.min_size is not None:
        parts.append(Between("pixels", _whole(wanted.min_size, math.ceil), MOST))
    if wanted.max_size is not None:
        parts.append(Between("pixels", -MOST, _whole(wanted.max_size, math.floor)))
    if wanted.near is not None:
        parts += _box(wanted.near)
    for name, pattern in (
        ("camera", wanted.camera),
        ("lens", wanted.lens),
        ("format", format_of(wanted.format) if wanted.format is not None else None),
    ):
        if pattern is not None:
            parts.append(OneOf(name, _like(db, name, pattern)))
    return tuple(parts), whole


def _whole(megapixels: float, rounded: Callable[[float], int]) -> int:
    pixels = megapixels * 1e6
    if not -MOST < pixels < MOST:
        return MOST if pixels > 0 else -MOST
    return rounded(pixels)


def _like(db: Database, name: str, pattern: str) -> tuple[str, ...]:
    """Return the texts there are of a field that match a pattern, as they are told."""
    column = name  # of the same name in images; its index is walked from one text to the next
    rows = db.execute(
        f"with recursive texts(text) as ("
        f" select min({column}) from images union all"
        f" select (select min({column}) from images where {column} > text) from texts"
        f" where text is not null)"
        f" select distinct {FIELDS[name].sql.replace(column, 'text', 1)} from texts"
        f" where text is not null"
    )
    fits = like(pattern)
    return tuple(sorted(told(text) for (text,) in rows if fits(text)))


def _box(text: str) -> Parts:
    """Return a box that a circle on the sphere lies in, in millionths of a degree."""
    latitude, longitude, km = place_of(text)
    high = math.degrees(km / EARTH) + 1e-4  # and what rounding costs
    south, north = max(latitude - high, -90.0), min(latitude + high, 90.0)
    parts: Parts = [Between("latitude", _millionths(south) - 1, _millionths(north) + 1)]
    if max(-south, north) < 89.9:
        # The circle's widest is nearer to the pole than its middle.
        ratio = math.sin(min(km / EARTH, math.pi / 2)) / math.cos(math.radians(latitude))
        wide = math.degrees(math.asin(min(ratio, 1.0))) + 1e-3 if ratio < 1 else 360.0
        if longitude - wide > -180 and longitude + wide < 180:
            west, east = longitude - wide, longitude + wide
            parts.append(Between("longitude", _millionths(west), _millionths(east)))
    if len(parts) == 1:
        parts.append(Between("longitude", -MOST, NOWHERE - 1))
    return parts


def _millionths(degrees: float) -> int:
    return round(degrees * 1e6)
