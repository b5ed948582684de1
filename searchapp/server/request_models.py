"""Request bodies and parameters of the HTTP API, and how they are parsed."""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from dataclasses import fields, replace
from typing import Annotated, Any, TypeVar

from fastapi import HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from searchapp.server.request_fields import (
    IS_LOCAL,
    Date,
    PathText,
    Pattern,
    Place,
    Rating,
    Rectangle,
    Score,
    Size,
    Text,
    Url,
    WebLimit,
)
from searchapp.server.unix_http import FIELDS_PART
from searchapp.types import Filter, SearchMode, SearchOptions, SortOrder

MAX_QUERY_PARTS = 16
MAX_FILTER_VALUES = 50
RequestModel = TypeVar("RequestModel", bound=BaseModel)
WEB_FORM: dict[str, Any] = {"max_files": MAX_QUERY_PARTS, "max_fields": 50}
UNLIMITED_FORM: dict[str, Any] = {
    "max_files": math.inf, "max_fields": math.inf, "max_part_size": sys.maxsize,
}  # fmt: skip
MAX_HITS = 1000  # per answer; the offset is at most 100 * MAX_HITS
ImageId = Annotated[int, Path(ge=1, le=2**63 - 1)]


def _parse_form_json(value: Any) -> Any:
    """Parse a form field that contains JSON; return other values unchanged."""
    return _parse_json(value) if isinstance(value, str) else value


def _parse_list(value: Any) -> Any:
    """Return a list from a field: a list, a JSON list in a form, or one plain value."""
    if value is None:
        return []
    if not isinstance(value, str):
        return value
    parsed = None
    if value.startswith("["):  # a plain value may begin with [ too: the folder "[2020] Trip"
        with suppress(ValueError):
            parsed = _parse_json(value)
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


class TermRequest(RequestFields):
    """Term of a weighted query: a text, a picture, or both as one prompt."""

    text: Text | None = None
    image: Annotated[
        Annotated[str, WebLimit(max_length=100)] | None,
        Field(description="name of the multipart form part with the picture"),
    ] = None
    image_id: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    image_url: Annotated[Url | None, Field(description="only with --allow-urls")] = None
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


class FacetsRequest(FilterRequest):
    """Conditions of counted images, and of the counted values."""

    find: Annotated[
        str, Field(max_length=200, description="count only values that contain this text")
    ] = ""


class SimilarRequest(FilterRequest):
    """Conditions of a search, and the page of the result."""

    count: Annotated[int, Field(ge=1), WebLimit(le=MAX_HITS)] = 60
    offset: Annotated[int, Field(ge=0), WebLimit(le=100 * MAX_HITS)] = 0
    min_score: Annotated[Score | None, Field(description="auto: only good matches")] = None
    sort: SortOrder = "score"


class TextSearchRequest(SimilarRequest):
    """Text, conditions and page of a search, as query parameters."""

    q: Annotated[Text, Field(description="what the picture shows", examples=["a red boat"])]


class SearchRequest(SimilarRequest):
    """Query, conditions and page of a search."""

    text: Text | None = None
    image_url: Annotated[Url | None, Field(description="only with --allow-urls")] = None
    terms: Annotated[
        Annotated[list[TermRequest], WebLimit(max_length=MAX_QUERY_PARTS)] | None,
        BeforeValidator(_parse_form_json),
        Field(description="weighted sum of terms; in a form: JSON"),
    ] = None
    model: Annotated[str | None, Field(description="only through the Unix socket")] = None
    trust_remote_code: Annotated[bool, Field(description="only through the Unix socket")] = False
    truncate: bool = False
    by: Annotated[
        SearchMode,
        Field(description="the nearest vectors, the words in names and captions, or both fused"),
    ] = "both"
    one_prompt: Annotated[
        bool, Field(description="refuse text and picture together if the model cannot embed both")
    ] = False


class InputRequest(RequestFields):
    """Prompt to embed, and the name of the multipart form part that holds its prepared picture."""

    prompt: str
    image: str | None = None


class EmbedRequest(RequestFields):
    """Inputs to embed; model, revision and space identify the collection whose model embeds."""

    model: str
    revision: str
    space: dict[str, Any]
    inputs: list[InputRequest]


class CountRequest(RequestFields):
    """Prompt whose tokens to count; model, revision and space: see EmbedRequest."""

    model: str
    revision: str
    space: dict[str, Any]
    prompt: str


def is_used_by_term(name: str, terms: list[TermRequest]) -> bool:
    """Return whether a query term names this multipart form part as its picture."""
    return any(term.image == name for term in terms)


async def parse_request(
    request: Request, model: type[RequestModel]
) -> tuple[RequestModel, dict[str, bytes]]:
    """Return the fields of a JSON or form body, and the pictures by the names of their form parts.

    A command of the user sends its fields as JSON in the form part FIELDS_PART: other parts of a
    form cannot hold a path that is not UTF-8.
    Raises HTTPException if the body is not JSON or no form, and RequestValidationError if it does
    not fit the model. All become status 4xx.
    """
    is_local = request.scope["searchapp.local"]
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    files: dict[str, bytes] = {}
    body: str | bytes
    fields: Any
    if media_type == "multipart/form-data":
        limits = UNLIMITED_FORM if is_local else WEB_FORM
        try:
            async with request.form(**limits) as form:
                for name, value in form.items():
                    if isinstance(value, UploadFile):
                        files[name] = await value.read()
                fields = {
                    name: value for name, value in form.items() if isinstance(value, str) and value
                }
        except UnicodeError as error:  # the charset of the header Content-Type decides
            raise HTTPException(400, "the texts of the form are not UTF-8; send UTF-8") from error
        body = fields.get(FIELDS_PART, "") if is_local else ""
    else:
        body, fields = await request.body(), None
    if body or fields is None:
        try:
            fields = _parse_json(body)
        except ValueError as error:
            raise HTTPException(
                422,
                "the body of the request is not JSON; send application/json or multipart/form-data",
            ) from error
    try:
        return model.model_validate(fields, context={IS_LOCAL: is_local}), files
    except ValidationError as error:
        raise RequestValidationError(
            error.errors(include_url=False, include_context=False, include_input=False)
        ) from error


def _parse_json(text: str | bytes) -> Any:
    """Parse JSON; raise ValueError if it is invalid or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def to_search_options(request: SimilarRequest) -> SearchOptions:
    """Return the SearchOptions of a request."""
    options = SearchOptions(
        **request.filter_values(),
        count=request.count + 1,  # one more hit than requested shows whether there is another page
        offset=request.offset,
        min_score=request.min_score,
        collection=request.collection,
    )
    if not isinstance(request, SearchRequest):
        return options
    return replace(
        options,
        model=request.model,
        trust_remote_code=request.trust_remote_code,
        truncate=request.truncate,
        by=request.by,
    )
