"""Count images by month, folder, camera and other facets, so that users can choose a filter."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import chain

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters.columns import EMPTY_IDS, ImageColumns, Mask, TextCodes, Values
from searchapp.catalog.filters.fields import UNKNOWN_COORDINATE, UNKNOWN_DATE
from searchapp.catalog.path_keys import decode_path
from searchapp.types import Facet, Facets, Month, Overview

MAX_FACET_VALUES = 50  # per facet; Facet.more counts the rest
MAX_PLACES = 1000
MAX_OVERVIEW_FOLDERS = 1000
MAX_FOLDER_READ_SHARE = 0.05  # maximum share of time spent on reading folders while files change
MONTH_DIVISOR = 10**8  # YYYYMMDDhhmmss // MONTH_DIVISOR is YYYYMM

FilterMasks = Sequence[tuple[str, Mask]]


class FolderColumn:
    """Cache the folder and the image id of each file.

    The cache may be outdated for up to 20 times the duration of its last read. This limits the
    load while files change.
    """

    def __init__(self) -> None:
        """Create an empty folder column: no files are read yet."""
        self.text_codes = TextCodes()
        self.image_ids, self.folder_codes = EMPTY_IDS, EMPTY_IDS  # one element per file
        self._state: tuple[int, ...] | None = None
        self._next_read_at = 0.0  # earliest time of the next read, by time.monotonic

    def catch_up(self, db: Database, state: tuple[int, ...]) -> None:
        """Read the folders of all files again if the catalog has changed since the last read."""
        begun = time.monotonic()
        if state == self._state or begun < self._next_read_at:
            return
        names = TextCodes()
        rows = db.execute("select image_id, path from files")
        pairs = np.fromiter(
            chain.from_iterable(
                (image_id, names.get_code(os.path.dirname(decode_path(path))))  # noqa: PTH120 (speed)
                for image_id, path in rows
            ),
            np.int64,
        )
        self.text_codes, self.image_ids, self.folder_codes = names, pairs[0::2], pairs[1::2]
        self._state = state
        self._next_read_at = begun + (time.monotonic() - begun) / MAX_FOLDER_READ_SHARE


def count_facets(
    db: Database,
    images: ImageColumns,
    folders: FolderColumn,
    base_mask: Mask,
    masks: FilterMasks,
    find: str = "",
) -> Facets:
    """Count images by facet, among the images that match all masks.

    find: only values that contain this text, ignoring case, are counted.

    A facet ignores the masks with its own name, so that its other values stay visible. Only the
    keyword facet obeys its own masks, because an image can have several keywords.
    """

    def combine_masks_except(*excluded_names: str) -> Mask:
        others = [base_mask, *(mask for name, mask in masks if name not in excluded_names)]
        combined: Mask = np.logical_and.reduce(others)
        return combined

    def count_text_facet(name: str) -> Facet:
        values = images.read_values(db, name)[combine_masks_except(name)]
        return _count_texts(images.get_text_codes(name), values, find)

    images.keywords.read_up_to(db, images.last_id)
    in_range = folders.image_ids <= images.last_id
    folder_codes = folders.folder_codes[in_range][
        combine_masks_except("folder")[folders.image_ids[in_range]]
    ]
    keyword_codes = images.keywords.keyword_codes[
        combine_masks_except("any keyword")[images.keywords.image_ids]
    ]
    formats = count_text_facet("format")
    return Facets(
        images=int(np.count_nonzero(combine_masks_except())),
        months=_count_months(
            images.read_values(db, "date"),
            images.read_values(db, "by_file"),
            combine_masks_except("date"),
        ),
        folders=_count_texts(folders.text_codes, folder_codes, find),
        cameras=count_text_facet("camera"),
        lenses=count_text_facet("lens"),
        keywords=_count_texts(images.keywords.text_codes, keyword_codes, find),
        ratings=_count_ratings(images.read_values(db, "rating")[combine_masks_except("rating")]),
        formats=Facet(tuple((n.lower(), count) for n, count in formats.values), formats.more),
        places=_count_places(
            images.read_values(db, "latitude")[combine_masks_except("place")],
            images.read_values(db, "longitude")[combine_masks_except("place")],
        ),
    )


def build_overview(dates: Values, folders: FolderColumn) -> Overview:
    """Return the folders with the most files, sorted by path, and the range of the dates."""
    counts = np.bincount(folders.folder_codes, minlength=1)
    names = list(folders.text_codes.codes)
    largest = np.argsort(-counts, kind="stable")[:MAX_OVERVIEW_FOLDERS]
    known = dates[dates != UNKNOWN_DATE]
    first, last = (
        (_format_day(int(f(known))) for f in (np.min, np.max)) if len(known) else (None, None)
    )
    found = ((names[code], int(counts[code])) for code in largest)
    return Overview(
        tuple(sorted((name, count) for name, count in found if name is not None and count)),
        first,
        last,
    )


def _count_texts(names: TextCodes, codes: Values, find: str = "") -> Facet:
    """Count how often each text occurs, by its code, most frequent first; skip code 0 (no text).

    find: skip texts that do not contain it, ignoring case.
    """
    counts = np.bincount(codes, minlength=1)
    counts[0] = 0
    by_code = list(names.codes)
    if find:
        wanted = find.casefold()
        for code in np.flatnonzero(counts):
            if wanted not in str(by_code[code]).casefold():
                counts[code] = 0
    order = np.argsort(-counts, kind="stable")
    values = tuple((str(by_code[code]), int(counts[code])) for code in order[:MAX_FACET_VALUES])
    found = tuple((name, count) for name, count in values if count)
    return Facet(found, int(np.count_nonzero(counts)) - len(found))


def _count_ratings(ratings: Values) -> Facet:
    counts = np.bincount(ratings + 1, minlength=7)
    names = ("rejected", "unrated", "1", "2", "3", "4", "5")
    found = [(name, int(n)) for name, n in zip(names, counts, strict=False) if n]
    stars = sorted((pair for pair in found if pair[0].isdecimal()), reverse=True)
    return Facet(tuple(stars + [pair for pair in found[::-1] if not pair[0].isdecimal()]), 0)


def _count_months(dates: Values, by_file: Values, mask: Mask) -> tuple[Month, ...]:
    known = mask & (dates != UNKNOWN_DATE)
    months = dates[known] // MONTH_DIVISOR
    numbers = months // 100 * 12 + months % 100 - 1
    counts = np.bincount(numbers)
    by_file_counts = np.bincount(numbers, weights=by_file[known], minlength=len(counts))
    return tuple(
        Month(f"{n // 12:04}-{n % 12 + 1:02}", int(counts[n]), int(by_file_counts[n]))
        for n in np.flatnonzero(counts)
    )


def _count_places(latitudes: Values, longitudes: Values) -> tuple[tuple[int, int, int], ...]:
    """Count images by square degree: (south, west, number of images), most images first."""
    known = (latitudes != UNKNOWN_COORDINATE) & (longitudes != UNKNOWN_COORDINATE)
    south, west = (np.floor(values[known] / 1e6).astype(int) for values in (latitudes, longitudes))
    cells, counts = np.unique((south + 90) * 1000 + west + 180, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_PLACES]
    return tuple(
        (int(cell) // 1000 - 90, int(cell) % 1000 - 180, int(count))
        for cell, count in zip(cells[order], counts[order], strict=True)
    )


def _format_day(number: int) -> str:
    text = f"{number:014}"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
