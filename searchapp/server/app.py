"""The HTTP API and the web page."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of inner functions.

import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi import Query as Parameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError
from starlette.datastructures import UploadFile

from searchapp import __version__
from searchapp.errors import (
    LibraryError,
    PictureError,
    QueryError,
    SearchAppError,
    UnsupportedModality,
)
from searchapp.ranking import in_order
from searchapp.server.client import PICTURE
from searchapp.server.guard import App, Guard, Rules
from searchapp.server.service import SIZES, Part, Service, Starting
from searchapp.server.urls import fetch_public
from searchapp.types import Answer, Hit, Order, Query, SearchOptions

WEB = Path(__file__).parent / "web"
FILES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
DATE = r"^\d{4}(-\d\d(-\d\d(T[\d:]+)?)?)?$"
PLACE = r"^-?\d+(\.\d*)?,-?\d+(\.\d*)?,\d+(\.\d*)?(km)?$"
PARTS = 16  # of a question
MOST = 1000  # hits an answer, and pages together
IDLE = frozenset({"/api/resident", "/api/stop", "/healthz", "/metrics"})  # no work, no stay
IMAGE_ID = 2**63 - 1


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
        BeforeValidator(lambda value: _parsed(value) if isinstance(value, str) else value),
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
    def of(cls, hit: Hit) -> "Found":
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


class Ascii(JSONResponse):
    """JSON in ASCII: file names that are no valid UTF-8 survive it."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode("ascii")


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
PROBLEM = {"description": "why not", "content": {"application/json": {
    "schema": {"type": "object", "properties": {"detail": {}}}}}}  # fmt: skip
PROBLEMS: dict[int | str, dict[str, Any]] = dict.fromkeys(
    (400, 401, 403, 404, 409, 413, 421, 422, 500, 503), PROBLEM
)


def create_app(
    service: Service,
    rules: Rules = Rules(),  # noqa: B008 (frozen)
    *,
    allow_urls: bool = False,
    leave: Callable[[], None] = lambda: None,
) -> App:
    """Make the app of a service; leave is called when it is asked to stop by its Unix socket."""
    app = FastAPI(
        title="searchapp", version=__version__, docs_url=None, redoc_url=None,
        default_response_class=Ascii, responses=PROBLEMS,
    )  # fmt: skip
    registry = CollectorRegistry()
    counted = Counter("searchapp_requests", "Requests", ["path", "status"], registry=registry)
    took = Histogram("searchapp_search_seconds", "Time of a search", registry=registry)

    @app.middleware("http")
    async def count(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        theirs = request.headers.get("x-searchapp-version", __version__)
        if theirs != __version__ and request.url.path == "/api/search":
            return Ascii({"detail": f"this is version {__version__}"}, 409)
        if request.url.path in IDLE:
            response = await call_next(request)
        else:
            with service.serving():
                response = await call_next(request)
        route = request.scope.get("route")
        counted.labels(getattr(route, "path", "other"), str(response.status_code)).inc()
        return response

    @app.exception_handler(SearchAppError)
    async def stated(request: Request, error: SearchAppError) -> Response:
        if isinstance(error, Starting):
            return Ascii({"detail": str(error)}, 503, {"Retry-After": "1"})
        asked_wrong = (QueryError, PictureError, UnsupportedModality)
        status = next(
            (status for kind, status in ((asked_wrong, 400), (LibraryError, 404))
             if isinstance(error, kind)), 500
        )  # fmt: skip
        return Ascii({"detail": str(error), "exit_code": error.exit_code}, status)

    @app.post("/api/search", response_model=SearchAnswer, openapi_extra=FORM)
    async def search(request: Request) -> SearchAnswer:
        """Search by a text, by a picture, by both as one question, or by a sum of terms."""
        asked, files = await _asked(request)
        if not request.scope["searchapp.local"]:
            asked = asked.model_copy(update={"model": None, "trust_remote_code": False})
        terms = asked.terms or []
        if not terms or asked.text or asked.image_url or "image" in files:
            image = "image" if "image" in files and not _named("image", terms) else None
            terms = [TermRequest(text=asked.text, image=image, image_url=asked.image_url), *terms]
        parts = [await part(term, files) for term in terms]
        begun = time.perf_counter()
        answer = await service.search(parts, _options(asked), asked.one_prompt)
        took.observe(time.perf_counter() - begun)
        return _answer(answer, asked, begun)

    async def part(term: TermRequest, files: dict[str, bytes]) -> Part:
        data = None
        if term.image is not None:
            if term.image not in files:
                raise QueryError(f"the form has no picture named {term.image}")
            data = files[term.image]
        elif term.image_url is not None:
            if not allow_urls:
                raise QueryError("this server fetches no URLs; send the picture itself")
            url = term.image_url
            data = await service.fetched(lambda: fetch_public(url))
        elif term.image_id is not None:
            if term.text:
                raise QueryError("a term is an image's id or a text; make two terms of them")
            return Part(Query(None, PICTURE), None, term.image_id, term.weight)
        return Part(
            Query(term.text, PICTURE if data is not None else None), data, None, term.weight
        )

    @app.get("/api/similar/{image_id}", response_model=SearchAnswer)
    async def similar(
        image_id: Annotated[int, _id()],
        count: Annotated[int, Parameter(ge=1, le=MOST)] = 60,
        offset: Annotated[int, Parameter(ge=0, le=100 * MOST)] = 0,
        folder: str | None = None,
        after: Date | None = None,
        before: Date | None = None,
        camera: Annotated[str | None, Parameter(max_length=200)] = None,
        format: Annotated[str | None, Parameter(max_length=20)] = None,
        min_size: Size | None = None,
        max_size: Size | None = None,
        near: Place | None = None,
        where: Annotated[str | None, Parameter(max_length=4000)] = None,
        min_score: Score | None = None,
        sort: Order = "score",
        collection: str | None = None,
    ) -> SearchAnswer:
        """Find images like one of the library's; it comes first itself."""
        asked = SearchRequest(
            count=count, offset=offset, folder=folder, after=after, before=before, camera=camera,
            format=format, min_size=min_size, max_size=max_size, near=near, where=where,
            min_score=min_score, sort=sort, collection=collection,
        )  # fmt: skip
        begun = time.perf_counter()
        return _answer(await service.similar(image_id, _options(asked)), asked, begun)

    @app.get("/api/images/{image_id}", response_class=Response)
    async def image(image_id: Annotated[int, _id()]) -> Response:
        """Return the picture, in a format that browsers show."""
        found = await service.image(image_id)
        if found is None:
            raise HTTPException(404, "there is no such image")
        return Response(found[0], media_type=found[1], headers={"Cache-Control": "private"})

    @app.get("/api/thumbnails/{image_id}", response_class=Response)
    async def thumbnail(image_id: Annotated[int, _id()], size: int = SIZES[0]) -> Response:
        """Return a small picture: WebP, upright, its long side 320 or 640 pixels."""
        if size not in SIZES:
            raise HTTPException(400, f"size is one of {SIZES}")
        found = await service.thumbnail(image_id, size)
        if found is None:
            raise HTTPException(404, "there is no such image")
        headers = {"Cache-Control": "private, max-age=86400", "ETag": f'"{found[1][:16]}-{size}"'}
        return Response(found[0], media_type="image/webp", headers=headers)

    @app.get("/api/info")
    async def info() -> dict[str, Any]:
        """Tell what the library holds, and what it can be filtered by."""
        return await service.info()

    @app.get("/api/resident")
    async def resident() -> dict[str, Any]:
        """Tell which process this is."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "seconds": round(time.monotonic() - service.begun, 1),
        }

    @app.post("/api/stop", include_in_schema=False)
    async def stop(request: Request) -> dict[str, str]:
        """Leave; only the user can ask for it, by the Unix socket."""
        if not request.scope["searchapp.local"]:
            raise HTTPException(403, "only by the Unix socket")
        leave()
        return {"detail": "leaving"}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return counts and times for Prometheus."""
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """Describe the API on a page that needs no script."""
        from searchapp.server.docs import page

        return Response(page(app.openapi()), media_type="text/html")

    @app.get("/", include_in_schema=False)
    @app.get("/{name}", include_in_schema=False)
    async def web(name: str = "index.html") -> Response:
        """Return a file of the web page."""
        file = WEB / name
        if file.parent != WEB or file.suffix not in FILES or not file.is_file():
            raise HTTPException(404, "there is no such page")
        return FileResponse(
            file, media_type=FILES[file.suffix], headers={"Cache-Control": "no-cache"}
        )

    return Guard(app, rules)


def _id() -> Any:
    from fastapi import Path as InPath

    return InPath(ge=1, le=IMAGE_ID)


def _named(name: str, terms: list[TermRequest]) -> bool:
    return any(term.image == name for term in terms)


async def _asked(request: Request) -> tuple[SearchRequest, dict[str, bytes]]:
    """Read a search, and the pictures sent with it by their names, from JSON or from a form.

    Raise RequestValidationError where it is neither.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    files: dict[str, bytes] = {}
    fields: Any
    if kind == "multipart/form-data":
        form = await request.form(max_files=PARTS, max_fields=50)
        for name, value in form.items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
        fields = {name: value for name, value in form.items() if isinstance(value, str) and value}
    else:
        try:
            fields = _parsed(await request.body())
        except ValueError as error:
            raise HTTPException(422, "the body is neither JSON nor a multipart form") from error
    try:
        return SearchRequest.model_validate(fields), files
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


def _options(asked: SearchRequest) -> SearchOptions:
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


def _answer(answer: Answer, asked: SearchRequest, begun: float) -> SearchAnswer:
    hits = in_order(answer.hits[: asked.count], asked.sort)
    return SearchAnswer(
        hits=[Found.of(hit) for hit in hits],
        good_match=answer.good,
        more=len(answer.hits) > asked.count,
        milliseconds=round(1000 * (time.perf_counter() - begun), 1),
    )
