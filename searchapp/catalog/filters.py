"""Which embeddings fulfil a filter: what is asked most is kept in memory, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from searchapp.catalog import columns, conditions
from searchapp.catalog.columns import NOWHERE, UNKNOWN
from searchapp.catalog.keys import below
from searchapp.errors import QueryError
from searchapp.types import Filter

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = Iterable[tuple[int, Any]]
Kept = TypeVar("Kept", Ids, Mask)
KEPT = 8  # answers, and parts of answers, to filters that may be asked again
EARTH = 6371.0  # its mean radius, km
NEAR = "LATITUDE,LONGITUDE,KM, such as 48.85,2.35,5km"
NONE = np.zeros(0, np.int64)
FORMATS = {"jpg": "jpeg", "tif": "tiff", "heic": "heif", "jp2": "jpeg2000"}


@dataclass
class Names:
    """Texts as numbers, in the order in which they came; 0 is none."""

    codes: dict[str | None, int] = field(default_factory=lambda: {None: 0})

    def code(self, name: str | None) -> int:
        """Return a text's number."""
        return self.codes.setdefault(name, len(self.codes))

    def like(self, pattern: str) -> Mask:
        """Return, by number, which texts match a pattern, from any of their words on."""
        pattern = pattern.casefold()
        return np.array(
            [name is not None and matches(name.casefold(), pattern) for name in self.codes]
        )


def matches(name: str, pattern: str) -> bool:
    """Tell whether a text matches a pattern from any of its words on; both case-folded."""
    words = name.split(" ")
    return any(fnmatchcase(" ".join(words[n:]), pattern) for n in range(len(words)))


class Column:
    """One value of every image, read when it is first asked for: its place is the image's id."""

    def __init__(self, sql: str, nothing: int = 0, names: Names | None = None) -> None:
        """Begin with none. names: what turns texts into numbers."""
        self._sql = sql
        self._nothing = nothing
        self._names = names
        self._values = np.full(1, nothing, np.int64)

    def values(self, db: Database, last: int) -> Ids:
        """Return the values of all images up to an id, [last + 1]."""
        beyond = len(self._values) - 1
        if last > beyond:
            rows: Rows = db.execute(
                f"select id, {self._sql} from images where id > ? and id <= ?", (beyond, last)
            )
            if self._names is not None:
                code = self._names.code
                rows = ((id, code(name)) for id, name in rows)
            pairs = np.fromiter(chain.from_iterable(rows), np.int64)
            self._values = np.pad(self._values, (0, last - beyond), constant_values=self._nothing)
            self._values[pairs[0::2]] = pairs[1::2]
        return self._values


class Images:
    """What filters ask of images."""

    def __init__(self) -> None:
        """Begin with none."""
        self.last = 0  # the highest id
        self.cameras, self.formats = Names(), Names()
        self._taken = Column(columns.TAKEN, UNKNOWN)
        self._pixels = Column(columns.PIXELS)
        self._latitude = Column(columns.LATITUDE, NOWHERE)
        self._longitude = Column(columns.LONGITUDE, NOWHERE)
        self._camera = Column(columns.CAMERA, 0, self.cameras)
        self._format = Column(columns.FORMAT, 0, self.formats)

    def fulfilling(self, db: Database, wanted: Filter) -> Iterator[Mask]:
        """Yield, by image id, what fulfils each part of a filter that asks for something."""

        def of(column: Column) -> Ids:
            return column.values(db, self.last)

        if wanted.after is not None:
            yield of(self._taken) >= number_of(wanted.after, "0")
        if wanted.before is not None:
            taken = of(self._taken)
            yield (taken != UNKNOWN) & (taken <= number_of(wanted.before, "9"))
        if wanted.camera is not None:
            cameras = of(self._camera)
            yield self.cameras.like(wanted.camera)[cameras]
        if wanted.format is not None:
            formats = of(self._format)
            yield self.formats.like(format_of(wanted.format))[formats]
        if wanted.min_size is not None:
            yield of(self._pixels) >= wanted.min_size * 1e6
        if wanted.max_size is not None:
            yield of(self._pixels) <= wanted.max_size * 1e6
        if wanted.near is not None:
            yield _near(wanted.near, of(self._latitude), of(self._longitude))


def format_of(text: str) -> str:
    """Return the pattern of a format that is asked for: jpg and .jpeg are JPEG."""
    name = text.casefold().removeprefix(".")
    return FORMATS.get(name, name)


def place_of(text: str) -> tuple[float, float, float]:
    """Return latitude and longitude in degrees, and kilometres; raise QueryError."""
    try:
        latitude, longitude, km = (
            float(part) for part in text.lower().removesuffix("km").split(",")
        )
    except ValueError as error:
        raise QueryError(f"a place is {NEAR}; not {text!r}") from error
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 <= km < math.inf):
        raise QueryError(f"{text!r} is nowhere on earth; a place is {NEAR}")
    return latitude, longitude, km


def _near(text: str, latitudes: Ids, longitudes: Ids) -> Mask:
    """Tell what lies within a distance on the sphere (haversine)."""
    latitude, longitude, km = place_of(text)
    there, here = np.radians(latitudes / 1e6), math.radians(latitude)
    across = np.radians(longitudes / 1e6 - longitude)
    half = np.sin((there - here) / 2) ** 2
    half += math.cos(here) * np.cos(there) * np.sin(across / 2) ** 2
    within = 2 * EARTH * np.arcsin(np.sqrt(np.clip(half, 0, 1))) <= km
    near: Mask = within & (latitudes != NOWHERE) & (longitudes != NOWHERE)
    return near


def number_of(date: str, filler: str) -> int:
    """Return the beginning of a date as a number, the rest filled up."""
    digits = "".join(c for c in date if c.isdecimal())
    return int(digits[:14].ljust(14, filler))


class Filters:
    """The embeddings that fulfil filters, in step with the catalogue."""

    def __init__(self, db: Database) -> None:
        """Read nothing yet."""
        self._db = db
        self._state: tuple[int, ...] = ()
        self._images = Images()
        self._last: tuple[str] | None = None  # the last image's hash
        self._embedded: dict[int, tuple[Ids, Ids]] = {}  # by collection: ids, image ids
        self._fresh: set[int] = set()  # collections that were looked at since
        self._kept: dict[Any, Any] = {}

    def matching(self, collection_id: int, wanted: Filter) -> Ids:
        """Return the ids of a collection's embeddings of images that fulfil a filter.

        Errors: QueryError, for its condition.
        """
        with self._db.atomic():  # all is read as it was at one moment
            self._catch_up(collection_id)
            key = (collection_id, wanted)
            if key in self._kept:
                found: Ids = self._kept[key]
                return found
            masks = [*self._images.fulfilling(self._db, wanted)]
            if wanted.folder is not None:
                masks.append(self._below(wanted.folder))
            if wanted.where is not None:
                masks.append(self._where(wanted.where))
            ids, image_ids = self._embedded[collection_id]
            return self._keep(key, ids[np.logical_and.reduce(masks)[image_ids]] if masks else ids)

    def _below(self, folder: Path) -> Mask:
        if folder in self._kept:
            mask: Mask = self._kept[folder]
            return mask
        where, parameters = below(folder)
        # One long text is read in a third of the time of as many rows.
        (found,) = self._db.execute(
            f"select coalesce(group_concat(image_id), '') from files where {where}", parameters
        ).fetchone()
        return self._keep(folder, self._mask(np.fromstring(found, np.int64, sep=",")))

    def _where(self, condition: str) -> Mask:
        if condition in self._kept:
            mask: Mask = self._kept[condition]
            return mask
        (file,) = self._db.execute(
            "select file from pragma_database_list where name = 'main'"
        ).fetchone()
        return self._keep(condition, self._mask(conditions.matching(Path(file), condition)))

    def _mask(self, image_ids: Ids) -> Mask:
        mask = np.zeros(self._images.last + 1, np.bool_)
        mask[image_ids[image_ids <= self._images.last]] = True
        return mask

    def _keep(self, key: Any, value: Kept) -> Kept:
        while len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = value
        return value

    # In step with the catalogue

    def _catch_up(self, collection_id: int) -> None:
        """Read what is new where anything was written, and all of it where rows have gone."""
        # data_version tells of others' commits, total_changes of our own.
        (version,) = self._db.execute("pragma data_version").fetchone()
        state = (version, self._db.conn.total_changes)
        if state != self._state:
            self._kept.clear()
            self._fresh.clear()
            self._state = state
            self._read_images()
        if collection_id not in self._fresh:
            self._read_embedded(collection_id)
            self._fresh.add(collection_id)

    def _read_images(self) -> None:
        # An id can be given again after its image was deleted, if it was the last.
        last = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last,)
        ).fetchone()
        if last != self._last:
            self._images = Images()
        (self._images.last,) = self._db.execute(
            "select coalesce(max(id), 0) from images"
        ).fetchone()
        self._last = self._db.execute(
            "select sha256 from images where id = ?", (self._images.last,)
        ).fetchone()

    def _read_embedded(self, collection_id: int) -> None:
        """Embeddings' ids are never given twice: a count tells whether any of them went."""
        ids, image_ids = self._embedded.get(collection_id, (NONE, NONE))
        last = int(ids.max(initial=0))
        rows = self._db.execute(
            "select id, image_id from embeddings where +collection_id = ? and id > ?"
            if last
            else "select id, image_id from embeddings where collection_id = ? and ?",
            (collection_id, last or True),
        )
        new = np.fromiter(chain.from_iterable(rows), np.int64)
        ids, image_ids = np.append(ids, new[0::2]), np.append(image_ids, new[1::2])
        (count,) = self._db.execute(
            "select count(*) from embeddings where collection_id = ?", (collection_id,)
        ).fetchone()
        if count != len(ids) and last:
            del self._embedded[collection_id]
            self._images, self._last = Images(), None
            self._read_images()
            self._read_embedded(collection_id)
        else:
            self._embedded[collection_id] = ids, image_ids
