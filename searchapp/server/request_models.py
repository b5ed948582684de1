"""Requests of the HTTP API that search or filter, and the parts of all requests."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields, replace
from typing import Annotated, Any, TypeVar

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from searchapp.server.request_fields import (
    Date,
    ImageIdField,
    LocalOnly,
    PathText,
    Pattern,
    Place,
    Rating,
    Rectangle,
    RegionField,
    SavedName,
    Score,
    Size,
    Text,
    Url,
    WebLimit,
)
from searchapp.types import (
    MAX_RERANKED_HITS,
    Example,
    Filter,
    PictureName,
    SearchMode,
    SearchOptions,
    SortOrder,
)

MAX_QUERY_PARTS = 16
MAX_FILTER_VALUES = 50
MAX_HITS = 1000  # per answer; the offset is at most 100 * MAX_HITS
ImageId = Annotated[int, Path(ge=1, le=2**63 - 1)]


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; raise ValueError if it is invalid or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def _parse_form_json(value: Any) -> Any:
    """Parse a form field that contains JSON; return other values unchanged."""
    return parse_json(value) if isinstance(value, str) else value


def _parse_list(value: Any) -> Any:
    """Return a list from a field: a list, a JSON list in a form, or one plain value."""
    if value is None:
        return []
    if not isinstance(value, str):
        return value
    parsed = None
    if value.startswith("["):  # a plain value may begin with [ too: the folder "[2020] Trip"
        with suppress(ValueError):
            parsed = parse_json(value)
    return parsed if isinstance(parsed, list) else [value] if value else []


Item = TypeVar("Item")
# One value, a list of values, or in a form a JSON list.
SeveralValues = Annotated[
    list[Item], WebLimit(max_length=MAX_FILTER_VALUES), BeforeValidator(_parse_list)
]


UNKNOWN_FIELD_MESSAGE = "there is no such field; correct its name, see /docs"


class RequestFields(BaseModel):
    """Fields of a request; a field that is not defined is an error, because it has no effect."""

    model_config = ConfigDict(extra="forbid")


ExampleIds = Annotated[
    list[ImageIdField], WebLimit(max_length=MAX_HITS), BeforeValidator(_parse_list)
]
ExampleFiles = Annotated[list[Annotated[str, PathText()]], WebLimit(max_length=0)]


class TermRequest(RequestFields):
    """Term of a weighted query: a text, a picture, or both as one prompt."""

    text: Text | None = None
    image: Annotated[
        Annotated[str, WebLimit(max_length=100)] | None,
        Field(description="name of the multipart form part with the picture"),
    ] = None
    image_id: ImageIdField | None = None
    image_url: Annotated[Url | None, Field(description="only with --allow-urls")] = None
    region: RegionField | None = None
    weight: Annotated[
        float,
        Field(description="negative: less like this term"),
        WebLimit(ge=-1000, le=1000, allow_inf_nan=False),
    ] = 1.0


class FilterRequest(RequestFields):
    """Conditions that images must match."""

    folder: Annotated[
        SeveralValues[Annotated[str, WebLimit(max_length=4096), PathText()]],
        Field(description="in one of these folders; in a form: a JSON list, as all lists below"),
    ] = []
    after: Date | None = None
    before: Date | None = None
    taken: Annotated[bool, Field(description="ignore the dates of files")] = False
    camera: Annotated[
        SeveralValues[Pattern], Field(description="one of these patterns", examples=[["iPhone*"]])
    ] = []
    lens: Annotated[
        SeveralValues[Pattern], Field(description="one of these patterns", examples=[["*50mm*"]])
    ] = []
    rating: Annotated[SeveralValues[Rating], Field(description="one of these ratings")] = []
    keyword: Annotated[
        list[Pattern],
        WebLimit(max_length=MAX_QUERY_PARTS),
        BeforeValidator(_parse_list),
        Field(description="patterns that must all match"),
    ] = []
    any_keyword: Annotated[bool, Field(description="one matching keyword is sufficient")] = False
    format: Annotated[
        SeveralValues[Annotated[str, WebLimit(max_length=20)]],
        Field(description="one of these: jpeg, png ...", examples=[["jpeg"]]),
    ] = []
    min_size: Size | None = None
    max_size: Size | None = None
    near: Place | None = None
    area: Rectangle | None = None
    place: Annotated[
        SeveralValues[Pattern],
        Field(description="one of these names of a city, region or country", examples=[["Lisbon"]]),
    ] = []
    where: Annotated[
        Annotated[str, WebLimit(max_length=4000)] | None,
        Field(description="an SQL condition over the view photos"),
    ] = None
    collection: str | None = None

    def to_filter(self) -> Filter:
        """Return the conditions as a Filter."""
        return Filter(**self.filter_values())

    def filter_values(self) -> dict[str, Any]:
        """Return the values of the conditions, by the field names of Filter."""
        values = {field.name: getattr(self, field.name) for field in fields(Filter)}
        return values | {"keyword": tuple(self.keyword)}


FIND_DESCRIPTION = (
    "count only values that contain this text; ratings, positions and months are always counted"
)


class FacetsRequest(FilterRequest):
    """Conditions of counted images, and of the counted values."""

    find: Annotated[str, Field(max_length=200, description=FIND_DESCRIPTION)] = ""


class SimilarRequest(FilterRequest):
    """Conditions of a search, and the page of the result."""

    count: Annotated[int, Field(ge=1), WebLimit(le=MAX_HITS)] = 60
    offset: Annotated[int, Field(ge=0), WebLimit(le=100 * MAX_HITS)] = 0
    min_score: Annotated[Score | None, Field(description="auto: only good matches")] = None
    sort: SortOrder = "score"


class TextSearchRequest(SimilarRequest):
    """Text, conditions and page of a search, as query parameters."""

    q: Annotated[Text, Field(description="what the picture shows", examples=["a red boat"])]


class QuestionRequest(SimilarRequest):
    """Query, conditions and page of a search that can be run or saved."""

    text: Text | None = None
    image_url: Annotated[Url | None, Field(description="only with --allow-urls")] = None
    region: RegionField | None = None
    like: Annotated[ExampleIds, Field(description="ids of images that hits should resemble")] = []
    unlike: Annotated[ExampleIds, Field(description="ids of images that they should not")] = []
    like_files: Annotated[ExampleFiles, Field(description="only through the Unix socket")] = []
    unlike_files: Annotated[ExampleFiles, Field(description="only through the Unix socket")] = []
    include_examples: Annotated[
        bool, Field(description="show the images of like and unlike among the hits")
    ] = False
    terms: Annotated[
        Annotated[list[TermRequest], WebLimit(max_length=MAX_QUERY_PARTS)] | None,
        BeforeValidator(_parse_form_json),
        Field(description="weighted sum of terms; in a form: JSON"),
    ] = None
    model: Annotated[str | None, LocalOnly()] = None
    trust_remote_code: Annotated[bool, LocalOnly()] = False
    truncate: bool = False
    rerank: Annotated[
        Annotated[int, Field(ge=1, le=MAX_RERANKED_HITS)] | None,
        Field(description="look at this number of best hits again, with a reranker"),
    ] = None
    reranker: Annotated[str | None, LocalOnly()] = None
    by: Annotated[
        SearchMode,
        Field(description="the nearest vectors, the words in names and captions, or both fused"),
    ] = "both"


class SearchRequest(QuestionRequest):
    """Query, conditions and page of a search."""

    saved: Annotated[
        SavedName | None,
        Field(description="name of a saved search to run; other fields replace its options"),
    ] = None
    one_prompt: Annotated[
        bool, Field(description="refuse text and picture together if the model cannot embed both")
    ] = False


def list_examples(request: QuestionRequest) -> list[Example]:
    """Return the liked and unliked pictures of a request."""
    liked: list[PictureName] = [*request.like, *request.like_files]
    unliked: list[PictureName] = [*request.unlike, *request.unlike_files]
    return [*map(Example, liked), *(Example(image, False) for image in unliked)]


def is_used_by_term(name: str, terms: list[TermRequest] | None) -> bool:
    """Return whether a query term names this multipart form part as its picture."""
    return any(term.image == name for term in terms or ())


def to_search_options(request: SimilarRequest) -> SearchOptions:
    """Return the SearchOptions of a request."""
    options = SearchOptions(
        **request.filter_values(),
        count=request.count + 1,  # one more hit than requested shows whether there is another page
        offset=request.offset,
        min_score=request.min_score,
        collection=request.collection,
    )
    if not isinstance(request, QuestionRequest):
        return options
    return replace(
        options,
        model=request.model,
        trust_remote_code=request.trust_remote_code,
        truncate=request.truncate,
        by=request.by,
        include_examples=request.include_examples,
        rerank=request.rerank,
        reranker=request.reranker,
    )


def given_options(request: QuestionRequest) -> dict[str, Any]:
    """Return the options that a request states, by their names in SearchOptions."""
    values = {
        **{field.name: getattr(request, field.name) for field in fields(SearchOptions)},
        **request.filter_values(),
    }
    return {name: value for name, value in values.items() if name in request.model_fields_set}
