"""Sanitize metadata values from files: short printable text, keywords and ratings."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

from searchapp.files.text_form import normalize_text
from searchapp.pictures.metadata.dates import PartialDate

MAX_NAME_CHARS = 200
MAX_TITLE_CHARS = 500
MAX_DESCRIPTION_CHARS = 2000
MAX_KEYWORD_CHARS = 100
MAX_KEYWORDS = 200  # per picture
# Not printable for Python, but they join letters of some scripts, and parts of emoji.
ZERO_WIDTH_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class EmbeddedMetadata:
    """The values of one metadata block (EXIF, XMP or IPTC); an absent value is None or ()."""

    taken_at: PartialDate | None = None
    # Fallbacks for taken_at: when a scan or the file was made, and when the file was changed last.
    created_at: PartialDate | None = None
    modified_at: PartialDate | None = None
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


def _decode_invalid_bytes(error: UnicodeError) -> tuple[str, int]:
    """Return the text of bytes that are invalid in UTF-8, or undefined in Windows-1252."""
    assert isinstance(error, UnicodeDecodeError)
    data, end = error.object[error.start : error.end], error.end
    if error.encoding == "utf-8":
        return data.decode("cp1252", INVALID_BYTES_HANDLER), end
    return data.decode("latin-1"), end


INVALID_BYTES_HANDLER = "searchapp.invalid_bytes"
codecs.register_error(INVALID_BYTES_HANDLER, _decode_invalid_bytes)


def decode_undeclared_text(value: bytes) -> str:
    """Return a text whose encoding is not declared: UTF-8 if it is valid, else Windows-1252.

    Many programs write UTF-8 without a declaration. Older programs write the Windows encoding,
    which contains Latin-1.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", INVALID_BYTES_HANDLER)


def parse_rating(value: object) -> int | None:
    """Return a rating from 0 to 5, or -1 for rejected; None if the value is not a rating."""
    try:
        number = round(float(str(value)[:20].replace(",", ".")))
    except (ValueError, OverflowError):
        return None
    return number if -1 <= number <= 5 else None


def join_make_and_model(make: str | None, model: str | None) -> str | None:
    """Return a camera's make and model as one name, without the make twice."""
    make, model = make or "", model or ""
    return clean_text(model if make.split(" ")[0] in model else f"{make} {model}", MAX_NAME_CHARS)
