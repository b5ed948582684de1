"""Parse the dates, ratings and places of a filter into typed values."""

from __future__ import annotations

import calendar
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, overload

from searchapp.errors import QueryError

REJECTED, UNRATED, MAX_STARS = -1, 0, 5  # ratings as the catalog stores them


class FilterValue(ABC):
    """Value of a filter that users write as text; str() returns a text that parse() accepts.

    A saved search keeps this text. So a value that depends on the day, such as "the last week",
    must return its own words, and not the date that they mean today.
    """

    __slots__ = ()

    HELP: ClassVar[str]  # how to write a value

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Convert a text to a value of the filter. Raises QueryError if the text is invalid."""


@dataclass(frozen=True, slots=True)
class DateBound(FilterValue):
    """First or last date that a filter accepts: an ISO 8601 date or its beginning, as 2023-06."""

    text: str

    PATTERN = r"\d{4}(-\d\d(-\d\d(T[\d:]+)?)?)?"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a year, a month, a day, or a day with a time. Raises QueryError for other texts."""
        if not re.fullmatch(cls.PATTERN, text) or not _is_in_calendar(text):
            raise QueryError(f"{text!r} is not a date. Write 2023, 2023-06 or 2023-06-17.")
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def earliest(self) -> int:
        """Return the first moment of the year, month or day, as the number YYYYMMDDhhmmss.

        A missing month or day becomes 00.
        """
        return self._fill("0")

    @property
    def latest(self) -> int:
        """Return an upper bound for times in the year, month or day, as YYYYMMDDhhmmss.

        A missing part, such as the month, becomes 99, so the number may not be a valid date.
        """
        return self._fill("9")

    def _fill(self, digit: str) -> int:
        digits = "".join(c for c in self.text if c.isdecimal())
        return int(digits[:14].ljust(14, digit))


def _is_in_calendar(text: str) -> bool:
    """Return whether the month and the day of YYYY, YYYY-MM or YYYY-MM-DD exist."""
    year, month, day = (*map(int, text[:10].split("-")), 1, 1)[:3]
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


@dataclass(frozen=True, slots=True)
class RatingRange(FilterValue):
    """Range of ratings that a filter accepts: 1 to 5 stars; 0 is unrated, -1 is rejected."""

    low: int
    high: int

    HELP = "4, 4+, 2-4, rejected or unrated"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse 4, 4+, 2-4, rejected or unrated, in any case. Raises QueryError for other texts."""
        text = text.strip().casefold()
        if text in ("rejected", "unrated"):
            rating = REJECTED if text == "rejected" else UNRATED
            return cls(rating, rating)
        found = re.fullmatch(r"([0-5])(\+|-([0-5]))?", text)
        if found is None:
            raise QueryError(f"{text!r} is not a rating. Write {cls.HELP}.")
        low = int(found[1])
        high = MAX_STARS if found[2] == "+" else int(found[3] or low)
        if low > high:
            raise QueryError(f"{text!r} has no ratings in it. Write {high}-{low}.")
        return cls(low, high)

    def __str__(self) -> str:
        if self.low == self.high:
            names = {REJECTED: "rejected", UNRATED: "unrated"}
            return names.get(self.low, str(self.low))
        return f"{self.low}+" if self.high == MAX_STARS else f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class Circle(FilterValue):
    """Circle on the earth, for a filter by place: a center and a radius.

    The latitude is in degrees, north positive; the longitude in degrees, east positive.
    """

    latitude: float
    longitude: float
    radius_km: float

    HELP = "LATITUDE,LONGITUDE,KM, such as 48.85,2.35,5km"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse LATITUDE,LONGITUDE,KM. Raises QueryError if a number is missing or out of range."""
        try:
            latitude, longitude, km = map(float, text.lower().removesuffix("km").split(","))
        except ValueError as error:
            raise QueryError(f"{text!r} is not a place. Write {cls.HELP}.") from error
        if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 <= km < math.inf):
            raise QueryError(
                f"{text!r} is not on the earth: a latitude is -90 to 90, a longitude -180 to 180, a"
                f" radius 0 or more. Write {cls.HELP}."
            )
        return cls(latitude, longitude, km)

    def __str__(self) -> str:
        latitude, longitude = format_number(self.latitude), format_number(self.longitude)
        return f"{latitude},{longitude},{format_number(self.radius_km)}km"


@dataclass(frozen=True, slots=True)
class Area(FilterValue):
    """Rectangle on a map of the earth, for a filter by place: two parallels and two meridians.

    All values are in degrees; north and east are positive. If west is greater than east, the
    rectangle crosses longitude 180.
    """

    south: float
    west: float
    north: float
    east: float

    HELP = "SOUTH,WEST,NORTH,EAST, such as 47.2,-5.2,51.1,8.3"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse SOUTH,WEST,NORTH,EAST. Raises QueryError if a number is missing or out of range."""
        try:
            south, west, north, east = map(float, text.split(","))
        except ValueError as error:
            raise QueryError(f"{text!r} is not an area. Write {cls.HELP}.") from error
        if not (-90 <= south <= north <= 90 and max(abs(west), abs(east)) <= 180):
            raise QueryError(
                f"{text!r} is not an area on the earth: latitudes are -90 to 90, the south first; "
                f"longitudes are -180 to 180. Write {cls.HELP}."
            )
        return cls(south, west, north, east)

    def __str__(self) -> str:
        return ",".join(map(format_number, (self.south, self.west, self.north, self.east)))


def format_number(number: float) -> str:
    """Format a number exactly, and without an exponent: the HTTP API rejects exponents."""
    return format(Decimal(repr(number)), "f").removesuffix(".0")


Value = TypeVar("Value", bound=FilterValue)
Item = TypeVar("Item")


class ParsedField(Generic[Value]):
    """Dataclass field that accepts a text or a FilterValue, and stores a FilterValue.

    The class is a descriptor, which gives type checkers two types: the constructor accepts a str,
    and reading the field returns the parsed value.
    https://docs.python.org/3/library/dataclasses.html#descriptor-typed-fields
    """

    def __init__(self, kind: type[Value]) -> None:
        """Create a field that converts texts with kind.parse()."""
        self._kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value | None: ...

    def __get__(self, instance: object | None, owner: type) -> Value | None:
        # dataclass() reads the default of the field from the class.
        return None if instance is None else instance.__dict__[self._name]

    def __set__(self, instance: object, value: Value | str | None) -> None:
        parsed = self._kind.parse(value) if isinstance(value, str) else value
        instance.__dict__[self._name] = parsed


SingleOrSeveral: TypeAlias = Item | tuple[Item, ...] | None


class ValuesField(Generic[Item]):
    """Dataclass field for one value or several values, of which a picture needs to match one.

    The constructor accepts None, one value, or a collection of values. Reading the field returns
    None, the only value, or a tuple of several different values.
    """

    def __init__(self, parse: Callable[[str], Item] | None = None) -> None:
        """Create a field that converts texts with parse; without parse, it keeps all values."""
        self._parse = parse

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...

    @overload
    def __get__(self, instance: object, owner: type) -> SingleOrSeveral[Item]: ...

    def __get__(self, instance: object | None, owner: type) -> SingleOrSeveral[Item]:
        # dataclass() reads the default of the field from the class.
        return None if instance is None else instance.__dict__[self._name]

    def __set__(self, instance: object, value: Any) -> None:
        is_single = isinstance(value, (str, os.PathLike, FilterValue))
        given: Iterable[Any] = () if value is None else (value,) if is_single else value
        values = tuple(dict.fromkeys(map(self._convert, given)))
        instance.__dict__[self._name] = values if len(values) > 1 else next(iter(values), None)

    def _convert(self, value: Any) -> Any:
        return self._parse(value) if self._parse and isinstance(value, str) else value


def list_values(value: SingleOrSeveral[Item]) -> tuple[Item, ...]:
    """Return the values of a ValuesField as a tuple, which is empty without a condition."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
