"""Request bodies and parameters of the HTTP API, and how they are parsed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Annotated, Any, Literal, TypeVar

from fastapi import HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import PydanticCustomError, core_schema
from starlette.datastructures import UploadFile

from searchapp.errors import QueryError
from searchapp.types import Circle, DateBound, Filter, RatingRange, SearchOptions, SortOrder

PLACE_PATTERN = r"^-?\d+(\.\d*)?,-?\d+(\.\d*)?,\d+(\.\d*)?(km)?$"
RATING_PATTERN = r"^([0-5](\+|-[0-5])?|rejected|unrated)$"
MAX_QUERY_PARTS = 16
RequestModel = TypeVar("RequestModel", bound=BaseModel)
MAX_HITS = 1000  # per answer; the offset is at most 100 * MAX_HITS
ImageId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class ParsedText:
    """Annotation of a field whose text is parsed into a filter value, such as a date."""

    def __init__(
        self,
        parse: Callable[[str], object],
        pattern: str | None = None,
        max_length: int | None = None,
    ) -> None:
        """Store the parser of the text.

        pattern, max_length: checks before the text is parsed, shown in the OpenAPI schema.
        """
        self._parse, self._pattern, self._max_length = parse, pattern, max_length

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema: https://docs.pydantic.dev/latest/concepts/types/#custom-types."""
        text = core_schema.str_schema(pattern=self._pattern, max_length=self._max_length)
        return core_schema.no_info_after_validator_function(self._parse, text)


def _parse_date(text: str) -> DateBound:
    """Parse a date; raise PydanticCustomError, so that status 422 names the invalid field."""
    try:
        return DateBound.parse(text)
    except QueryError as error:
        raise PydanticCustomError("date", str(error)) from error


Date = Annotated[
    DateBound,
    ParsedText(_parse_date),
    Field(json_schema_extra={"pattern": f"^{DateBound.PATTERN}$"}),
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Score = Number | Literal["auto"]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False, description="megapixels")]
Place = Annotated[
    Circle,
    ParsedText(Circle.parse, PLACE_PATTERN, max_length=100),
    Field(description="LATITUDE,LONGITUDE,KM: 48.85,2.35,5km"),
]
Rating = Annotated[
    RatingRange,
    ParsedText(RatingRange.parse, RATING_PATTERN, max_length=20),
    Field(description=RatingRange.HELP),
]


def _parse_form_json(value: Any) -> Any:
    """Parse a form field that contains JSON; return other values unchanged."""
    return _parse_json(value) if isinstance(value, str) else value


def _parse_list(value: Any) -> Any:
    """Return a list from a form field: a JSON list, or one plain value."""
    if not isinstance(value, str):
        return value
    parsed = _parse_json(value) if value.startswith("[") else value
    return parsed if isinstance(parsed, list) else [value]


class TermRequest(BaseModel):
    """Term of a weighted query: a text, a picture, or both as one prompt."""

    text: Annotated[str | None, Field(max_length=20_000)] = None
    image: Annotated[
        str | None,
        Field(max_length=100, description="name of the multipart form part with the picture"),
    ] = None
    image_id: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    image_url: Annotated[
        str | None, Field(max_length=4000, description="only with --allow-urls")
    ] = None
    weight: Annotated[
        Number, Field(ge=-1000, le=1000, description="negative: less like this term")
    ] = 1.0


class FilterRequest(BaseModel):
    """Conditions that images must match."""

    folder: Annotated[str | None, Field(max_length=4096)] = None
    after: Date | None = None
    before: Date | None = None
    taken: Annotated[bool, Field(description="ignore the dates of files")] = False
    camera: Annotated[str | None, Field(max_length=200, description="a pattern: iPhone*")] = None
    lens: Annotated[str | None, Field(max_length=200, description="a pattern: *50mm*")] = None
    rating: Rating | None = None
    keyword: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        BeforeValidator(_parse_list),
        Field(
            max_length=MAX_QUERY_PARTS,
            description="patterns that must all match; in a form: a JSON list",
        ),
    ] = []
    format: Annotated[str | None, Field(max_length=20, description="jpeg, png ...")] = None
    min_size: Size | None = None
    max_size: Size | None = None
    near: Place | None = None
    where: Annotated[
        str | None, Field(max_length=4000, description="an SQL condition over the view photos")
    ] = None
    collection: str | None = None

    def to_filter(self) -> Filter:
        """Return the conditions as a Filter."""
        return Filter(**self.filter_values())

    def filter_values(self) -> dict[str, Any]:
        """Return the values of the conditions, by the field names of Filter."""
        values = {field.name: getattr(self, field.name) for field in fields(Filter)}
        return values | {"folder": self.folder or None, "keyword": tuple(self.keyword)}


class SimilarRequest(FilterRequest):
    """Conditions of a search, and the page of the result."""

    count: Annotated[int, Field(ge=1, le=MAX_HITS)] = 60
    offset: Annotated[int, Field(ge=0, le=100 * MAX_HITS)] = 0
    min_score: Annotated[Score | None, Field(description="auto: only good matches")] = None
    sort: SortOrder = "score"


class SearchRequest(SimilarRequest):
    """Query, conditions and page of a search."""

    text: Annotated[str | None, Field(max_length=20_000)] = None
    image_url: Annotated[
        str | None, Field(max_length=4000, description="only with --allow-urls")
    ] = None
    terms: Annotated[
        list[TermRequest] | None,
        BeforeValidator(_parse_form_json),
        Field(max_length=MAX_QUERY_PARTS, description="weighted sum of terms; in a form: JSON"),
    ] = None
    model: Annotated[str | None, Field(description="only through the Unix socket")] = None
    trust_remote_code: Annotated[bool, Field(description="only through the Unix socket")] = False
    truncate: bool = False
    one_prompt: Annotated[
        bool, Field(description="refuse text and picture together if the model cannot embed both")
    ] = False


class InputRequest(BaseModel):
    """Prompt to embed, and the name of the multipart form part that holds its prepared picture."""

    prompt: str
    image: str | None = None


class EmbedRequest(BaseModel):
    """Inputs to embed; model, revision and space identify the collection whose model embeds."""

    model: str
    revision: str
    space: Annotated[dict[str, Any], BeforeValidator(_parse_form_json)]
    inputs: Annotated[
        list[InputRequest], BeforeValidator(_parse_form_json), Field(max_length=MAX_QUERY_PARTS)
    ]


class CountRequest(BaseModel):
    """Prompt whose tokens to count; model, revision and space: see EmbedRequest."""

    model: str
    revision: str
    space: dict[str, Any]
    prompt: str


SEARCH_REQUEST_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": SearchRequest.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    **SearchRequest.model_json_schema(),
                    "properties": {
                        **SearchRequest.model_json_schema()["properties"],
                        "image": {"type": "string", "format": "binary"},
                    },
                }
            },
        },
    }
}


def is_used_by_term(name: str, terms: list[TermRequest]) -> bool:
    """Return whether a query term names this multipart form part as its picture."""
    return any(term.image == name for term in terms)


async def parse_request(
    request: Request, model: type[RequestModel]
) -> tuple[RequestModel, dict[str, bytes]]:
    """Return the fields of a JSON or form body, and the pictures by the names of their form parts.

    Raises HTTPException if the body is not JSON, and RequestValidationError if it does not fit the
    model. Both become status 422.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    files: dict[str, bytes] = {}
    fields: Any
    if media_type == "multipart/form-data":
        async with request.form(max_files=MAX_QUERY_PARTS, max_fields=50) as form:
            for name, value in form.items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
            fields = {
                name: value for name, value in form.items() if isinstance(value, str) and value
            }
    else:
        try:
            fields = _parse_json(await request.body())
        except ValueError as error:
            raise HTTPException(
                422,
                "the body of the request is not JSON; send application/json or multipart/form-data",
            ) from error
    try:
        return model.model_validate(fields), files
    except ValidationError as error:
        raise RequestValidationError(
            error.errors(include_url=False, include_context=False)
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
    )
