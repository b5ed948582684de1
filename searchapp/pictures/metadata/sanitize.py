"""Sanitize metadata values from files: short printable text, plausible dates and positions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from searchapp.files.text_form import normalize_text

MAX_NAME_CHARS = 200
MAX_TITLE_CHARS = 500
MAX_DESCRIPTION_CHARS = 2000
MAX_KEYWORD_CHARS = 100
MAX_KEYWORDS = 200  # per picture
PLAUSIBLE_YEARS = range(1800, 2200)  # Cameras with a wrong clock write years outside this range.
DATE_PATTERN = re.compile(
    r"(\d{4})(?:[:-](\d\d)(?:[:-](\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d*)?)?)?)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d)?"
)
# Not printable for Python, but they join letters of some scripts, and parts of emoji.
ZERO_WIDTH_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class EmbeddedMetadata:
    """The values of one metadata block (EXIF, XMP or IPTC); an absent value is None or ()."""

    taken_at: str | None = None  # ISO 8601, with the UTC offset if it is known
    written_at: str | None = None  # when the file was created: a fallback for taken_at
    camera: str | None = None
    lens: str | None = None
    latitude: float | None = None  # degrees, north positive; None if longitude is None
    longitude: float | None = None
    rating: int | None = None  # 1 to 5 stars; -1: rejected; 0: explicitly unrated
    keywords: tuple[str, ...] = ()
    title: str | None = None
    description: str | None = None


NO_METADATA = EmbeddedMetadata()


def clean_text(value: object, max_chars: int) -> str | None:
    """Return a text as one line of at most max_chars characters, in the Unicode form NFC.

    Returns None instead of an empty line.

    Control characters are removed, because they could control the terminal.
    """
    if not isinstance(value, str):
        return None
    line = normalize_text(" ".join(value[: 20 * max_chars].split()))
    kept = "".join(c for c in line if c.isprintable() or c in ZERO_WIDTH_JOINERS)
    return kept.strip()[:max_chars].rstrip() or None


def clean_keywords(values: Iterable[object]) -> tuple[str, ...]:
    """Return the keywords without duplicates, ignoring case.

    A hierarchical keyword such as Europe|France gives one keyword for each part.
    Maße (dimensions) and Masse (mass) are two words, so lower() compares them, not casefold().
    """
    keyword_by_lower: dict[str, str] = {}
    for value in values:
        for part in value.split("|") if isinstance(value, str) else ():
            word = clean_text(part, MAX_KEYWORD_CHARS)
            if word:
                keyword_by_lower.setdefault(normalize_text(word).lower(), word)
        if len(keyword_by_lower) >= MAX_KEYWORDS:
            break
    return tuple(keyword_by_lower.values())[:MAX_KEYWORDS]


def parse_rating(value: object) -> int | None:
    """Return a rating from 0 to 5, or -1 for rejected; None if the value is not a rating."""
    try:
        number = round(float(str(value)[:20]))
    except (ValueError, OverflowError):
        return None
    return number if -1 <= number <= 5 else None


def normalize_date(value: object, offset: object = None) -> str | None:
    """Return a date in ISO 8601; None if it is not a plausible date.

    A missing month or day counts as the first; a missing time counts as midnight.
    value: as EXIF or XMP writes it, with or without a UTC offset.
    offset: the UTC offset if value has none.
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
    """Return a local time in ISO 8601, with its UTC offset if the offset is valid.

    offset: Z, +02:00 or +0200.
    """
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", "+00:00" if offset == "Z" else offset[:10])
    if found:
        utc_offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if utc_offset <= timedelta(hours=14):
            zone = timezone(-utc_offset if found[1] == "-" else utc_offset)
            return local.replace(tzinfo=zone).isoformat()
    return local.isoformat()


def validate_position(latitude: float, longitude: float) -> tuple[float | None, float | None]:
    """Return a position, rounded to 7 decimals; (None, None) if it is outside the valid range."""
    if abs(latitude) <= 90 and abs(longitude) <= 180:
        return round(latitude, 7), round(longitude, 7)
    return None, None


def join_make_and_model(make: str | None, model: str | None) -> str | None:
    """Return a camera's make and model as one name, without the make twice."""
    make, model = make or "", model or ""
    return clean_text(model if make.split(" ")[0] in model else f"{make} {model}", MAX_NAME_CHARS)
