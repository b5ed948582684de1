"""Nasty values in every field of every request: no server error, no hang, every answer is JSON."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from support.fake_engine import FakeEngine
from support.fake_reranker import FakeReranker

from searchapp.server.app import create_app
from searchapp.server.engine_models import CountRequest, EmbedRequest, InputRequest
from searchapp.server.guard import AccessGuard, AccessRules, App
from searchapp.server.request_models import SearchRequest, SimilarRequest, TermRequest
from searchapp.server.service import Service
from searchapp.server.unix_http import FIELDS_PART

TEXTS = [
    "\0", "\ud800", "ph\udcff", "x" * 30_000, "../../etc", "a'b\"c;--", "*[?", "nan", "\u0663",
    "2023-99-99", "0,0,1e9km", '["\\ud800"]',
]  # fmt: skip
NUMBERS = [math.nan, math.inf, -math.inf, 0, 0.5, 2**63, 10**400, -(10**400), "1e999"]
OTHERS = [None, True, ["\ud800"] * 20, {"\ud800": math.nan}]
NUMBER_FIELDS = {"count", "offset", "min_score", "min_size", "max_size", "weight", "image_id"}
PICTURES = [b"", b"\xff\xd8\xff", b"GIF89a" + b"\xff" * 50, b"BM" + b"\0" * 50]
HEADERS = {
    "accept": ["\xff", "x" * 5000],
    "authorization": ["", "Bearer", "Bearer \xff", "Basic !", "Bearer " + "x" * 5000],
    "content-length": ["-1", "+5", "1e3", "\xb2", "9" * 5000],
    "content-type": [
        "", "/", "multipart/form-data", "multipart/form-data; boundary=", "text/\xff",
        "multipart/form-data; boundary=b; charset=undefined", "application/json; charset=x",
        "multipart/form-data; boundary=" + "b" * 5000, "multipart/form-data; boundary=\xff",
        "application/x-www-form-urlencoded",
    ],
    "cookie": ["searchapp_token", "searchapp_token=\xff", "=;=;", '"' * 999, "$Version=x; a=\\"],
    "host": ["", "[", "[::1", "localhost:99999", "localhost:x", "\xff", "a" * 5000, "evil.example"],
    "if-range": ["\xff", '"'],
    "origin": ["", "null", "http://[", "http://[::1", "://", "\xff", "http://localhost:x"],
    "range": ["", "bytes", "bytes=", "bytes=-", "bytes=9-1", "bytes=\xb2-", "bytes=99999999999-",
              "bytes=" + "9" * 5000 + "-", "bytes=0-0," * 500, "lines=1-2"],
    "sec-fetch-site": ["", "cross-site", "same-site", "\xff", "none, none"],
    "x-searchapp-api-key": ["\xff"],
    "x-searchapp-engine": ["http://[", "%ff", "\xff"],
    "x-searchapp-keep-alive": ["", "x", "nan", "-1", "inf", "\xff"],
    "x-searchapp-version": ["", "\xff"],
}  # fmt: skip

Send = Callable[..., Coroutine[Any, Any, httpx.Response]]


def connect_locally(app: App) -> App:
    """Let requests look like requests through the Unix socket."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "server": ("/resident.sock", None)}, receive, send)

    return call


@pytest.fixture
def send_all(request: pytest.FixtureRequest, library: Path) -> Iterator[Callable[..., None]]:
    """Function that runs a test with a function that sends a request and checks its answer."""
    service = Service(library, FakeEngine, FakeReranker())
    app = create_app(service)

    async def run(send_requests: Callable[[Send], Coroutine[Any, Any, None]], app: App) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8") as client:

            async def send(method: str, url: str, about: object, **options: Any) -> httpx.Response:
                while True:
                    request = client.request(method, url, **options)
                    answer = await asyncio.wait_for(request, 20)
                    if answer.status_code != 503 or answer.json()["kind"] != "Starting":
                        break
                    await asyncio.sleep(0.01)
                check_answer(answer, (method, url[:99], about))
                return answer

            await send_requests(send)
            assert (await send("POST", "/api/search", "", json={"text": "red"})).status_code == 200

    def run_with_app(send_requests: Any, *, is_local: bool = False) -> None:
        asyncio.run(run(send_requests, connect_locally(app) if is_local else app))

    yield run_with_app
    service.close()


def check_answer(answer: httpx.Response, about: object) -> None:
    """Check that an answer is no server error, and is JSON unless it is a file of the server."""
    about = repr(about)[:300]
    if answer.status_code in (200, 303, 307):
        return
    assert answer.headers["content-type"] == "application/problem+json", about
    error = json.loads(answer.content.decode("ascii"))
    assert error["status"] == answer.status_code, about
    assert error["detail"] and isinstance(error["detail"], str), about
    # A command can name a model that does not exist, which has always been status 500.
    assert answer.status_code < 500 or error["kind"] == "ModelError", (about, answer.text)


def dump(fields: object) -> bytes:
    return json.dumps(fields).encode()


def list_values(field: str) -> list[Any]:
    return (NUMBERS if field in NUMBER_FIELDS else TEXTS) + OTHERS


@pytest.mark.parametrize("is_local", [False, True], ids=["web", "local"])
def test_fields_of_searches(send_all: Any, is_local: bool) -> None:
    """Each field of a search and of its terms, in turn in JSON, in a form, and as commands do."""
    # Paths that the file system refuses, such as too long ones: see the tests of resolve_model.
    bodies: list[dict[str, Any]] = [
        {"text": "red", name: value}
        for name in SearchRequest.model_fields
        for value in list_values(name)
        if not (name == "model" and isinstance(value, str) and len(value) > 255)
    ]
    bodies += [
        {"terms": [{"text": "red"}, {"weight": 0.5, name: value}]}
        for name in TermRequest.model_fields
        for value in list_values(name)
    ]

    async def send_requests(send: Send) -> None:
        for number, body in enumerate(bodies):
            if number % 3 == 0:
                files = {FIELDS_PART: (None, dump(body)), "picture": ("p", b"x")}
                await send("POST", "/api/search", body, files=files)
            elif number % 3 == 1 and all(isinstance(value, str) for value in body.values()):
                form = {name: (None, encode(value)) for name, value in body.items()}
                await send("POST", "/api/search", form, files=form)
            else:
                await send("POST", "/api/search", body, content=dump(body))
        for nonsense in (math.nan, "\ud800", None, [], 1, [[[]]], {"\ud800": 1}):
            await send("POST", "/api/search", nonsense, content=dump(nonsense))
        for picture in PICTURES:
            await send("POST", "/api/search", picture, files={"image": ("\ufeff", picture)})

    send_all(send_requests, is_local=is_local)


def test_fields_of_engine_requests(send_all: Any) -> None:
    """Each field of the requests of other processes, which the web cannot use."""
    base = {"model": "m", "revision": "r", "space": {}, "inputs": [{"prompt": "a"}], "prompt": "a"}

    async def send_requests(send: Send) -> None:
        for value in [*TEXTS, *OTHERS]:
            for name in EmbedRequest.model_fields:
                await send("POST", "/api/embed", (name, value), content=dump({**base, name: value}))
            for name in InputRequest.model_fields:
                body = {**base, "inputs": [{"prompt": "red", name: value}]}
                await send("POST", "/api/embed", (name, value), content=dump(body))
            for name in CountRequest.model_fields:
                await send("POST", "/api/count", (name, value), content=dump({**base, name: value}))

    send_all(send_requests, is_local=True)


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def test_parameters_and_paths(send_all: Any) -> None:
    """Each parameter of each GET request, and nasty parts of paths."""
    texts = [quote(encode(text), safe="") for text in TEXTS]
    texts += ["%ff", "%c3", "%", "9" * 5000, "-1", "1e9", "9" * 19]

    async def send_requests(send: Send) -> None:
        for number, text in enumerate(texts):
            for path in ("images", "thumbnails", "videos", "similar"):
                await send("GET", f"/api/{path}/{text}", text)
            for path in (f"/{text}", f"/{text}.html", f"/api/thumbnails/1?size={text}"):
                await send("GET", path, text)
            for position, name in enumerate(SimilarRequest.model_fields):
                path = "facets" if (number + position) % 2 else "similar/1"
                await send("GET", f"/api/{path}?{name}={text}&{name}={text}", text)
            for path in ("/", "/docs", "/healthz", "/metrics", "/api/info"):
                await send("GET", f"{path}?token={text}&{text}", text)
        for method in ("OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "X"):
            assert (await send(method, "/api/search", method)).status_code == 405

    send_all(send_requests)


@pytest.mark.parametrize("is_local", [False, True], ids=["web", "local"])
def test_headers(send_all: Any, is_local: bool) -> None:
    """Each header that the server reads, with a malformed value, and twice."""

    async def send_requests(send: Send) -> None:
        for name, values in HEADERS.items():
            for value in values:
                header = (name.encode(), value.encode("latin-1"))
                for path in ("/api/search", "/api/count"):
                    body = b"--b\r\n\r\n\xff"
                    await send("POST", path, header, headers=[header], content=body)
                await send("GET", "/api/similar/1", header, headers=[header, header])
                await send("GET", "/api/videos/1", header, headers=[header])
                await send("GET", "/", header, headers=[header])

    send_all(send_requests, is_local=is_local)


@pytest.mark.parametrize("token", [None, "secret"])
@pytest.mark.parametrize("name", sorted(HEADERS))
def test_guard_parses_every_header(token: str | None, name: str) -> None:
    """The guard itself raises nothing: it passes a request to the app, or answers it."""
    answers: list[Any] = []

    async def answer_empty(scope: Any, receive: Any, send: Any) -> None:
        answers.append({"status": 200})

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        answers.append(message)

    guard = AccessGuard(answer_empty, AccessRules(token))
    for value in HEADERS[name]:
        for count in (1, 2):
            headers = [(name.encode(), value.encode("latin-1"))] * count
            if name != "host":
                headers.append((b"host", b"localhost"))
            scope = {
                "type": "http", "method": "GET", "path": "/", "headers": headers,
                "query_string": b"token=\xff&token=%ff&token", "server": ("::1", 80),
            }  # fmt: skip
            answers.clear()
            asyncio.run(guard(scope, receive, send))
            assert answers[0]["status"] < 500
            if count == 2 and name in ("host", "origin", "authorization"):
                assert answers[0]["status"] == 400


def test_unreadable_pictures_of_the_library(send_all: Any, photos: Path) -> None:
    """Files that vanished since the last index give a reason."""
    shutil.rmtree(photos)

    async def send_requests(send: Send) -> None:
        for path in ("images", "thumbnails", "videos"):
            answer = await send("GET", f"/api/{path}/1", "vanished")
            assert answer.status_code in (400, 404)

    send_all(send_requests)
