"""What filters ask of images, kept in memory as arrays whose places are the images' ids."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog.filters.fields import FILTER_FIELDS, UNKNOWN_COORDINATE, FilterField
from searchapp.types import Between, Circle, Filter

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Values = NDArray[np.signedinteger[Any]]
Rows = Iterable[tuple[int, Any]]
MAX_NUMBER = 2**62
EARTH_RADIUS_KM = 6371.0  # its mean radius, km
EMPTY_IDS = np.zeros(0, np.int64)
FORMAT_ALIASES = {"jpg": "jpeg", "tif": "tiff", "heic": "heif", "jp2": "jpeg2000"}


@dataclass
class TextCodes:
    """Texts as numbers, in the order in which they came; 0 is none."""

    codes: dict[str | None, int] = field(default_factory=lambda: {None: 0})

    def get_code(self, name: str | None) -> int:
        """Return a text's number."""
        return self.codes.setdefault(name, len(self.codes))

    def match_pattern(self, pattern: str, *, whole_text: bool = False) -> Mask:
        """Return, by number, which texts match a pattern, from any of their words on, or whole."""
        is_match = compile_pattern(pattern, whole_text=whole_text)
        return np.array([name is not None and is_match(name) for name in self.codes])


def compile_pattern(pattern: str, *, whole_text: bool = False) -> Callable[[str], bool]:
    """Return what tells whether a text matches a pattern, from any of its words on, or whole."""
    matches = re.compile(translate(pattern.casefold().replace("[", "[[]"))).match

    def is_match(name: str) -> bool:
        name = name.casefold()
        if whole_text:
            return matches(name) is not None
        words = name.split(" ")
        return any(matches(" ".join(words[n:])) for n in range(len(words)))

    return is_match


class Column:
    """One value of every image, read when it is first asked for: its place is the image's id."""

    def __init__(self, filter_field: FilterField) -> None:
        """Begin with none."""
        self._field = filter_field
        self.text_codes = TextCodes()  # of texts, which are numbers here
        self._values: Values = np.full(1, filter_field.missing_value, filter_field.dtype)

    def read_values(self, db: Database, last: int) -> Values:
        """Return the values of all images up to an id, [last + 1]."""
        last_read = len(self._values) - 1
        if last > last_read:
            rows: Rows = db.execute(
                f"select id, {self._field.sql} from images where id > ? and id <= ?",
                (last_read, last),
            )
            if self._field.is_text:
                code = self.text_codes.get_code
                rows = ((id, code(name)) for id, name in rows)
            pairs = np.fromiter(chain.from_iterable(rows), np.int64)
            more = (0, last - last_read)
            self._values = np.pad(self._values, more, constant_values=self._field.missing_value)
            self._values[pairs[0::2]] = pairs[1::2]
        return self._values


class ImageColumns:
    """What filters ask of images."""

    def __init__(self) -> None:
        """Begin with none."""
        self.last_id = 0  # the highest id
        self.frames: tuple[Ids, Ids] = (
            EMPTY_IDS,
            EMPTY_IDS,
        )  # of videos: their ids, and the videos'
        self.keywords = KeywordColumn()
        self._columns = {name: Column(field) for name, field in FILTER_FIELDS.items()}

    def read_values(self, db: Database, name: str) -> Values:
        """Return a field's values of all images, [last + 1]; those of a text are its numbers."""
        return self._columns[name].read_values(db, self.last_id)

    def get_text_codes(self, name: str) -> TextCodes:
        """Return the numbers of a field's texts, as far as its values were asked for."""
        return self._columns[name].text_codes

    def build_masks(self, db: Database, image_filter: Filter) -> Iterator[tuple[str, Mask]]:
        """Yield, by image id, what fulfils each part of a filter that asks for something.

        Each comes with the name of what it is about.
        """
        for about, part in list_number_conditions(image_filter):
            values = self.read_values(db, part.field)
            yield about, (values >= part.low) & (values <= part.high)
        for name, pattern in list_text_patterns(image_filter):
            numbers = self.read_values(db, name)
            yield name, self.get_text_codes(name).match_pattern(pattern)[numbers]
        for pattern in image_filter.keyword:
            yield "keyword", self.keywords.match_keyword(db, pattern, self.last_id)
        if image_filter.near is not None:
            latitudes, longitudes = (
                self.read_values(db, "latitude"),
                self.read_values(db, "longitude"),
            )
            yield "place", _mask_near(image_filter.near, latitudes, longitudes)


def list_number_conditions(image_filter: Filter) -> Iterator[tuple[str, Between]]:
    """Yield what a filter asks of numbers, each with the name of what it is about."""
    if image_filter.after is not None:
        yield "date", Between("date", image_filter.after.earliest, MAX_NUMBER)
    if image_filter.before is not None:
        yield "date", Between("date", 0, image_filter.before.latest)
    if image_filter.taken:
        yield "taken", Between("by_file", 0, 0)
    if image_filter.rating is not None:
        yield "rating", Between("rating", image_filter.rating.low, image_filter.rating.high)
    if image_filter.min_size is not None:
        yield (
            "size",
            Between("pixels", _megapixels_to_pixels(image_filter.min_size, math.ceil), MAX_NUMBER),
        )
    if image_filter.max_size is not None:
        yield "size", Between("pixels", 0, _megapixels_to_pixels(image_filter.max_size, math.floor))


def list_text_patterns(image_filter: Filter) -> Iterator[tuple[str, str]]:
    """Yield the patterns that a filter has for texts, each after its field."""
    if image_filter.camera is not None:
        yield "camera", image_filter.camera
    if image_filter.lens is not None:
        yield "lens", image_filter.lens
    if image_filter.format is not None:
        yield "format", normalize_format(image_filter.format)


def _megapixels_to_pixels(megapixels: float, round_pixels: Callable[[float], int]) -> int:
    pixels = megapixels * 1e6
    if not -MAX_NUMBER < pixels < MAX_NUMBER:
        return MAX_NUMBER if pixels > 0 else -MAX_NUMBER
    return round_pixels(pixels)


class KeywordColumn:
    """The keywords of all images, read when they are first asked for."""

    def __init__(self) -> None:
        """Begin with none."""
        self.text_codes = TextCodes()
        self._last_read = 0  # the last image
        self.image_ids, self.keyword_codes = (
            EMPTY_IDS,
            EMPTY_IDS,
        )  # one for each keyword of each image

    def read_up_to(self, db: Database, last: int) -> None:
        """Read those of images up to an id."""
        if last > self._last_read:
            rows = db.execute(
                "select image_id, keyword from keywords where image_id > ? and image_id <= ?",
                (self._last_read, last),
            )
            code = self.text_codes.get_code
            new = np.fromiter(chain.from_iterable((id, code(word)) for id, word in rows), np.int64)
            self.image_ids = np.append(self.image_ids, new[0::2])
            self.keyword_codes = np.append(self.keyword_codes, new[1::2])
            self._last_read = last

    def match_keyword(self, db: Database, pattern: str, last: int) -> Mask:
        """Return, by image id, which have a keyword that matches a pattern."""
        self.read_up_to(db, last)
        mask = np.zeros(last + 1, np.bool_)
        mask[
            self.image_ids[
                self.text_codes.match_pattern(pattern, whole_text=True)[self.keyword_codes]
            ]
        ] = True
        return mask


def normalize_format(text: str) -> str:
    """Return the pattern of a format that is asked for: jpg and .jpeg are JPEG."""
    name = text.casefold().removeprefix(".")
    return FORMAT_ALIASES.get(name, name)


def _mask_near(circle: Circle, latitudes: Values, longitudes: Values) -> Mask:
    """Tell what lies within a distance on the sphere (haversine)."""
    latitudes_rad, latitude_rad = np.radians(latitudes / 1e6), math.radians(circle.latitude)
    longitude_offsets_rad = np.radians(longitudes / 1e6 - circle.longitude)
    haversine = np.sin((latitudes_rad - latitude_rad) / 2) ** 2
    haversine += (
        math.cos(latitude_rad) * np.cos(latitudes_rad) * np.sin(longitude_offsets_rad / 2) ** 2
    )
    is_within = (
        2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))) <= circle.radius_km
    )
    near: Mask = is_within & (latitudes != UNKNOWN_COORDINATE) & (longitudes != UNKNOWN_COORDINATE)
    return near
