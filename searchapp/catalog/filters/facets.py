"""Count images by month, folder, camera and other facets, so that users can choose a filter."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import chain

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters.columns import EMPTY_IDS, Ids, ImageColumns, Mask, Values
from searchapp.catalog.filters.fields import UNKNOWN_COORDINATE, UNKNOWN_DATE
from searchapp.catalog.filters.text_codes import TextCodes
from searchapp.catalog.path_keys import decode_path
from searchapp.types import Facet, Facets, Month, Overview

MAX_FACET_VALUES = 50  # per facet; Facet.more counts the rest
MAX_PLACES = 1000
NO_CELL = -1
MAX_OVERVIEW_FOLDERS = 1000
MAX_FOLDER_READ_SHARE = 0.05  # maximum share of time spent on reading folders while files change
MONTH_DIVISOR = 10**8  # YYYYMMDDhhmmss // MONTH_DIVISOR is YYYYMM

FilterMasks = Sequence[tuple[str, Mask]]


class FolderColumn:
    """Cache the folders of each image.

    The cache may be outdated for up to 20 times the duration of its last read. This limits the
    load while files change.
    """

    def __init__(self) -> None:
        """Create an empty folder column: no files are read yet."""
        self.text_codes = TextCodes()
        # One element for each image and each folder with a file of it. If the files of the image
        # have different metadata, its elements have the ids of this metadata.
        self.row_ids, self.folder_codes = EMPTY_IDS, EMPTY_IDS
        self._state: tuple[int, ...] | None = None
        self._next_read_at = 0.0  # earliest time of the next read, by time.monotonic

    def catch_up(self, db: Database, state: tuple[int, ...]) -> None:
        """Read the folders of all files again if the catalog has changed since the last read."""
        begun = time.monotonic()
        if state == self._state or begun < self._next_read_at:
            return
        names = TextCodes()
        rows = db.execute(
            "select coalesce(m.metadata_id, f.image_id), f.path from files f"
            " left join file_metadata m on m.path = f.path"
        )
        pairs = np.fromiter(
            chain.from_iterable(
                (row_id, names.get_code(os.path.dirname(decode_path(path))))  # noqa: PTH120 (speed)
                for row_id, path in rows
            ),
            np.int64,
        )
        keys = np.unique(pairs[0::2] * len(names.codes) + pairs[1::2])
        self.row_ids, self.folder_codes = np.divmod(keys, len(names.codes))
        self.text_codes = names
        self._state = state
        self._next_read_at = begun + (time.monotonic() - begun) / MAX_FOLDER_READ_SHARE


def count_facets(
    db: Database,
    images: ImageColumns,
    folders: FolderColumn,
    base_mask: Mask,
    masks: FilterMasks,
    file_metadata: tuple[Ids, Ids],
    find: str = "",
) -> Facets:
    """Count images by facet, among the images that match all masks.

    find: only values that contain this text, ignoring case, are counted. Ratings, positions and
    months are not texts, and are always counted.

    A facet ignores the masks with its own name, so that its other values stay visible. Only the
    keyword facet obeys its own masks, because an image can have several keywords.
    file_metadata: image ids, and ids of the metadata of one of its files. Such an image counts for
    each value that its files have, once.
    """
    owners = np.arange(images.last_id + 1)  # the image of each row of the table images
    owners[file_metadata[1]] = file_metadata[0]
    base_mask = base_mask[owners]
    base_mask[file_metadata[0]] = False

    def combine_masks_except(*excluded_names: str) -> Mask:
        others = [base_mask, *(mask for name, mask in masks if name not in excluded_names)]
        combined: Mask = np.logical_and.reduce(others)
        return combined

    def select_values(values: Values, mask: Mask, row_ids: Ids | None = None) -> Ids:
        """Return the positions of values to count: of the rows in a mask, one for each image.

        row_ids: the rows of the values; None: the values of all rows.
        """
        positions = np.flatnonzero(mask if row_ids is None else mask[row_ids])
        rows = positions if row_ids is None else row_ids[positions]
        is_shared = owners[rows] != rows
        if not is_shared.any():
            return positions
        shared = positions[is_shared]
        pairs = np.stack([owners[rows[is_shared]], values[shared]])
        _, first = np.unique(pairs, axis=1, return_index=True)
        selected: Ids = np.concatenate([positions[~is_shared], shared[first]])
        return selected

    def count_text_facet(name: str) -> Facet:
        values = images.read_values(db, name)
        selected = select_values(values, combine_masks_except(name))
        return _count_texts(images.get_text_codes(name), values[selected], find)

    images.keywords.read_up_to(db, images.last_id)
    in_range = folders.row_ids <= images.last_id
    row_ids, folder_codes = folders.row_ids[in_range], folders.folder_codes[in_range]
    folder_codes = folder_codes[
        select_values(folder_codes, combine_masks_except("folder"), row_ids)
    ]
    keyword_codes = images.keywords.keyword_codes
    keyword_codes = keyword_codes[
        select_values(keyword_codes, combine_masks_except("any keyword"), images.keywords.image_ids)
    ]
    formats = count_text_facet("format")
    months = images.read_values(db, "date") // MONTH_DIVISOR
    dated = select_values(months, combine_masks_except("date"))
    ratings = images.read_values(db, "rating")
    cells = _number_cells(*(images.read_values(db, name) for name in ("latitude", "longitude")))
    named_ids, name_codes = images.places.read_different_codes(db, images.last_id)
    named = select_values(name_codes, combine_masks_except("place_name"), named_ids)
    return Facets(
        images=len(np.unique(owners[combine_masks_except()])),
        months=_count_months(months[dated], images.read_values(db, "by_file")[dated]),
        folders=_count_texts(folders.text_codes, folder_codes, find),
        cameras=count_text_facet("camera"),
        lenses=count_text_facet("lens"),
        keywords=_count_texts(images.keywords.text_codes, keyword_codes, find),
        ratings=_count_ratings(ratings[select_values(ratings, combine_masks_except("rating"))]),
        formats=Facet(tuple((n.lower(), count) for n, count in formats.values), formats.more),
        places=_count_places(cells[select_values(cells, combine_masks_except("place"))]),
        place_names=_count_texts(images.places.text_codes, name_codes[named], find),
    )


def build_overview(dates: Values, folders: FolderColumn) -> Overview:
    """Return the folders with the most images, sorted by path, and the range of the dates."""
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


def _count_months(months: Values, by_file: Values) -> tuple[Month, ...]:
    """Count months, as YYYYMM. by_file: 1 if only the file's modification time is known."""
    is_known = months != UNKNOWN_DATE // MONTH_DIVISOR
    numbers = months[is_known] // 100 * 12 + months[is_known] % 100 - 1
    counts = np.bincount(numbers)
    by_file_counts = np.bincount(numbers, weights=by_file[is_known], minlength=len(counts))
    return tuple(
        Month(f"{n // 12:04}-{n % 12 + 1:02}", int(counts[n]), int(by_file_counts[n]))
        for n in np.flatnonzero(counts)
    )


def _number_cells(latitudes: Values, longitudes: Values) -> Values:
    """Return a number for the square degree of each place; NO_CELL if the place is unknown."""
    is_known = (latitudes != UNKNOWN_COORDINATE) & (longitudes != UNKNOWN_COORDINATE)
    south, west = (np.floor(values / 1e6).astype(np.int64) for values in (latitudes, longitudes))
    return np.where(is_known, (south + 90) * 1000 + west + 180, NO_CELL)


def _count_places(cells: Values) -> tuple[tuple[int, int, int], ...]:
    """Count images by square degree: (south, west, number of images), most images first."""
    cells, counts = np.unique(cells[cells != NO_CELL], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_PLACES]
    return tuple(
        (int(cell) // 1000 - 90, int(cell) % 1000 - 180, int(count))
        for cell, count in zip(cells[order], counts[order], strict=True)
    )


def _format_day(number: int) -> str:
    text = f"{number:014}"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
