"""What is asked for, and what is found."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from searchapp.types.filter_values import Circle, DateBound, ParsedField, RatingRange
from searchapp.types.picture import PictureSummary

Modality = Literal["text", "image", "text+image"]


SortOrder = Literal["score", "date"]


AUTO_MIN_SCORE: Literal["auto"] = "auto"


def format_clock(seconds: float) -> str:
    """Return a time in a video as people write it: 1:23, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: a text, a picture (file or http(s) URL), or both as one question."""

    text: str | None = None
    image: str | Path | None = None

    @property
    def modality(self) -> Modality | None:
        """Return what the query consists of; None when there is nothing in it."""
        words = bool(self.text and self.text.strip())
        if self.image is not None:
            return "text+image" if words else "image"
        return "text" if words else None


@dataclass(frozen=True, slots=True)
class Term:
    """A query as one term of a sum; a negative weight asks for less of it."""

    query: Query
    weight: float = 1.0


@dataclass(frozen=True)  # without slots, which would hide the descriptors of parsed fields
class Filter:
    """What a picture must fulfil to be searched at all; None asks for nothing.

    Dates, ratings and places may be given as text; the constructor raises QueryError.
    """

    folder: str | Path | None = None  # a file below it
    after: ParsedField[DateBound] = ParsedField(DateBound)  # of then or later
    before: ParsedField[DateBound] = ParsedField(DateBound)  # 2023-06 includes all of June
    camera: str | None = None  # a pattern with * and ?, in any case, from any word of the name on
    format: str | None = None  # jpeg, png ..., in any case
    min_size: float | None = None  # megapixels
    max_size: float | None = None
    near: ParsedField[Circle] = ParsedField(Circle)  # taken there
    where: str | None = None  # an SQL condition over the view photos
    lens: str | None = None  # a pattern, as camera is
    rating: ParsedField[RatingRange] = ParsedField(RatingRange)
    keyword: tuple[str, ...] = ()  # patterns with * and ?, in any case; it has one for each
    taken: bool = False  # the picture itself says when: its file's date does not count

    @property
    def has_conditions(self) -> bool:
        """Tell whether anything is asked for."""
        return any(getattr(self, field.name) not in (None, (), False) for field in fields(Filter))

    @property
    def base_filter(self) -> Filter:
        """Return what the pictures must fulfil, alone."""
        return Filter(**{field.name: getattr(self, field.name) for field in fields(Filter)})


@dataclass(frozen=True)
class SearchOptions(Filter):
    """How to search: which collection, how many hits, and what they must fulfil."""

    count: int = 10
    offset: int = 0  # leave out so many of the best, which an earlier page showed
    min_score: float | Literal["auto"] | None = None  # cosine; auto: only good matches
    sort: SortOrder = "score"  # date: those found by date, the newest first, undated ones last
    collection: str | None = None  # by default the one that was indexed last
    model: str | None = None  # or the collection of this model
    trust_remote_code: bool = False  # as ModelOptions has it, where the collection does not say so
    truncate: bool = False  # cut a text that is too long for the model


HIT_KEYS_FIRST = ("image_id", "path", "score", "sha256", "width", "height", "also")


@dataclass(frozen=True, slots=True)
class Hit(PictureSummary):
    """One image that answers a query: its best file, and the others that hold the same bytes."""

    path: str
    score: float  # cosine, higher is better
    sha256: str  # of the file
    also: tuple[str, ...] = ()
    image_id: int = 0
    seconds: float | None = None  # of a video: when the frame is shown; None: a picture
    moments: tuple[float, ...] = ()  # seconds of its other frames that would have been hits
    companions: tuple[str, ...] = ()  # a RAW file, a Live Photo's film, that belong to path

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, in the order of `query --json`."""
        values = PictureSummary.to_dict(self)
        return {**{name: values[name] for name in HIT_KEYS_FIRST}, **values}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found, and whether the best of it is a good match."""

    hits: tuple[Hit, ...]
    good: bool | None  # None: not known for such a question, or in such a collection
