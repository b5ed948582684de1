"""The HTTP API and the web page."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of inner functions.

import json
import os
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi import Query as Parameter
from fastapi.responses import FileResponse, JSONResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from searchapp import __version__
from searchapp.engines import Refusal
from searchapp.errors import (
    LibraryError,
    PictureError,
    QueryError,
    SearchAppError,
    UnsupportedModality,
    error_to_dict,
)
from searchapp.server import video_ranges
from searchapp.server.client import PICTURE
from searchapp.server.guard import App, Guard, Rules
from searchapp.server.public_fetch import fetch_public
from searchapp.server.request_models import (
    FORM,
    CountRequest,
    EmbedRequest,
    FilterRequest,
    SearchRequest,
    SimilarRequest,
    TermRequest,
    asked_of,
    named,
    options_of,
)
from searchapp.server.response_models import (
    CountAnswer,
    EmbedAnswer,
    FacetsAnswer,
    SearchAnswer,
    answer_of,
)
from searchapp.server.service import SIZES, Part, Service, Starting
from searchapp.types import Query

WEB = Path(__file__).parent / "web"
FILES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
IDLE = frozenset({"/api/resident", "/api/stop", "/healthz", "/metrics"})  # no work, no stay
VERSIONED = frozenset({"/api/search", "/api/embed", "/api/count"})  # what commands ask
IMAGE_ID = 2**63 - 1


class Ascii(JSONResponse):
    """JSON in ASCII: file names that are no valid UTF-8 survive it."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode("ascii")


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
        if theirs != __version__ and request.url.path in VERSIONED:
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
        return Ascii(error_to_dict(error), status)

    @app.post("/api/search", response_model=SearchAnswer, openapi_extra=FORM)
    async def search(request: Request) -> SearchAnswer:
        """Search by a text, by a picture, by both as one question, or by a sum of terms."""
        asked, files = await asked_of(request, SearchRequest)
        if not request.scope["searchapp.local"]:
            asked = asked.model_copy(update={"model": None, "trust_remote_code": False})
        terms = asked.terms or []
        if not terms or asked.text or asked.image_url or "image" in files:
            image = "image" if "image" in files and not named("image", terms) else None
            terms = [TermRequest(text=asked.text, image=image, image_url=asked.image_url), *terms]
        parts = [await part(term, files) for term in terms]
        begun = time.perf_counter()
        answer = await service.search(parts, options_of(asked), asked.one_prompt)
        took.observe(time.perf_counter() - begun)
        return answer_of(answer, asked, begun)

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

    @app.post("/api/embed", include_in_schema=False)
    async def embed(request: Request) -> EmbedAnswer:
        """Embed what another process of the user has prepared, so that one engine does for both."""
        only_local(request)
        asked, files = await asked_of(request, EmbedRequest)
        inputs = [(each.prompt, files.get(each.image or "")) for each in asked.inputs]
        outputs = await service.embed(asked.model, asked.revision, asked.space, inputs)
        refused = [each.reason if isinstance(each, Refusal) else None for each in outputs]
        vectors = [
            None if isinstance(each, Refusal) else b64encode(each.astype("<f4").tobytes()).decode()
            for each in outputs
        ]
        return EmbedAnswer(vectors=vectors, refusals=refused)

    @app.post("/api/count", include_in_schema=False)
    async def count_tokens(request: Request, asked: CountRequest) -> CountAnswer:
        """Count the tokens of a prompt."""
        only_local(request)
        tokens = await service.count(asked.model, asked.revision, asked.space, asked.prompt)
        return CountAnswer(tokens=tokens)

    def only_local(request: Request) -> None:
        if not request.scope["searchapp.local"]:
            raise HTTPException(403, "only by the Unix socket")

    @app.get("/api/similar/{image_id}", response_model=SearchAnswer)
    async def similar(
        image_id: Annotated[int, _id()], asked: Annotated[SimilarRequest, Parameter()]
    ) -> SearchAnswer:
        """Find images like one of the library's; it comes first itself."""
        begun = time.perf_counter()
        return answer_of(await service.similar(image_id, options_of(asked)), asked, begun)

    @app.get("/api/facets", response_model=FacetsAnswer)
    async def facets(asked: Annotated[FilterRequest, Parameter()]) -> FacetsAnswer:
        """Count the pictures of each month, folder, camera, lens, keyword, rating and format."""
        return FacetsAnswer.of(await service.facets(asked.filter(), asked.collection))

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

    @app.get("/api/videos/{image_id}", response_class=Response)
    async def film(request: Request, image_id: Annotated[int, _id()]) -> Response:
        """Return the video that an image is a frame of, as it is; parts of it by Range."""
        found = await service.film(image_id)
        if found is None:
            raise HTTPException(404, "there is no such image")
        return video_ranges.answer(*found, request.headers.get("range"))

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
        only_local(request)
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
        from searchapp.server.api_docs import page

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
