"""Image fields in memory, as arrays indexed by image id, and filter masks over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog.filters.fields import FILTER_FIELDS, UNKNOWN_COORDINATE, FilterField
from searchapp.catalog.filters.place_columns import PlaceColumns
from searchapp.catalog.filters.text_codes import TextCodes
from searchapp.files.text_form import normalize_text
from searchapp.types import Area, Between, Circle, Filter, megapixels_to_pixels
from searchapp.types.filter_values import list_values

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Values = NDArray[np.signedinteger[Any]]
Rows = Iterable[tuple[int, Any]]
MAX_NUMBER = 2**62
MAX_COMPARED_MEGAPIXELS = 1e12  # for larger bounds, pixels would not fit into 64 bits
EARTH_RADIUS_KM = 6371.0  # mean radius
EMPTY_IDS = np.zeros(0, np.int64)
FORMAT_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heic": "heif", "jp2": "jpeg2000"}


class Column:
    """Cache one field of all images in an array indexed by image id; read it on first use."""

    def __init__(self, filter_field: FilterField) -> None:
        """Create an empty cache of one image field; no values are read yet."""
        self._field = filter_field
        self.text_codes = TextCodes()  # used only if the field is a text
        self._values: Values = np.full(1, filter_field.missing_value, filter_field.dtype)

    def read_values(self, db: Database, last: int) -> Values:
        """Return the values of the field for image ids 0 to last; shape [last + 1]."""
        last_read = len(self._values) - 1
        if last > last_read:
            rows: Rows = db.execute(
                f"select id, {self._field.sql} from images where id > ? and id <= ?",
                (last_read, last),
            )
            if self._field.is_text:
                code = self.text_codes.get_code
                rows = ((id, code(name and normalize_text(name))) for id, name in rows)
            pairs = np.fromiter(chain.from_iterable(rows), np.int64)
            more = (0, last - last_read)
            self._values = np.pad(self._values, more, constant_values=self._field.missing_value)
            self._values[pairs[0::2]] = pairs[1::2]
        return self._values


class ImageColumns:
    """Cache the fields of all images that a filter can compare."""

    def __init__(self) -> None:
        """Create empty caches of all image fields; no values are read yet."""
        self.last_id = 0  # the highest image id
        # Image ids of the frames of videos, and for each frame the image id of its video.
        self.frames: tuple[Ids, Ids] = (EMPTY_IDS, EMPTY_IDS)
        self.keywords = KeywordColumn()
        self.places = PlaceColumns()
        self._columns = {name: Column(field) for name, field in FILTER_FIELDS.items()}

    def read_values(self, db: Database, name: str) -> Values:
        """Return one field for all image ids, shape [last_id + 1]; texts as their codes."""
        return self._columns[name].read_values(db, self.last_id)

    def get_text_codes(self, name: str) -> TextCodes:
        """Return the TextCodes of a text field, with all texts that were read so far."""
        return self._columns[name].text_codes

    def build_masks(self, db: Database, image_filter: Filter) -> Iterator[tuple[str, Mask]]:
        """Yield a mask over image ids for each condition of a filter: (facet name, mask)."""
        for facet, condition in list_number_conditions(image_filter):
            values = self.read_values(db, condition.field)
            yield facet, (values >= condition.low) & (values <= condition.high)
        for name, patterns in list_text_patterns(image_filter):
            codes = self.read_values(db, name)
            text_codes = self.get_text_codes(name)
            yield name, _mask_any(text_codes.match_pattern(p)[codes] for p in patterns)
        if ratings := list_values(image_filter.rating):
            values = self.read_values(db, "rating")
            yield "rating", _mask_any((values >= r.low) & (values <= r.high) for r in ratings)
        keywords = [
            self.keywords.match_keyword(db, pattern, self.last_id)
            for pattern in image_filter.keyword
        ]
        if image_filter.any_keyword and keywords:
            yield "any keyword", _mask_any(keywords)
        else:
            yield from (("keyword", mask) for mask in keywords)
        if image_filter.near is not None or image_filter.area is not None:
            latitudes, longitudes = (
                self.read_values(db, "latitude"),
                self.read_values(db, "longitude"),
            )
            if image_filter.near is not None:
                yield "place", _mask_near(image_filter.near, latitudes, longitudes)
            if image_filter.area is not None:
                yield "place", _mask_area(image_filter.area, latitudes, longitudes)
        if names := list_values(image_filter.place):
            yield (
                "place_name",
                _mask_any(self.places.match_place(db, name, self.last_id) for name in names),
            )


def list_number_conditions(image_filter: Filter) -> Iterator[tuple[str, Between]]:
    """Yield the conditions of a filter on numeric fields: (facet name, condition)."""
    if image_filter.after is not None:
        yield "date", Between("date", image_filter.after.earliest, MAX_NUMBER)
    if image_filter.before is not None:
        yield "date", Between("date", 0, image_filter.before.latest)
    if image_filter.taken:
        yield "taken", Between("by_file", 0, 0)
    if image_filter.min_size is not None:
        yield "size", Between("pixels", _round_pixels(image_filter.min_size, math.ceil), MAX_NUMBER)
    if image_filter.max_size is not None:
        yield "size", Between("pixels", 0, _round_pixels(image_filter.max_size, math.floor))


def list_text_patterns(image_filter: Filter) -> Iterator[tuple[str, list[str]]]:
    """Yield the patterns of a filter for text fields: (field name, patterns)."""
    if cameras := list_values(image_filter.camera):
        yield "camera", [*cameras]
    if lenses := list_values(image_filter.lens):
        yield "lens", [*lenses]
    if formats := list_values(image_filter.format):
        yield "format", [*map(normalize_format, formats)]


def _mask_any(masks: Iterable[Mask]) -> Mask:
    """Return a mask: true where at least one of the masks is true."""
    combined: Mask = np.logical_or.reduce([*masks])
    return combined


def _round_pixels(megapixels: float, round_number: Callable[[Decimal], int]) -> int:
    if not abs(megapixels) < MAX_COMPARED_MEGAPIXELS:
        return MAX_NUMBER if megapixels > 0 else -MAX_NUMBER
    return round_number(megapixels_to_pixels(megapixels))


class KeywordColumn:
    """Cache the keywords of all images; read them from SQLite on first use."""

    def __init__(self) -> None:
        """Create an empty cache of keywords; no keywords are read yet."""
        self.text_codes = TextCodes()
        self._last_read = 0  # the highest image id that was read
        # Parallel arrays with one element per keyword of an image.
        self.image_ids, self.keyword_codes = EMPTY_IDS, EMPTY_IDS

    def read_up_to(self, db: Database, last: int) -> None:
        """Add the keywords of images with ids up to last to the cache."""
        if last > self._last_read:
            rows = db.execute(
                "select image_id, keyword from keywords where image_id > ? and image_id <= ?",
                (self._last_read, last),
            )
            code = self.text_codes.get_code
            pairs = ((id, code(normalize_text(word))) for id, word in rows)
            new = np.fromiter(chain.from_iterable(pairs), np.int64)
            self.image_ids = np.append(self.image_ids, new[0::2])
            self.keyword_codes = np.append(self.keyword_codes, new[1::2])
            self._last_read = last

    def match_keyword(self, db: Database, pattern: str, last: int) -> Mask:
        """Return a mask over image ids: true if a keyword of the image matches a pattern."""
        self.read_up_to(db, last)
        matching_codes = self.text_codes.match_pattern(pattern, whole_text=True)
        mask = np.zeros(last + 1, np.bool_)
        mask[self.image_ids[matching_codes[self.keyword_codes]]] = True
        return mask


def normalize_format(text: str) -> str:
    """Convert a format name or file suffix to a pattern: "jpg" and ".jpeg" become "jpeg"."""
    name = text.casefold().removeprefix(".")
    return FORMAT_ALIASES.get(name, name)


def _mask_area(area: Area, latitudes: Values, longitudes: Values) -> Mask:
    """Return a mask: true for each place in a rectangle; coordinates in millionths of a degree."""
    south, west, north, east = (
        round(degrees * 1e6) for degrees in (area.south, area.west, area.north, area.east)
    )
    is_east_of_west, is_west_of_east = longitudes >= west, longitudes <= east
    is_between = (
        is_east_of_west & is_west_of_east if west <= east else is_east_of_west | is_west_of_east
    )
    inside: Mask = (
        is_between & (latitudes >= south) & (latitudes <= north) & (longitudes <= 180_000_000)
    )
    return inside


def _mask_near(circle: Circle, latitudes: Values, longitudes: Values) -> Mask:
    """Return a mask: true for each place in a circle on the earth, by the haversine formula.

    The coordinates are in millionths of a degree. https://en.wikipedia.org/wiki/Haversine_formula
    """
    # The center is rounded as the coordinates are, so that a circle always contains its center.
    latitudes_rad = np.radians(latitudes / 1e6)
    latitude_rad = math.radians(round(circle.latitude * 1e6) / 1e6)
    longitude_offsets_rad = np.radians((longitudes - round(circle.longitude * 1e6)) / 1e6)
    haversine = np.sin((latitudes_rad - latitude_rad) / 2) ** 2
    haversine += (
        math.cos(latitude_rad) * np.cos(latitudes_rad) * np.sin(longitude_offsets_rad / 2) ** 2
    )
    is_within = (
        2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))) <= circle.radius_km
    )
    near: Mask = is_within & (latitudes != UNKNOWN_COORDINATE) & (longitudes != UNKNOWN_COORDINATE)
    return near
