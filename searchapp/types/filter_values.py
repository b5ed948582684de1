"""Dates, ratings and places of a filter: parsed once, where they enter, into typed values."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, Self, TypeVar, overload

from searchapp.errors import QueryError

REJECTED, UNRATED, MAX_STARS = -1, 0, 5  # ratings as the catalog counts them


class FilterValue(ABC):
    """A value that people write as text; str() returns a text that parse() reads."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read the text; raise QueryError where it means nothing."""


@dataclass(frozen=True, slots=True)
class DateBound(FilterValue):
    """The first or last date of a filter: the beginning of an ISO 8601 date, such as 2023-06."""

    text: str

    PATTERN = r"\d{4}(-\d\d(-\d\d(T[\d:]+)?)?)?"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a year, a month, a day, or a day with a time; raise QueryError."""
        if not re.fullmatch(cls.PATTERN, text):
            raise QueryError("a date looks like 2023, 2023-06 or 2023-06-17")
        return cls(text)

    def __str__(self) -> str:
        return self.text

    @property
    def earliest(self) -> int:
        """Return the first moment that the text includes, as the number YYYYMMDDhhmmss."""
        return self._fill("0")

    @property
    def latest(self) -> int:
        """Return a number YYYYMMDDhhmmss that no moment included in the text exceeds."""
        return self._fill("9")

    def _fill(self, digit: str) -> int:
        digits = "".join(c for c in self.text if c.isdecimal())
        return int(digits[:14].ljust(14, digit))


@dataclass(frozen=True, slots=True)
class RatingRange(FilterValue):
    """The ratings that a filter lets through: 0 to 5 stars; 0 is unrated, -1 rejected."""

    low: int
    high: int

    HELP = "4, 4+, 2-4, rejected or unrated"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 4, 4+, 2-4, rejected or unrated, in any case; raise QueryError."""
        text = text.strip().casefold()
        if text in ("rejected", "unrated"):
            rating = REJECTED if text == "rejected" else UNRATED
            return cls(rating, rating)
        found = re.fullmatch(r"([0-5])(\+|-([0-5]))?", text)
        if found is None:
            raise QueryError(f"a rating is {cls.HELP}; not {text!r}")
        low = int(found[1])
        return cls(low, MAX_STARS if found[2] == "+" else int(found[3] or low))

    def __str__(self) -> str:
        if self.low == self.high:
            names = {REJECTED: "rejected", UNRATED: "unrated"}
            return names.get(self.low, str(self.low))
        return f"{self.low}+" if self.high == MAX_STARS else f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class Circle(FilterValue):
    """A circle on the earth: its center in degrees, north and east positive, and its radius."""

    latitude: float
    longitude: float
    radius_km: float

    HELP = "LATITUDE,LONGITUDE,KM, such as 48.85,2.35,5km"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read LATITUDE,LONGITUDE,KM; raise QueryError."""
        try:
            latitude, longitude, km = map(float, text.lower().removesuffix("km").split(","))
        except ValueError as error:
            raise QueryError(f"a place is {cls.HELP}; not {text!r}") from error
        if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 <= km < math.inf):
            raise QueryError(f"{text!r} is nowhere on earth; a place is {cls.HELP}")
        return cls(latitude, longitude, km)

    def __str__(self) -> str:
        return f"{_plain(self.latitude)},{_plain(self.longitude)},{_plain(self.radius_km)}km"


def _plain(number: float) -> str:
    """Write a number without an exponent, as the HTTP API takes it, and without loss."""
    return format(Decimal(repr(number)), "f").removesuffix(".0")


Value = TypeVar("Value", bound=FilterValue)


class ParsedField(Generic[Value]):
    """A dataclass field that takes a text or a value, and holds the value.

    A descriptor, so that type checkers know both: the constructor takes str, and who reads the
    field gets the parsed value.
    https://docs.python.org/3/library/dataclasses.html#descriptor-typed-fields
    """

    def __init__(self, kind: type[Value]) -> None:
        """Parse texts into values of a kind."""
        self._kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> None: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value | None: ...

    def __get__(self, instance: object | None, owner: type) -> Value | None:
        # Asked of the class, this is the field's default.
        return None if instance is None else instance.__dict__[self._name]

    def __set__(self, instance: object, value: Value | str | None) -> None:
        parsed = self._kind.parse(value) if isinstance(value, str) else value
        instance.__dict__[self._name] = parsed
