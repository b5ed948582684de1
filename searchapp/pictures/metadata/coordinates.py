"""Parse coordinates from EXIF and XMP: degrees with signs, with directions, and as words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

MAX_TEXT_CHARS = 100
# A number, or a fraction such as 121/2 as EXIF stores numbers.
NUMBER_PATTERN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]\d+|/\d+)?")
WORD_PATTERN = re.compile(r"[^\W\d_]+")
# Many keyboards have the ordinal indicator \u00ba, a letter, in place of the degree sign.
UNIT_WORDS = frozenset({"deg", "degree", "degrees", "min", "minute", "minutes", "sec", "second",
                        "seconds", "\u00ba"})  # fmt: skip
SIGN_BY_LATITUDE_WORD = {"n": 1, "north": 1, "s": -1, "south": -1}
SIGN_BY_LONGITUDE_WORD = {"e": 1, "east": 1, "w": -1, "west": -1}


def validate_position(
    latitude: float | None, longitude: float | None
) -> tuple[float | None, float | None]:
    """Return a position, rounded to 7 decimals; (None, None) if it is incomplete or impossible."""
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None, None
    return round(latitude, 7), round(longitude, 7)


def parse_exif_degrees(parts: object, direction: str, *, is_latitude: bool) -> float | None:
    """Return the signed degrees of an EXIF coordinate; None without a known direction.

    parts: degrees, minutes and seconds, or fewer numbers, or a text.
    direction: the text of the Ref tag. It alone decides, because EXIF stores numbers without sign.
    """
    sign = _parse_direction(direction, is_latitude=is_latitude)
    if isinstance(parts, str):
        degrees = _join_parts(_read_numbers(parts))
    else:
        numbers = parts if isinstance(parts, tuple | list) else (parts,)
        degrees = _join_parts(float(number) for number in numbers)
    return None if degrees is None or sign is None else sign * abs(degrees)


def parse_xmp_degrees(
    text: str | None, direction: str | None, *, is_latitude: bool
) -> float | None:
    """Return the signed degrees of an XMP coordinate; None if the text or its direction is unknown.

    text: such as 48,51.5N, 48,51,30N, -33.86, 121/2, or 33 deg 51' 36" South.
    direction: the text of a separate Ref property, for a text without a direction of its own.
    """
    text = (text or "").strip()[:MAX_TEXT_CHARS].replace("\u2212", "-")
    letters = NUMBER_PATTERN.sub(" ", text)
    words = [word for word in WORD_PATTERN.findall(letters) if word.casefold() not in UNIT_WORDS]
    if not words and direction is not None and direction.strip():
        words = [direction]
    sign: int | None = 1
    if words:
        sign = _parse_direction(words[0], is_latitude=is_latitude) if len(words) == 1 else None
    degrees = _join_parts(_read_numbers(text))
    if degrees is None or sign is None:
        return None
    return degrees if degrees < 0 else sign * degrees  # A minus means south or west by itself.


def _parse_direction(text: str, *, is_latitude: bool) -> int | None:
    words = SIGN_BY_LATITUDE_WORD if is_latitude else SIGN_BY_LONGITUDE_WORD
    return words.get(text.strip().casefold())


def _read_numbers(text: str) -> list[float]:
    numbers = []
    for found in NUMBER_PATTERN.findall(text):
        numerator, _, denominator = found.partition("/")
        numbers.append(float(numerator) / (float(denominator or 1) or math.nan))
    return numbers


def _join_parts(parts: Iterable[float]) -> float | None:
    """Return degrees from degrees, minutes and seconds; None if a part is missing or impossible."""
    numbers = list(parts)
    if not 1 <= len(numbers) <= 3 or not all(map(math.isfinite, numbers)):
        return None
    degrees, minutes, seconds = (*numbers, 0.0, 0.0)[:3]
    fraction = minutes / 60 + seconds / 3600
    if fraction < 0:
        return None
    return math.copysign(abs(degrees) + fraction, degrees)
