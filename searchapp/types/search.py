"""Queries, filters, search options and hits."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from searchapp.errors import QueryError
from searchapp.types.filter_values import (
    Area,
    Circle,
    DateBound,
    ParsedField,
    RatingRange,
    ValuesField,
    list_values,
)
from searchapp.types.picture import Box, Original, PictureSummary
from searchapp.types.region import Region
from searchapp.types.valid_text import check_text

Modality = Literal["text", "image", "text+image"]


SortOrder = Literal["score", "date"]


# Rankings to search by: vectors, words in names and captions, or both fused.
SearchMode = Literal["vector", "text", "both"]


# Why a hit is in the result: its vector, or words in its file and folder names, in its title,
# description and keywords, in the text that was recognized in the picture, or in the names of its
# place.
MatchSource = Literal["vector", "name", "caption", "text", "place"]


RERANKED_HITS, MAX_RERANKED_HITS = 20, 200  # hits that a reranker looks at: by default, at most


AUTO_MIN_SCORE: Literal["auto"] = "auto"


def format_clock(seconds: float) -> str:
    """Format a time in a video as M:SS, or as H:MM:SS from one hour."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# Picture: a path, a URL, or the id of an image in the library.
PictureName = str | Path | int


@dataclass(frozen=True, slots=True)
class Query:
    """Query: a text, a picture, or both together in one prompt.

    region: the part of the picture to search by; None: the complete picture.
    Raises QueryError if the text has bytes that are not UTF-8, or if a region has no picture.
    """

    text: str | None = None
    image: PictureName | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        """Check the text, because no tokenizer takes an invalid one, and the region."""
        check_text("the text of the query", self.text)
        if self.region is not None and self.image is None:
            raise QueryError("a region needs a picture. Give one, or leave out the region.")

    @property
    def modality(self) -> Modality | None:
        """Return whether the query has a text, a picture or both; None if it has neither."""
        words = bool(self.text and self.text.strip())
        if self.image is not None:
            return "text+image" if words else "image"
        return "text" if words else None


@dataclass(frozen=True, slots=True)
class Term:
    """Query with a weight, for a weighted sum of query vectors; a negative weight subtracts."""

    query: Query
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """Picture that hits should resemble or, if it is not liked, should not: relevance feedback."""

    image: PictureName
    is_liked: bool = True


@dataclass(frozen=True)  # without slots, which would hide the descriptors of parsed fields
class Filter:
    """Conditions that pictures must meet to be found; None means no condition.

    Dates, ratings and places may be given as text. Raises QueryError if such a text is invalid, if
    another text has bytes that are not UTF-8, or if a size is not a number. A folder may have such
    bytes, as paths do. A ValuesField accepts several values; a picture needs to match one of them.
    """

    folder: ValuesField[str | Path] = ValuesField()  # with a file below this folder
    after: ParsedField[DateBound] = ParsedField(DateBound)  # on this date or later
    before: ParsedField[DateBound] = ParsedField(DateBound)  # inclusive: 2023-06 is all of June
    camera: ValuesField[str] = ValuesField()  # pattern; may match from any word on
    format: ValuesField[str] = ValuesField()  # jpeg, png ..., ignoring case
    min_size: float | None = None  # megapixels
    max_size: float | None = None  # megapixels
    near: ParsedField[Circle] = ParsedField(Circle)  # taken in this circle
    where: str | None = None  # SQL condition on the view photos
    lens: ValuesField[str] = ValuesField()  # pattern, like camera
    rating: ValuesField[RatingRange] = ValuesField(RatingRange.parse)
    keyword: tuple[str, ...] = ()  # patterns with * and ?, ignoring case; all must match
    taken: bool = False  # ignore file dates: the metadata must contain the date
    any_keyword: bool = False  # one matching keyword is sufficient
    area: ParsedField[Area] = ParsedField(Area)  # taken in this rectangle
    place: ValuesField[str] = ValuesField()  # a city, region or country; or several, with commas

    def __post_init__(self) -> None:
        """Check the values that SQLite and NumPy would refuse, or compare wrongly."""
        check_text("the condition where", self.where)
        for name in ("camera", "format", "lens", "place"):
            for text in list_values(getattr(self, name)):
                check_text(f"the condition {name}", text)
        for pattern in self.keyword:
            check_text("the condition keyword", pattern)
        for name in ("min_size", "max_size"):
            if math.isnan(getattr(self, name) or 0):
                raise QueryError(f"the condition {name} is not a number; give megapixels, as 2.5")
        folders: tuple[str | Path, ...] = list_values(self.folder)
        for folder in folders:
            try:
                os.fsencode(folder)
            except UnicodeEncodeError as error:
                raise QueryError(f"the condition folder is not a path: {folder!r}") from error

    @property
    def has_conditions(self) -> bool:
        """Return whether the filter has at least one condition."""
        names = {field.name for field in fields(Filter)} - {"any_keyword"}
        return any(getattr(self, name) not in (None, (), False) for name in names)

    @property
    def base_filter(self) -> Filter:
        """Return the conditions as a plain Filter, without the other options of a subclass."""
        return Filter(**{field.name: getattr(self, field.name) for field in fields(Filter)})


@dataclass(frozen=True)
class SearchOptions(Filter):
    """Options of a search: the collection, the number of hits, and the conditions of a filter."""

    count: int = 10  # maximum number of hits
    offset: int = 0  # number of best hits to skip, for the next page
    min_score: float | Literal["auto"] | None = None  # cosine similarity; auto: only good matches
    sort: SortOrder = "score"  # date: sort the hits by date, newest first, undated hits last
    collection: str | None = None  # None: the collection that was indexed last
    model: str | None = None  # search the collection of this model
    trust_remote_code: bool = False  # as in ModelOptions, for this search only
    truncate: bool = False  # truncate a text that is too long for the model
    by: SearchMode = "both"  # text starts no engine
    include_examples: bool = False  # show liked and unliked pictures among the hits
    rerank: int | None = None  # number of best hits that a reranker looks at again; None: none
    reranker: str | None = None  # name, folder or server of the reranker; None: the default one

    def __post_init__(self) -> None:
        """Check the number of hits to rerank, besides the values of Filter."""
        Filter.__post_init__(self)
        if self.rerank is not None and not 1 <= self.rerank <= MAX_RERANKED_HITS:
            raise QueryError(
                f"rerank is {self.rerank}, but it must be from 1 to {MAX_RERANKED_HITS} hits"
            )

    @property
    def can_list(self) -> bool:
        """Return whether the filters alone select pictures, and no option needs a question."""
        is_ranked = self.min_score is not None or self.rerank is not None
        return self.has_conditions and self.by == "both" and not is_ranked


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """One of several searches: see Library.find_many."""

    query: Query | Sequence[Term]
    options: SearchOptions = SearchOptions()
    examples: Sequence[Example] = ()

    def list_terms(self) -> list[Term]:
        """Return the query as a list of terms; the list is empty if there are only filters.

        Raises QueryError if the question looks for nothing.
        """
        terms = [Term(self.query)] if isinstance(self.query, Query) else list(self.query)
        if self.query == Query() and not self.examples and self.options.can_list:
            return []
        is_empty = not terms and not self.examples
        if is_empty or any(term.query.modality is None for term in terms):
            raise QueryError("nothing to look for; give a text, --image FILE, or both")
        return terms


@dataclass(frozen=True, slots=True)
class Match:
    """One reason why a hit is in the result."""

    by: MatchSource
    snippet: str | None = None  # the name or text that matches; None for vector
    boxes: tuple[Box, ...] = ()  # where the words of a text are in the picture

    def to_dict(self) -> dict[str, Any]:
        """Return the reason as a dictionary of JSON values."""
        boxes = [[list(corner) for corner in box] for box in self.boxes]
        return {"by": self.by, "snippet": self.snippet, "boxes": boxes}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Match:
        """Create the reason from a dictionary of JSON values."""
        boxes = tuple(tuple((x, y) for x, y in box) for box in values["boxes"])
        return cls(values["by"], values["snippet"], boxes)


HIT_KEYS_FIRST = ("image_id", "path", "score", "sha256", "width", "height", "also")


@dataclass(frozen=True, slots=True)
class Hit(PictureSummary):
    """Image that matches a query, with its files."""

    path: str
    score: float  # cosine similarity; of a search by text, how well the words match. Best: 1
    sha256: str  # of the file
    also: tuple[str, ...] = ()  # paths of other files with the same bytes
    image_id: int = 0
    seconds: float | None = None  # time of a video frame; None: a picture
    moments: tuple[float, ...] = ()  # times in seconds of further matching frames of the video
    companions: tuple[str, ...] = ()  # RAW file or Live Photo video that belongs to path
    match: tuple[Match, ...] = ()  # why the hit is in the result
    good_match: bool | None = None  # None: unknown for this kind of query, or in this collection
    rerank_score: float | None = None  # 0 to 1; None: no reranker has looked at the hit

    @property
    def has_text_match(self) -> bool:
        """Return whether words of the query are a reason for this hit."""
        return any(match.by != "vector" for match in self.match)

    @property
    def original(self) -> Original:
        """Return the file that the hit shows."""
        return Original(self.path, self.sha256, self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as a dictionary of JSON values, in the order of `query --json`."""
        values = PictureSummary.to_dict(self)
        values["match"] = [match.to_dict() for match in self.match]
        return {**{name: values[name] for name in HIT_KEYS_FIRST}, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Hit:
        """Create a hit from a dictionary of JSON values; ignore unknown keys."""
        match = tuple(map(Match.from_dict, values.get("match", ())))
        return super(Hit, cls).from_dict({**values, "match": match})


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits of a search, and whether the best hit is a good match."""

    hits: tuple[Hit, ...]
    good: bool | None  # None: unknown for this kind of query, or in this collection
    warnings: tuple[str, ...] = ()  # what explains poor hits, or none: an unknown folder or word
