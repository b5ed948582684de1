"""Access checks: requests of pages of other sites, malformed and repeated headers, tokens."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from support.browser import needs_chromium
from support.library import FakeEngines, RunCommand
from support.live_server import serve_library

from searchapp.errors import QueryError
from searchapp.server.access_token import AccessToken
from searchapp.server.guard import AccessGuard, AccessRules

COSTLY = [
    "/api/similar/1?where=1",
    "/api/facets",
    "/api/images/1",
    "/api/thumbnails/1",
    "/api/info",
]
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def fetch_status(client: Any, path: str, site: str, **headers: str) -> int:
    status: int = client.get(path, headers={"Sec-Fetch-Site": site, **headers}).status_code
    return status


def test_pages_of_other_sites_reach_nothing(client: Any, library: Path) -> None:
    """An <img> on another site sends no Origin, but Sec-Fetch-Site: the API refuses it."""
    image = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    for site in ("cross-site", "same-site", "new-word", ""):
        for path in [*COSTLY, "/metrics", "/healthz", "/openapi.json", "/app.js", "/", "/docs"]:
            assert fetch_status(client, path, site, **image) == 403, (site, path)
            assert fetch_status(client, path, site) == 403, (site, path)
    assert not (library / "thumbnails").exists()
    answer = client.post(
        "/api/search", content=b'{"text": "red"}', headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]


def test_own_page_links_and_programs_are_allowed(client: Any) -> None:
    """Requests of the page itself, typed addresses, links to pages, and programs are answered."""
    for path in [*COSTLY, "/", "/docs", "/app.js"]:
        assert client.get(path).status_code == 200, path
        assert fetch_status(client, path, "same-origin") == 200, path
        assert fetch_status(client, path, "none", **NAVIGATION) == 200, path
    for path in ("/", "/?q=red", "/docs"):
        assert fetch_status(client, path, "cross-site", **NAVIGATION) == 200, path
        frame = {**NAVIGATION, "Sec-Fetch-Dest": "iframe"}
        assert fetch_status(client, path, "cross-site", **frame) == 403, path
    for path in COSTLY:
        assert fetch_status(client, path, "cross-site", **NAVIGATION) == 403, path


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "", "://", "http://", "localhost", "http://\xff"]
)
def test_malformed_origins_are_refused(client: Any, origin: str) -> None:
    """An Origin that is no URL is another origin."""
    headers = {"Origin": origin.encode("latin-1")}
    assert client.get("/healthz", headers=headers).status_code == 403


def test_own_origin_is_accepted(client: Any) -> None:
    """The scheme may differ: a proxy can add TLS."""
    host = f"{client.base_url.host}:{client.base_url.port}"
    for origin in (f"http://{host}", f"https://{host}", f"HTTP://{host.upper()}"):
        assert client.get("/healthz", headers={"Origin": origin}).status_code == 200
    assert client.get("/healthz", headers={"Origin": f"ftp://{host}"}).status_code == 403


@pytest.mark.parametrize("second", ["evil.example", "localhost"])
def test_two_host_headers_are_refused(client: Any, second: str) -> None:
    """Two programs could each use another one, so no order of two headers Host is accepted."""
    address = (client.base_url.host, client.base_url.port)
    for hosts in (["localhost", second], [second, "localhost"]):
        lines = "".join(f"Host: {host}\r\n" for host in hosts)
        with socket.create_connection(address, timeout=60) as raw:
            raw.sendall(f"GET /healthz HTTP/1.1\r\n{lines}\r\n".encode())
            assert b" 400 " in raw.recv(100).split(b"\r\n")[0]


TOKENS = ['two; "words",', "gr\u00fc\u00df dich \u2603", "\udcff\udcfe", "x" * 5000, " around "]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_log_in(library: Path, fake_engines: FakeEngines, token: str) -> None:
    """Any token works in the URL, in the cookie that follows, and in the header."""
    secret = token.strip().encode("utf-8", "surrogateescape")
    rules = AccessRules(token)
    with serve_library(library, fake_engines, rules) as url, httpx.Client(base_url=url) as client:
        assert client.get("/api/info").status_code == 401
        client.cookies.set("other", '"{a;')
        answer = client.get(f"/?token={quote(secret, safe='')}")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        assert len(answer.headers["set-cookie"]) < 200
        assert client.get("/api/info").status_code == 200
        client.cookies.clear()
        header = {"Authorization": b"Bearer " + secret}
        assert client.get("/api/info", headers=header).status_code == 200
        for wrong in (secret[:-1], secret + b"x"):
            header = {"Authorization": b"Bearer " + wrong}
            assert client.get("/api/info", headers=header).status_code == 401
            cookie = {"Cookie": b"searchapp_token=" + wrong}
            assert client.get("/api/info", headers=cookie).status_code == 401
            assert client.get(f"/?token={quote(wrong, safe='')}").status_code == 401


def test_tokens_are_typed_into_the_address_as_they_are() -> None:
    """A plus and a percent sign in the address can mean themselves; Latin-1 means its text."""
    for secret, query in [
        ("a+b/c==", b"token=a+b/c=="), ("two words", b"token=two+words"),
        ("50%41", b"token=50%41"), ("50%41", b"x=1&token=50%2541"), ("gr\u00fcn", b"token=gr%FCn"),
    ]:  # fmt: skip
        assert AccessToken(secret).is_in_query(query), secret
    assert AccessToken("gr\u00fcn").is_in_headers([(b"Authorization", b"bearer gr\xfcn")])
    for query in (b"", b"token", b"token=", b"tokens=a", b"token=b"):
        assert not AccessToken("a").is_in_query(query)


@pytest.mark.parametrize("token", ["", "  ", "tab\there", "line\nbreak", "nul\0", "\x7f"])
def test_tokens_that_no_header_can_hold_are_refused(run: RunCommand, token: str) -> None:
    """`serve` says so before it listens."""
    with pytest.raises(QueryError, match="the token"):
        AccessToken(token)
    if "\0" not in token:  # an argument cannot hold it
        result = run("serve", "--port", "0", "--token", token)
        assert result.exit_code == 2
        assert isinstance(result.exception, QueryError)
        assert "the token" in str(result.exception)


def test_repeated_headers_have_no_second_meaning() -> None:
    """A cookie beside others with strange values counts; a token in one of two headers too."""
    token = AccessToken("secret")
    cookie = token.make_cookie().partition(";")[0].encode()
    pairs: list[Sequence[tuple[bytes, bytes]]] = [
        [(b"cookie", b'a="; {"x":1}; ' + cookie)],
        [(b"Cookie", b"a=b"), (b"cookie", cookie + b" ")],
    ]
    for headers in pairs:
        assert token.is_in_headers(headers)
    assert not token.is_in_headers([(b"x-cookie", cookie), (b"authorization", b"secret")])


@pytest.mark.parametrize("is_answered", [False, True])
def test_requests_that_a_stop_cancels_get_an_answer(is_answered: bool) -> None:
    """Uvicorn would answer with a text that no client can read; the client repeats a 503."""
    messages: list[Any] = []

    async def work(scope: Any, receive: Any, send: Any) -> None:
        if is_answered:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        messages.append(message)

    async def cancel_request() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"",
                 "server": ("/resident.sock", None)}  # fmt: skip
        task = asyncio.create_task(AccessGuard(work, AccessRules())(scope, send, send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_request())
    if is_answered:
        assert [message["status"] for message in messages] == [200]
    else:
        start, body = messages
        assert start["status"] == 503
        assert (b"retry-after", b"1") in start["headers"]
        assert json.loads(body["body"])["detail"] == "the server is stopping. Repeat the request."


@needs_chromium
def test_browsers_send_what_the_guard_checks(client: Any, library: Path, chromium: Any) -> None:
    """In Chromium, a page of another site gets nothing by <img>, <script>, frame or fetch."""
    server = f"http://{client.base_url.host}:{client.base_url.port}"
    paths = ["/api/thumbnails/1", "/api/similar/1?where=1", "/api/images/1", "/app.js", "/"]
    tags = "".join(
        f'<img src="{server}{path}"><iframe src="{server}{path}"></iframe>'
        f'<script src="{server}{path}"></script>'
        for path in paths
    )
    fetches = "".join(f"fetch('{server}{path}', {{mode: 'no-cors'}});" for path in paths)
    context = chromium.new_context()
    statuses: list[int] = []
    context.on("response", lambda answer: statuses.append(answer.status))
    page = context.new_page()
    page.set_content(f"<body>{tags}<script>{fetches}</script>", wait_until="networkidle")
    assert statuses
    assert set(statuses) == {403}
    assert not (library / "thumbnails").exists()
    page.goto(f"{server}/")
    page.get_by_role("searchbox").or_(page.get_by_role("textbox")).first.wait_for()
    assert statuses[-1] == 200
    context.close()
