"""What is asked over HTTP: its shapes, and how a request is read."""

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
RATING = r"^([0-5](\+|-[0-5])?|rejected|unrated)$"
MAX_QUERY_PARTS = 16  # of a question
Asked = TypeVar("Asked", bound=BaseModel)
MAX_HITS = 1000  # hits an answer, and pages together
ImageId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class ParsedText:
    """Annotate a field that comes as text of a pattern and is parsed into a value of a filter."""

    def __init__(
        self, parse: Callable[[str], object], pattern: str | None = None, length: int | None = None
    ) -> None:
        """Take what parses the text, its pattern in the API's schema, and its most characters."""
        self._parse, self._pattern, self._length = parse, pattern, length

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return the schema: https://docs.pydantic.dev/latest/concepts/types/#custom-types."""
        text = core_schema.str_schema(pattern=self._pattern, max_length=self._length)
        return core_schema.no_info_after_validator_function(self._parse, text)


def _parse_date(text: str) -> DateBound:
    """Parse a date; where it is none, the answer names the field (status 422)."""
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
    ParsedText(Circle.parse, PLACE_PATTERN, length=100),
    Field(description="LATITUDE,LONGITUDE,KM: 48.85,2.35,5km"),
]
Rating = Annotated[
    RatingRange,
    ParsedText(RatingRange.parse, RATING, length=20),
    Field(description=RatingRange.HELP),
]


def _parse_form_json(value: Any) -> Any:
    """Read JSON that came as a form's field."""
    return _parse_json(value) if isinstance(value, str) else value


def _parse_list(value: Any) -> Any:
    """Return a list of what a form brings: as JSON, or one plain keyword."""
    if not isinstance(value, str):
        return value
    parsed = _parse_json(value) if value.startswith("[") else value
    return parsed if isinstance(parsed, list) else [value]


class TermRequest(BaseModel):
    """One term of a question that is added up: a text, a picture, or both as one question."""

    text: Annotated[str | None, Field(max_length=20_000)] = None
    image: Annotated[
        str | None, Field(max_length=100, description="the name of the form's part that holds it")
    ] = None
    image_id: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    image_url: Annotated[str | None, Field(max_length=4000, description="if allowed")] = None
    weight: Annotated[Number, Field(ge=-1000, le=1000, description="below zero: less of it")] = 1.0


class FilterRequest(BaseModel):
    """What pictures must fulfil."""

    folder: Annotated[str | None, Field(max_length=4096)] = None
    after: Date | None = None
    before: Date | None = None
    taken: Annotated[bool, Field(description="the files' own dates do not count")] = False
    camera: Annotated[str | None, Field(max_length=200, description="a pattern: iPhone*")] = None
    lens: Annotated[str | None, Field(max_length=200, description="a pattern: *50mm*")] = None
    rating: Rating | None = None
    keyword: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        BeforeValidator(_parse_list),
        Field(
            max_length=MAX_QUERY_PARTS,
            description="patterns, all of which hold; in a form: as JSON",
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
        """Return it as the library has it."""
        return Filter(**self.filter_values())

    def filter_values(self) -> dict[str, Any]:
        """Return the values of a Filter by the names of its fields."""
        values = {field.name: getattr(self, field.name) for field in fields(Filter)}
        return values | {"folder": self.folder or None, "keyword": tuple(self.keyword)}


class SimilarRequest(FilterRequest):
    """What pictures must fulfil that are like one, and how many are wanted."""

    count: Annotated[int, Field(ge=1, le=MAX_HITS)] = 60
    offset: Annotated[int, Field(ge=0, le=100 * MAX_HITS)] = 0
    min_score: Annotated[Score | None, Field(description="auto: only good matches")] = None
    sort: SortOrder = "score"


class SearchRequest(SimilarRequest):
    """What to look for, and what the answers must fulfil."""

    text: Annotated[str | None, Field(max_length=20_000)] = None
    image_url: Annotated[str | None, Field(max_length=4000, description="if allowed")] = None
    terms: Annotated[
        list[TermRequest] | None,
        BeforeValidator(_parse_form_json),
        Field(max_length=MAX_QUERY_PARTS, description="added up by weight; in a form: as JSON"),
    ] = None
    model: Annotated[str | None, Field(description="by the Unix socket only")] = None
    trust_remote_code: Annotated[bool, Field(description="by the Unix socket only")] = False
    truncate: bool = False
    one_prompt: Annotated[
        bool, Field(description="refuse text and picture together where they cannot be one prompt")
    ] = False


class InputRequest(BaseModel):
    """A prompt, and the form's part with the picture that it speaks of, prepared and whole."""

    prompt: str
    image: str | None = None


class EmbedRequest(BaseModel):
    """What to embed, and with which collection's model: by what its vectors depend on."""

    model: str
    revision: str
    space: Annotated[dict[str, Any], BeforeValidator(_parse_form_json)]
    inputs: Annotated[
        list[InputRequest], BeforeValidator(_parse_form_json), Field(max_length=MAX_QUERY_PARTS)
    ]


class CountRequest(BaseModel):
    """A prompt whose tokens are to be counted."""

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


def is_named_by_term(name: str, terms: list[TermRequest]) -> bool:
    """Tell whether a term names a part of the form."""
    return any(term.image == name for term in terms)


async def parse_request(request: Request, model: type[Asked]) -> tuple[Asked, dict[str, bytes]]:
    """Read a request, and the pictures sent with it by their names, from JSON or from a form.

    Raise RequestValidationError where it is neither.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    files: dict[str, bytes] = {}
    fields: Any
    if kind == "multipart/form-data":
        async with request.form(max_files=MAX_QUERY_PARTS, max_fields=50) as form:
            for name, value in form.items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
            fields = {k: value for k, value in form.items() if isinstance(value, str) and value}
    else:
        try:
            fields = _parse_json(await request.body())
        except ValueError as error:
            raise HTTPException(422, "the body is neither JSON nor a multipart form") from error
    try:
        return model.model_validate(fields), files
    except ValidationError as error:
        raise RequestValidationError(
            error.errors(include_url=False, include_context=False)
        ) from error


def _parse_json(text: str | bytes) -> Any:
    """Return what JSON says; ValueError where it is none, or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def to_search_options(request: SimilarRequest) -> SearchOptions:
    """Return what a search is asked with."""
    options = SearchOptions(
        **request.filter_values(),
        count=request.count + 1,  # one more tells whether there is another page
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
