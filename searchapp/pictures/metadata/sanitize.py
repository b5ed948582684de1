"""What one kind of metadata says of a picture, made harmless: short, printable, and possible."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

MAX_NAME_CHARS, MAX_TITLE_CHARS, MAX_DESCRIPTION_CHARS, MAX_KEYWORD_CHARS = (
    200,
    500,
    2000,
    100,
)  # characters
MAX_KEYWORDS = 200  # of one picture
PLAUSIBLE_YEARS = range(1800, 2200)  # what lies beyond was not meant
DATE_PATTERN = re.compile(
    r"(\d{4})(?:[:-](\d\d)(?:[:-](\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d*)?)?)?)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d)?"
)
ZERO_WIDTH_JOINERS = "\u200c\u200d"  # are not shown, and make letters and emoji what they are


@dataclass(frozen=True, slots=True)
class EmbeddedMetadata:
    """What is said; None and () where nothing is."""

    taken_at: str | None = None  # ISO 8601, with the offset where it is known
    written_at: str | None = None  # when the file was made, which may be when it was taken
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None  # degrees, north positive; with a longitude or not at all
    longitude: float | None = None
    rating: int | None = None  # 1 to 5 stars; -1: rejected; 0: said to have none
    keywords: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None


def clean_text(value: object, max_chars: int) -> str | None:
    """Return a text in one line of so many characters, none of which steers a terminal."""
    if not isinstance(value, str):
        return None
    line = " ".join(value[: 20 * max_chars].split())
    kept = "".join(c for c in line if c.isprintable() or c in ZERO_WIDTH_JOINERS)
    return kept.strip()[:max_chars].rstrip() or None


def clean_keywords(values: Iterable[object]) -> tuple[str, ...]:
    """Return keywords, each once in whatever case; of a path of them, Europe|France, each part."""
    keyword_by_casefold: dict[str, str] = {}
    for value in values:
        for part in value.split("|") if isinstance(value, str) else ():
            word = clean_text(part, MAX_KEYWORD_CHARS)
            if word:
                keyword_by_casefold.setdefault(word.casefold(), word)
        if len(keyword_by_casefold) >= MAX_KEYWORDS:
            break
    return tuple(keyword_by_casefold.values())[:MAX_KEYWORDS]


def parse_rating(value: object) -> int | None:
    """Return a rating: 0 to 5, or -1 for what was rejected; None where it is none of these."""
    try:
        number = round(float(str(value)[:20]))
    except (ValueError, OverflowError):
        return None
    return number if -1 <= number <= 5 else None


def normalize_date(value: object, offset: object = None) -> str | None:
    """Return a date, or the beginning of one, in ISO 8601; what is missing of it is its first.

    value: as EXIF and XMP write it, maybe with an offset. offset: used where value has none.
    """
    found = DATE_PATTERN.fullmatch(str(value)[:40].strip("\0 "))
    if found is None or int(found[1]) not in PLAUSIBLE_YEARS:
        return None
    parts = [int(part or first) for part, first in zip(found.groups()[:6], "011000", strict=True)]
    try:
        return format_with_utc_offset(datetime(*parts), found[7] or str(offset or "").strip("\0 "))  # type: ignore[arg-type]
    except ValueError:
        return None


def format_with_utc_offset(local: datetime, offset: str) -> str:
    """Return a moment in ISO 8601, with its offset where that is one: Z, +02:00 or +0200."""
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", "+00:00" if offset == "Z" else offset[:10])
    if found:
        utc_offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if utc_offset <= timedelta(hours=14):
            zone = timezone(-utc_offset if found[1] == "-" else utc_offset)
            return local.replace(tzinfo=zone).isoformat()
    return local.isoformat()


def validate_position(latitude: float, longitude: float) -> tuple[float | None, float | None]:
    """Return a place on earth; twice None for any other, and for what is not a number."""
    if abs(latitude) <= 90 and abs(longitude) <= 180:
        return round(latitude, 7), round(longitude, 7)
    return None, None


def join_make_and_model(make: str | None, model: str | None) -> str | None:
    """Return a maker and a model as one name, without the maker twice."""
    make, model = make or "", model or ""
    return clean_text(model if make.split(" ")[0] in model else f"{make} {model}", MAX_NAME_CHARS)
