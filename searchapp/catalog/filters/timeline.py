"""List the images that match a filter as a timeline: newest first, grouped by day."""

from __future__ import annotations

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters.columns import Column, ImageColumns, Mask
from searchapp.catalog.filters.fields import UNKNOWN_DATE, FilterField
from searchapp.types import Timeline

MIN_RATIO_PERCENT, MAX_RATIO_PERCENT = 10, 1000
DAY_DIVISOR = 10**6  # YYYYMMDDhhmmss // DAY_DIVISOR is YYYYMMDD
# Not one of FILTER_FIELDS, because each of those fields is also stored in Milvus.
RATIO_FIELD = FilterField(
    f"min(max(width * 100 / max(height, 1), {MIN_RATIO_PERCENT}), {MAX_RATIO_PERCENT})",
    missing_value=100,
    dtype="int16",
)


class TimelineColumn:
    """Cache the aspect ratio of all images, and list the images of a mask by date."""

    def __init__(self) -> None:
        """Create an empty cache; no aspect ratios are read yet."""
        self._ratios = Column(RATIO_FIELD)

    def list_images(self, db: Database, images: ImageColumns, mask: Mask) -> Timeline:
        """Return the images of a mask, newest first; undated images come last.

        Images with the same date are sorted by descending id.
        """
        image_ids = np.flatnonzero(mask)
        dates = images.read_values(db, "date")[image_ids]
        order = np.lexsort((image_ids, dates))[::-1]
        image_ids, days = image_ids[order], dates[order] // DAY_DIVISOR
        starts = np.flatnonzero(np.diff(days, prepend=np.iinfo(np.int64).max))
        counts = np.diff(starts, append=len(days))
        return Timeline(
            days=tuple(
                (_format_day(int(day)), int(count))
                for day, count in zip(days[starts], counts, strict=True)
            ),
            image_ids=tuple(image_ids.tolist()),
            ratios=tuple(self._ratios.read_values(db, images.last_id)[image_ids].tolist()),
        )


def _format_day(number: int) -> str:
    """Format YYYYMMDD as an ISO 8601 date; an unknown date is the empty text."""
    if number <= UNKNOWN_DATE:
        return ""
    text = f"{number:08}"
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"
