"""Filters as conditions on fields, for who searches elsewhere: as far as such can say them."""

from __future__ import annotations

import math

from sqlite_utils import Database

from searchapp.catalog.filters.columns import EARTH, MOST, like, patterns, ranges
from searchapp.catalog.filters.fields import FIELDS, NOWHERE, told
from searchapp.types import Between, Circle, Filter, OneOf

Parts = list[Between | OneOf]


def pushed(db: Database, wanted: Filter) -> tuple[tuple[Between | OneOf, ...], bool]:
    """Return conditions that all which fulfils a filter fulfils, and whether they say all of it.

    A folder is none: files move, and nothing is embedded again. An SQL condition is none, nor is a
    keyword. A place is a box around its circle.
    """
    whole = not (wanted.folder or wanted.where is not None or wanted.near or wanted.keyword)
    parts: Parts = [part for _, part in ranges(wanted)]
    parts += [OneOf(name, _like(db, name, pattern)) for name, pattern in patterns(wanted)]
    if wanted.near is not None:
        parts += _box(wanted.near)
    return tuple(parts), whole


def _like(db: Database, name: str, pattern: str) -> tuple[str, ...]:
    """Return the texts there are of a field that match a pattern, as they are told."""
    column = name  # of the same name in images; its index (Stores.at) is walked from text to text
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


def _box(circle: Circle) -> Parts:
    """Return a box that a circle on the sphere lies in, in millionths of a degree."""
    latitude, longitude, km = circle.latitude, circle.longitude, circle.radius_km
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
