"""How many images have what: the counts beside which a filter is chosen."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import chain

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters.columns import NONE, Images, Mask, Names, Values
from searchapp.catalog.filters.fields import UNKNOWN
from searchapp.catalog.path_keys import path_of
from searchapp.types import Facet, Facets, Month, Overview

VALUES = 50  # of a facet; the others are only counted
FOLDERS = 1000  # of the overview
SHARE = 0.05  # of the time, at most, that goes into reading folders while files change
PART = 10**8  # of YYYYMMDDhhmmss: what follows the month

Parts = Sequence[tuple[str, Mask]]


class Folders:
    """In which folder each file is, and of which image it is.

    While files change, they are read again now and then only: counts may be late by 20 times as
    long as reading them takes.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.names = Names()
        self.images, self.codes = NONE, NONE  # of each file
        self._state: tuple[int, ...] | None = None
        self._next = 0.0  # when it may be read again, by time.monotonic

    def catch_up(self, db: Database, state: tuple[int, ...]) -> None:
        """Read them where the catalogue has changed since."""
        begun = time.monotonic()
        if state == self._state or begun < self._next:
            return
        names = Names()
        rows = db.execute("select image_id, path from files")
        pairs = np.fromiter(
            chain.from_iterable(
                (image_id, names.code(os.path.dirname(path_of(path))))  # noqa: PTH120 (speed)
                for image_id, path in rows
            ),
            np.int64,
        )
        self.names, self.images, self.codes = names, pairs[0::2], pairs[1::2]
        self._state = state
        self._next = begun + (time.monotonic() - begun) / SHARE


def counted(db: Database, images: Images, folders: Folders, there: Mask, parts: Parts) -> Facets:
    """Count what images have that are there and fulfil the parts of a filter.

    Each kind is counted as if the filter asked nothing of its own, so that other values of it can
    be chosen; of keywords, several can be had at once.
    """

    def but(*own: str) -> Mask:
        masks = [there, *(mask for name, mask in parts if name not in own)]
        every: Mask = np.logical_and.reduce(masks)
        return every

    def facet(name: str) -> Facet:
        values = images.values(db, name)[but(name)]
        return _facet(images.names(name), values)

    images.tags.read(db, images.last)
    in_range = folders.images <= images.last
    of_files = folders.codes[in_range][but("folder")[folders.images[in_range]]]
    tagged = images.tags.codes[but()[images.tags.images]]
    formats = facet("format")
    return Facets(
        images=int(np.count_nonzero(but())),
        months=_months(images.values(db, "date"), images.values(db, "by_file"), but("date")),
        folders=_facet(folders.names, of_files),
        cameras=facet("camera"),
        lenses=facet("lens"),
        keywords=_facet(images.tags.names, tagged),
        ratings=_ratings(images.values(db, "rating")[but("rating")]),
        formats=Facet(tuple((n.lower(), count) for n, count in formats.values), formats.more),
    )


def spanned(dates: Values, folders: Folders) -> Overview:
    """Return in which folders files are, and the first and last of dates."""
    counts = np.bincount(folders.codes, minlength=1)
    names = list(folders.names.codes)
    most = np.argsort(-counts, kind="stable")[:FOLDERS]
    known = dates[dates != UNKNOWN]
    first, last = (_day(int(f(known))) for f in (np.min, np.max)) if len(known) else (None, None)
    found = ((names[code], int(counts[code])) for code in most)
    return Overview(
        tuple(sorted((name, count) for name, count in found if name is not None and count)),
        first,
        last,
    )


def _facet(names: Names, codes: Values) -> Facet:
    """Return how often each name's number is there; 0 is no name."""
    counts = np.bincount(codes, minlength=1)
    counts[0] = 0
    by_code = list(names.codes)
    order = np.argsort(-counts, kind="stable")
    values = tuple((str(by_code[code]), int(counts[code])) for code in order[:VALUES])
    found = tuple((name, count) for name, count in values if count)
    return Facet(found, int(np.count_nonzero(counts)) - len(found))


def _ratings(ratings: Values) -> Facet:
    counts = np.bincount(ratings + 1, minlength=7)
    names = ("rejected", "unrated", "1", "2", "3", "4", "5")
    found = [(name, int(n)) for name, n in zip(names, counts, strict=False) if n]
    stars = sorted((pair for pair in found if pair[0].isdecimal()), reverse=True)
    return Facet(tuple(stars + [pair for pair in found[::-1] if not pair[0].isdecimal()]), 0)


def _months(dates: Values, by_file: Values, mask: Mask) -> tuple[Month, ...]:
    known = mask & (dates != UNKNOWN)
    months = dates[known] // PART
    numbers = months // 100 * 12 + months % 100 - 1
    all_of = np.bincount(numbers)
    by_files = np.bincount(numbers, weights=by_file[known], minlength=len(all_of))
    return tuple(
        Month(f"{n // 12:04}-{n % 12 + 1:02}", int(all_of[n]), int(by_files[n]))
        for n in np.flatnonzero(all_of)
    )


def _day(number: int) -> str:
    text = f"{number:014}"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
