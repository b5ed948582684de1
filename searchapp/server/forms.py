"""What is asked and answered over HTTP: its shapes, and how a request is read."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from starlette.datastructures import UploadFile

from searchapp.ranking import in_order
from searchapp.types import Answer, Hit, Order, SearchOptions

DATE = r"^\d{4}(-\d\d(-\d\d(T[\d:]+)?)?)?$"
PLACE = r"^-?\d+(\.\d*)?,-?\d+(\.\d*)?,\d+(\.\d*)?(km)?$"
PARTS = 16  # of a question
Asked = TypeVar("Asked", bound=BaseModel)
MOST = 1000  # hits an answer, and pages together


def _date(value: str) -> str:
    if not re.fullmatch(DATE, value):
        raise PydanticCustomError("date", "a date looks like 2023, 2023-06 or 2023-06-17")
    return value


Date = Annotated[str, AfterValidator(_date), Field(json_schema_extra={"pattern": DATE})]
Number = Annotated[float, Field(allow_inf_nan=False)]
Score = Number | Literal["auto"]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False, description="megapixels")]


Place = Annotated[
    str, Field(max_length=100, pattern=PLACE, description="LATITUDE,LONGITUDE,KM: 48.85,2.35,5km")
]


class TermRequest(BaseModel):
    """One term of a question that is added up: a text, a picture, or both as one question."""

    text: Annotated[str | None, Field(max_length=20_000)] = None
    image: Annotated[
        str | None, Field(max_length=100, description="the name of the form's part that holds it")
    ] = None
    image_id: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    image_url: Annotated[str | None, Field(max_length=4000, description="if allowed")] = None
    weight: Annotated[Number, Field(ge=-1000, le=1000, description="below zero: less of it")] = 1.0


class SearchRequest(BaseModel):
    """What to look for, and what the answers must fulfil."""

    text: Annotated[str | None, Field(max_length=20_000)] = None
    image_url: Annotated[str | None, Field(max_length=4000, description="if allowed")] = None
    terms: Annotated[
        list[TermRequest] | None,
        BeforeValidator(lambda value: _read(value)),
        Field(max_length=PARTS, description="added up by weight; in a form: as JSON"),
    ] = None
    count: Annotated[int, Field(ge=1, le=MOST)] = 60
    offset: Annotated[int, Field(ge=0, le=100 * MOST)] = 0
    folder: Annotated[str | None, Field(max_length=4096)] = None
    after: Date | None = None
    before: Date | None = None
    camera: Annotated[str | None, Field(max_length=200, description="a pattern: iPhone*")] = None
    format: Annotated[str | None, Field(max_length=20, description="jpeg, png ...")] = None
    min_size: Size | None = None
    max_size: Size | None = None
    near: Place | None = None
    where: Annotated[
        str | None, Field(max_length=4000, description="an SQL condition over the view photos")
    ] = None
    min_score: Annotated[Score | None, Field(description="auto: only good matches")] = None
    sort: Order = "score"
    collection: str | None = None
    model: Annotated[str | None, Field(description="by the Unix socket only")] = None
    trust_remote_code: Annotated[bool, Field(description="by the Unix socket only")] = False
    truncate: bool = False
    one_prompt: Annotated[
        bool, Field(description="refuse text and picture together where they cannot be one prompt")
    ] = False


def _read(value: Any) -> Any:
    """Read JSON that came as a form's field."""
    return _parsed(value) if isinstance(value, str) else value


class InputRequest(BaseModel):
    """A prompt, and the form's part with the picture that it speaks of, prepared and whole."""

    prompt: str
    image: str | None = None


class EmbedRequest(BaseModel):
    """What to embed, and with which collection's model: by what its vectors depend on."""

    model: str
    revision: str
    space: Annotated[dict[str, Any], BeforeValidator(_read)]
    inputs: Annotated[list[InputRequest], BeforeValidator(_read), Field(max_length=PARTS)]


class EmbedAnswer(BaseModel):
    """For each input a vector (float32, little-endian, base64), or why there is none."""

    vectors: list[str | None]
    refusals: list[str | None]


class CountRequest(BaseModel):
    """A prompt whose tokens are to be counted."""

    model: str
    revision: str
    space: dict[str, Any]
    prompt: str


class CountAnswer(BaseModel):
    """How many tokens a prompt has."""

    tokens: int


class Found(BaseModel):
    """One image that was found."""

    id: int
    path: str
    name: str
    folder: str
    score: float
    width: int
    height: int
    sha256: str
    taken_at: str | None
    camera: str | None
    also: list[str]

    @classmethod
    def of(cls, hit: Hit) -> Found:
        """Put a hit as the API does."""
        folder, name = os.path.split(hit.path)
        return cls(
            id=hit.image_id, path=hit.path, name=name, folder=folder, score=hit.score,
            width=hit.width, height=hit.height, sha256=hit.sha256, taken_at=hit.taken_at,
            camera=hit.camera, also=list(hit.also),
        )  # fmt: skip


class SearchAnswer(BaseModel):
    """What was found, best first."""

    hits: list[Found]
    good_match: bool | None = Field(description="whether the best is one; null: not known")
    more: bool = Field(description="whether there is another page")
    milliseconds: float


FORM = {
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


def named(name: str, terms: list[TermRequest]) -> bool:
    """Tell whether a term names a part of the form."""
    return any(term.image == name for term in terms)


async def asked_of(request: Request, shape: type[Asked]) -> tuple[Asked, dict[str, bytes]]:
    """Read a request, and the pictures sent with it by their names, from JSON or from a form.

    Raise RequestValidationError where it is neither.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    files: dict[str, bytes] = {}
    fields: Any
    if kind == "multipart/form-data":
        async with request.form(max_files=PARTS, max_fields=50) as form:
            for name, value in form.items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
            fields = {k: value for k, value in form.items() if isinstance(value, str) and value}
    else:
        try:
            fields = _parsed(await request.body())
        except ValueError as error:
            raise HTTPException(422, "the body is neither JSON nor a multipart form") from error
    try:
        return shape.model_validate(fields), files
    except ValidationError as error:
        raise RequestValidationError(
            error.errors(include_url=False, include_context=False)
        ) from error


def _parsed(text: str | bytes) -> Any:
    """Return what JSON says; ValueError where it is none, or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def options_of(asked: SearchRequest) -> SearchOptions:
    """Return what a search is asked with."""
    return SearchOptions(
        count=asked.count + 1,  # one more tells whether there is another page
        offset=asked.offset,
        folder=Path(asked.folder) if asked.folder else None,
        after=asked.after,
        before=asked.before,
        camera=asked.camera,
        format=asked.format,
        min_size=asked.min_size,
        max_size=asked.max_size,
        near=asked.near,
        where=asked.where,
        min_score=asked.min_score,
        collection=asked.collection,
        model=asked.model,
        trust_remote_code=asked.trust_remote_code,
        truncate=asked.truncate,
    )


def answer_of(answer: Answer, asked: SearchRequest, begun: float) -> SearchAnswer:
    """Put an answer as the API does; begun: by time.perf_counter."""
    hits = in_order(answer.hits[: asked.count], asked.sort)
    return SearchAnswer(
        hits=[Found.of(hit) for hit in hits],
        good_match=answer.good,
        more=len(answer.hits) > asked.count,
        milliseconds=round(1000 * (time.perf_counter() - begun), 1),
    )
