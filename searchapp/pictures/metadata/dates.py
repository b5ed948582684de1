"""Parse dates as cameras and programs write them, and merge dates of the same moment."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

# UTC offsets of places in hours, those of the tz database since 1970 that are no whole hours.
PARTIAL_OFFSETS = (-9.5, -4.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 7.5, 8.5, 8.75, 9.5, 10.5,
                   11.5, 12.75, 13.75)  # fmt: skip
PLACE_OFFSETS = tuple(timedelta(hours=hours) for hours in (*range(-12, 15), *PARTIAL_OFFSETS))
MAX_GPS_DELAY = timedelta(minutes=3)  # between the last GPS fix and the picture
PLAUSIBLE_YEARS = range(1800, 2200)  # Cameras with a wrong clock write years outside this range.
MAX_UTC_OFFSET = timedelta(hours=14)
MAX_TEXT_CHARS = 60
# Numbers of known parts of a date, from the year to the fraction of a second.
YEAR, MONTH, DAY, MINUTE, SECOND, FRACTION = 1, 2, 3, 5, 6, 7

COMPACT_PATTERN = re.compile(r"(\d{4})(\d\d)(\d\d)(?=(?:\d{4}(?:\d\d)?)?(?!\d))")
SPACED_PATTERN = re.compile(r"(\d{4}) +(\d\d?) +(\d\d?)(?!\d)")
# Any part may be blank. Unlike ISO 8601, the pattern accepts slashes, periods and single digits.
DAY_PATTERN = re.compile(
    r"(\d{4})(?!\d)(?:\s*[-:/.,]\s*(\d\d?)?(?!\d)(?:\s*[-:/.,]\s*(\d\d?)?(?!\d))?)?"
)
TIME_PATTERN = re.compile(
    r"[\s,;:_T.]*(\d\d?)\s*[:.h]\s*(\d\d?)?(?:\s*[:.]\s*(\d\d?)?(?:\s*[.,](\d+))?)?\s*([ap]\.?m)?",
    re.IGNORECASE,
)
# Times without colons. A hyphen before the time needs seconds: -0500 is an offset.
COMPACT_TIME_PATTERN = re.compile(
    r"(?:[\s,;:_T.]*|\s*-\s*(?=\d{6}))(\d\d)(\d\d)(\d\d)?(?!\d)", re.IGNORECASE
)
SPACED_TIME_PATTERN = re.compile(
    r"[\s,;:_T.-]*(?<!\d)(\d\d?)(-| +)(\d\d?)\2(\d\d?)(?!\d)", re.IGNORECASE
)
OFFSET_PATTERN = re.compile(
    r"\s*(?:(?:UTC|GMT)?\s*([+\-\u2212])\s*(\d\d?)(?::?(\d\d))?(?!\d)|(?:Z|UTC|GMT)\b)", re.I
)


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A date on the clock of the camera, of which the last parts can be unknown.

    An unknown month or day counts as the first, and an unknown time as midnight. str() returns
    the date in ISO 8601, with the UTC offset if it is known.
    """

    local: datetime
    precision: int  # number of known parts, such as DAY
    offset: timedelta | None = None  # from UTC

    def __str__(self) -> str:
        local = self.local if self.offset is None else self.local.replace(tzinfo=self._zone)
        microseconds = local.microsecond
        if microseconds:
            return local.isoformat(
                timespec="microseconds" if microseconds % 1000 else "milliseconds"
            )
        return local.isoformat()

    @property
    def _zone(self) -> timezone:
        return timezone(self.offset or timedelta())

    def truncate(self, precision: int) -> datetime:
        """Return the local time with the parts after precision set to their first value."""
        first_values = {
            "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0,
        }  # fmt: skip
        names = list(first_values)[max(precision, YEAR) - 1 :]
        return self.local.replace(**{name: first_values[name] for name in names})  # type: ignore[arg-type]

    def complete_from(self, other: PartialDate | None) -> PartialDate:
        """Return this date, with more exact values of another date of the same moment.

        The other date can know the time of day, the fraction of the second or the UTC offset. If
        the two dates differ in a part that both know, this date stays as it is.
        """
        if other is None:
            return self
        if self._is_utc_copy_of(other):
            return other
        shared = min(self.precision, other.precision, SECOND)
        if self.truncate(shared) != other.truncate(shared):
            return self
        offset = other.offset if self.offset is None and shared >= MINUTE else self.offset
        if self.precision < other.precision:
            return PartialDate(
                other.local, other.precision, other.offset if offset is None else offset
            )
        return replace(self, offset=offset)

    def _is_utc_copy_of(self, other: PartialDate) -> bool:
        """Return whether this is the moment of other in UTC, without other's UTC offset."""
        if self.offset != timedelta() or not other.offset or other.precision < MINUTE:
            return False
        utc = replace(other, local=other.local - other.offset)
        return self.truncate(SECOND) == utc.truncate(SECOND)


def parse_date(value: object, offset: object = None, fraction: object = None) -> PartialDate | None:
    """Return the date that a text contains; None if there is no plausible date.

    value: as EXIF, XMP or IPTC writes it, with or without a UTC offset; lax variants are accepted.
    An impossible day is no date, but an impossible time only loses the time.
    offset: the UTC offset if value has none. fraction: the digits of the fraction of the second.
    """
    text = clean_value(value)
    if found := COMPACT_PATTERN.match(text):
        text = f"{'-'.join(found.groups())} {text[found.end() :]}"
    text = SPACED_PATTERN.sub(r"\1-\2-\3", text, count=1)
    found = DAY_PATTERN.match(text)
    if found is None or int(found[1]) not in PLAUSIBLE_YEARS:
        return None
    year, month, day_number = (int(part or 0) for part in found.groups())
    precision = YEAR if not month else MONTH if not day_number else DAY
    rest = text[found.end() :]
    try:
        date = PartialDate(datetime(year, month or 1, (month and day_number) or 1), precision)
    except ValueError:
        return None
    rest = _add_colons(rest)
    if (clock_found := TIME_PATTERN.match(rest)) is not None:
        rest = rest[clock_found.end() :]
        if precision == DAY:
            date = _add_time(date, clock_found, clean_value(fraction))
    if date.precision < MINUTE:
        return date
    return replace(date, offset=parse_utc_offset(rest, default=parse_utc_offset(offset)))


def _add_colons(rest: str) -> str:
    """Return what follows the day, with colons in a time that is written without them."""
    for pattern in (COMPACT_TIME_PATTERN, SPACED_TIME_PATTERN):
        if found := pattern.match(rest):
            clock = ":".join(part for part in found.groups() if part and part.isdecimal())
            return f" {clock}{rest[found.end() :]}"
    return rest


def _add_time(date: PartialDate, found: re.Match[str], fraction: str) -> PartialDate:
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if found[5]:
        hour = hour % 12 + 12 * (found[5][0] in "pP")
    if hour > 24 or minute > 59 or second > 60:
        return date
    # Python has no leap second. The last second of the minute keeps the day.
    # ISO 8601: 24:00 is midnight at the end of the day.
    second = min(second, 59)
    digits = found[4] or (fraction if fraction.isdecimal() and fraction.isascii() else "")
    microseconds = int(digits[:6].ljust(6, "0")) if digits and found[3] else 0
    passed = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=microseconds)
    try:
        local = date.local + passed
    except OverflowError:
        return date
    known = MINUTE if found[3] is None else SECOND
    return PartialDate(local, FRACTION if microseconds else known)


def add_gps_offset(date: PartialDate | None, gps_time: PartialDate | None) -> PartialDate | None:
    """Return a local time with its UTC offset, if the GPS time, which is UTC, shows the offset.

    The difference between the two times must be the offset of a place, with a tolerance of
    MAX_GPS_DELAY. A date with an offset stays as it is.
    """
    if date is None or date.offset is not None or date.precision < MINUTE:
        return date
    if gps_time is None or gps_time.offset or gps_time.precision < MINUTE:
        return date
    difference = date.local - gps_time.local
    offset = min(PLACE_OFFSETS, key=lambda offset: abs(difference - offset))
    if abs(difference - offset) <= MAX_GPS_DELAY:
        return replace(date, offset=offset)
    return date


def parse_utc_offset(value: object, default: timedelta | None = None) -> timedelta | None:
    """Return the UTC offset in a text such as Z, +02:00, +0200 or +2; default if there is none."""
    found = OFFSET_PATTERN.match(clean_value(value))
    if found is None:
        return default
    if not found[1]:
        return timedelta()
    hours, minutes = int(found[2]), int(found[3] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    if offset > MAX_UTC_OFFSET or minutes > 59:
        return default
    return offset if found[1] == "+" else -offset


def clean_value(value: object) -> str:
    """Return the text of a date tag up to the first NUL, without blanks around it."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return value.split("\0")[0].strip()[:MAX_TEXT_CHARS] if isinstance(value, str) else ""
