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

from searchapp.catalog.filters.fields import FIELDS, NOWHERE, Field
from searchapp.types import Between, Circle, Filter

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Values = NDArray[np.signedinteger[Any]]
Rows = Iterable[tuple[int, Any]]
MOST = 2**62
EARTH = 6371.0  # its mean radius, km
NONE = np.zeros(0, np.int64)
FORMATS = {"jpg": "jpeg", "tif": "tiff", "heic": "heif", "jp2": "jpeg2000"}


@dataclass
class Names:
    """Texts as numbers, in the order in which they came; 0 is none."""

    codes: dict[str | None, int] = field(default_factory=lambda: {None: 0})

    def code(self, name: str | None) -> int:
        """Return a text's number."""
        return self.codes.setdefault(name, len(self.codes))

    def like(self, pattern: str, *, whole: bool = False) -> Mask:
        """Return, by number, which texts match a pattern, from any of their words on, or whole."""
        fits = like(pattern, whole=whole)
        return np.array([name is not None and fits(name) for name in self.codes])


def like(pattern: str, *, whole: bool = False) -> Callable[[str], bool]:
    """Return what tells whether a text matches a pattern, from any of its words on, or whole."""
    matches = re.compile(translate(pattern.casefold().replace("[", "[[]"))).match

    def fits(name: str) -> bool:
        name = name.casefold()
        if whole:
            return matches(name) is not None
        words = name.split(" ")
        return any(matches(" ".join(words[n:])) for n in range(len(words)))

    return fits


class Column:
    """One value of every image, read when it is first asked for: its place is the image's id."""

    def __init__(self, of: Field) -> None:
        """Begin with none."""
        self._of = of
        self.names = Names()  # of texts, which are numbers here
        self._values: Values = np.full(1, of.nothing, of.type)

    def values(self, db: Database, last: int) -> Values:
        """Return the values of all images up to an id, [last + 1]."""
        beyond = len(self._values) - 1
        if last > beyond:
            rows: Rows = db.execute(
                f"select id, {self._of.sql} from images where id > ? and id <= ?", (beyond, last)
            )
            if self._of.is_text:
                code = self.names.code
                rows = ((id, code(name)) for id, name in rows)
            pairs = np.fromiter(chain.from_iterable(rows), np.int64)
            more = (0, last - beyond)
            self._values = np.pad(self._values, more, constant_values=self._of.nothing)
            self._values[pairs[0::2]] = pairs[1::2]
        return self._values


class Images:
    """What filters ask of images."""

    def __init__(self) -> None:
        """Begin with none."""
        self.last = 0  # the highest id
        self.frames: tuple[Ids, Ids] = (NONE, NONE)  # of videos: their ids, and the videos'
        self.tags = Tags()
        self._columns = {name: Column(field) for name, field in FIELDS.items()}

    def values(self, db: Database, name: str) -> Values:
        """Return a field's values of all images, [last + 1]; those of a text are its numbers."""
        return self._columns[name].values(db, self.last)

    def names(self, name: str) -> Names:
        """Return the numbers of a field's texts, as far as its values were asked for."""
        return self._columns[name].names

    def fulfilling(self, db: Database, wanted: Filter) -> Iterator[tuple[str, Mask]]:
        """Yield, by image id, what fulfils each part of a filter that asks for something.

        Each comes with the name of what it is about.
        """
        for about, part in ranges(wanted):
            values = self.values(db, part.field)
            yield about, (values >= part.low) & (values <= part.high)
        for name, pattern in patterns(wanted):
            numbers = self.values(db, name)
            yield name, self.names(name).like(pattern)[numbers]
        for pattern in wanted.keyword:
            yield "keyword", self.tags.having(db, pattern, self.last)
        if wanted.near is not None:
            latitudes, longitudes = self.values(db, "latitude"), self.values(db, "longitude")
            yield "place", _near(wanted.near, latitudes, longitudes)


def ranges(wanted: Filter) -> Iterator[tuple[str, Between]]:
    """Yield what a filter asks of numbers, each with the name of what it is about."""
    if wanted.after is not None:
        yield "date", Between("date", wanted.after.earliest, MOST)
    if wanted.before is not None:
        yield "date", Between("date", 0, wanted.before.latest)
    if wanted.taken:
        yield "taken", Between("by_file", 0, 0)
    if wanted.rating is not None:
        yield "rating", Between("rating", wanted.rating.low, wanted.rating.high)
    if wanted.min_size is not None:
        yield "size", Between("pixels", _whole(wanted.min_size, math.ceil), MOST)
    if wanted.max_size is not None:
        yield "size", Between("pixels", 0, _whole(wanted.max_size, math.floor))


def patterns(wanted: Filter) -> Iterator[tuple[str, str]]:
    """Yield the patterns that a filter has for texts, each after its field."""
    if wanted.camera is not None:
        yield "camera", wanted.camera
    if wanted.lens is not None:
        yield "lens", wanted.lens
    if wanted.format is not None:
        yield "format", format_of(wanted.format)


def _whole(megapixels: float, rounded: Callable[[float], int]) -> int:
    pixels = megapixels * 1e6
    if not -MOST < pixels < MOST:
        return MOST if pixels > 0 else -MOST
    return rounded(pixels)


class Tags:
    """The keywords of all images, read when they are first asked for."""

    def __init__(self) -> None:
        """Begin with none."""
        self.names = Names()
        self._read = 0  # the last image
        self.images, self.codes = NONE, NONE  # one for each keyword of each image

    def read(self, db: Database, last: int) -> None:
        """Read those of images up to an id."""
        if last > self._read:
            rows = db.execute(
                "select image_id, keyword from keywords where image_id > ? and image_id <= ?",
                (self._read, last),
            )
            code = self.names.code
            new = np.fromiter(chain.from_iterable((id, code(word)) for id, word in rows), np.int64)
            self.images = np.append(self.images, new[0::2])
            self.codes = np.append(self.codes, new[1::2])
            self._read = last

    def having(self, db: Database, pattern: str, last: int) -> Mask:
        """Return, by image id, which have a keyword that matches a pattern."""
        self.read(db, last)
        mask = np.zeros(last + 1, np.bool_)
        mask[self.images[self.names.like(pattern, whole=True)[self.codes]]] = True
        return mask


def format_of(text: str) -> str:
    """Return the pattern of a format that is asked for: jpg and .jpeg are JPEG."""
    name = text.casefold().removeprefix(".")
    return FORMATS.get(name, name)


def _near(circle: Circle, latitudes: Values, longitudes: Values) -> Mask:
    """Tell what lies within a distance on the sphere (haversine)."""
    there, here = np.radians(latitudes / 1e6), math.radians(circle.latitude)
    across = np.radians(longitudes / 1e6 - circle.longitude)
    half = np.sin((there - here) / 2) ** 2
    half += math.cos(here) * np.cos(there) * np.sin(across / 2) ** 2
    within = 2 * EARTH * np.arcsin(np.sqrt(np.clip(half, 0, 1))) <= circle.radius_km
    near: Mask = within & (latitudes != NOWHERE) & (longitudes != NOWHERE)
    return near
