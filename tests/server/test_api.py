"""The HTTP API, over real HTTP, with a fake engine; and who is let in."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.api import hit_names, search_api
from support.fake_engine import FakeEngine
from support.library import FakeEngines
from support.live_server import serve_library
from support.sample_pictures import make_picture, save_picture

from searchapp.errors import PictureError
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.server import fetch_public_url as public_fetch
from searchapp.server.fetch_public_url import fetch_public_url
from searchapp.server.guard import MAX_BODY_BYTES, AccessRules


def test_search_by_text_picture_and_both(client: Any, photos: Path) -> None:
    """JSON or a form; both together are added up where the model has no prompt for both."""
    answer = search_api(client, text="blue", count=2)
    assert hit_names(answer)[0] == "blue.jpg"
    body = answer.json()
    assert body["more"] is True
    assert body["milliseconds"] >= 0
    hit = body["hits"][0]
    assert hit["path"] == str(photos / "below/blue.jpg")
    assert hit["folder"] == str(photos / "below")
    assert (hit["width"], hit["height"], hit["also"]) == (80, 60, [])
    green = (photos / "green.png").read_bytes()
    assert hit_names(search_api(client, green))[0] == "green.png"
    save_picture(photos / "cyan.jpg", "cyan")
    with Library.open(photos.parent / "library", start=FakeEngine) as writer:
        list(writer.index([photos]))
    assert hit_names(search_api(client, green, text="blue"))[0] == "cyan.jpg"


def test_filters_and_pages(client: Any, photos: Path) -> None:
    """As on the command line."""
    assert hit_names(search_api(client, text="red", folder=str(photos / "below"))) == ["blue.jpg"]
    assert hit_names(search_api(client, text="red", min_score=0.99)) == ["red.jpg"]
    assert len(hit_names(search_api(client, text="red", after="2020"))) == 3  # by the files' dates
    assert hit_names(search_api(client, text="red", after="2020", taken=True)) == []
    whole = hit_names(search_api(client, text="red"))
    pages = [hit_names(search_api(client, text="red", count=1, offset=n)) for n in range(3)]
    assert [page[0] for page in pages] == whole


def test_similar_images_thumbnails_and_pictures(client: Any, photos: Path) -> None:
    """An id leads to the picture, small and whole, and to those like it."""
    hit = search_api(client, text="green").json()["hits"][0]
    similar = client.get(f"/api/similar/{hit['id']}", params={"count": 2})
    assert hit_names(similar)[0] == hit["name"]
    whole = client.get(f"/api/images/{hit['id']}")
    assert whole.headers["content-type"] == "image/png"
    assert whole.content == (photos / "green.png").read_bytes()
    for size in (320, 640):
        small = client.get(f"/api/thumbnails/{hit['id']}", params={"size": size})
        assert small.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(small.content)).size == (80, 60)
    assert len(list((photos.parent / "library" / "thumbnails").rglob("*.webp"))) == 2


def test_what_browsers_cannot_show_is_converted(
    client: Any, photos: Path, fake_engines: FakeEngines
) -> None:
    """A TIFF turned by EXIF comes upright, as JPEG; its thumbnail is upright, too."""
    exif = Image.Exif()
    exif[0x0112] = 6
    make_picture("yellow", (3000, 2000)).save(photos / "turned.tif", exif=exif)
    with Library.open(photos.parent / "library", start=fake_engines) as writer:
        list(writer.index([photos]))
    hit = search_api(client, text="yellow").json()["hits"][0]
    assert (hit["name"], hit["width"], hit["height"]) == ("turned.tif", 2000, 3000)
    shown = client.get(f"/api/images/{hit['id']}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(shown.content)).size == (1707, 2560)
    small = client.get(f"/api/thumbnails/{hit['id']}?size=320").content
    assert Image.open(io.BytesIO(small)).size == (213, 320)


def test_the_library_is_described(client: Any, photos: Path) -> None:
    """What the web page needs: model, folders, dates."""
    info = client.get("/api/info").json()
    assert (info["images"], info["model"]) == (3, "fake-clip")
    assert info["modalities"] == ["text", "image"]
    assert {folder["path"]: folder["images"] for folder in info["folders"]} == {
        str(photos): 2, str(photos / "below"): 1,
    }  # fmt: skip
    assert client.get("/healthz").json() == {"status": "ok"}
    search_api(client, text="red")
    metrics = client.get("/metrics").text
    assert 'searchapp_requests_total{path="/api/search",status="200"}' in metrics
    assert "searchapp_search_seconds_count" in metrics
    assert "/api/similar/{image_id}" in client.get("/openapi.json").json()["paths"]
    assert "POST /api/search" in client.get("/docs").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"text": "  "}, 400),
        ({"text": "nonsense"}, 400),
        ({"text": "red", "count": 0}, 422),
        ({"text": "red", "count": 10**9}, 422),
        ({"text": "red", "after": "yesterday"}, 422),
        ({"text": "red", "folder": "\0"}, 200),
        ({"text": ["red"]}, 422),
        ({"text": "red", "collection": "nowhere"}, 404),
        ({"image_url": "http://127.0.0.1/x.jpg"}, 400),
    ],
)
def test_bad_searches_have_their_status(client: Any, fields: dict[str, Any], status: int) -> None:
    """With the reason in detail; nothing is a traceback."""
    answer = search_api(client, **fields)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["detail"]


def test_bad_bodies_are_refused(client: Any) -> None:
    """What is neither JSON nor a form, and a picture that is none."""
    assert client.post("/api/search", content=b"{").status_code == 422
    assert client.post("/api/search", content=b"[1]").status_code == 422
    assert client.post("/api/search", content=b"\xff\xfe").status_code == 422
    assert search_api(client, b"no picture").status_code == 400
    bad = client.post("/api/search", content=b"xx", headers={
        "content-type": "multipart/form-data; boundary=y"})  # fmt: skip
    assert bad.status_code in (400, 422)
    for path in ("/api/images/99", "/api/thumbnails/99", "/api/similar/99"):
        assert client.get(path).status_code in (400, 404)
    for path in ("/api/images/0", "/api/images/x", f"/api/images/{2**63}"):
        assert client.get(path).status_code == 422
    assert client.get("/api/thumbnails/1?size=5000").status_code == 400


def test_no_path_comes_from_a_request(client: Any) -> None:
    """Only the web page's own files are served, however the path is written."""
    for path in ("/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/etc/passwd", "/app.py",
                 "/..%5capp.py", "/web/../../catalog.db", "//etc/passwd"):  # fmt: skip
        raw = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=5)
        raw.request("GET", path)
        assert raw.getresponse().status in (400, 404, 421), path
        raw.close()


def test_uploads_are_bounded(client: Any) -> None:
    """By their announced length, and by what really comes."""
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port), timeout=10) as raw:
        head = f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\n"
        raw.sendall(f"{head}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(100)

    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // (1 << 20) + 2):
            yield b"x" * (1 << 20)

    try:
        answer = client.post("/api/search", content=endless())
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # closed while we were still sending: refused, too
    assert hit_names(search_api(client, text="red"))


def test_a_bomb_is_refused(client: Any) -> None:
    """A picture of too many pixels never gets decoded."""
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "PNG")
    answer = search_api(client, buffer.getvalue())
    assert answer.status_code == 400
    assert "400 megapixels" in answer.json()["detail"]


def test_the_host_is_checked(client: Any) -> None:
    """A page of another name (DNS rebinding) and another site's page are refused."""
    for host, status in (
        ("evil.example", 421),
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("", 421),
    ):
        assert client.get("/healthz", headers={"Host": host}).status_code in (status, 400)
    evil = {"Origin": "http://evil.example"}
    assert client.post("/api/search", json={"text": "red"}, headers=evil).status_code == 403
    assert "access-control-allow-origin" not in client.get("/healthz").headers
    policy = client.get("/healthz").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_stop_and_models_are_for_the_user_alone(client: Any) -> None:
    """By TCP nobody ends the process or makes it load another model."""
    assert client.post("/api/stop").status_code == 403
    assert hit_names(search_api(client, text="red", model="/etc", trust_remote_code=True))


def test_a_token_is_demanded_and_kept_in_a_cookie(library: Path, fake_engines: FakeEngines) -> None:
    """As a bearer, or once in the URL of the page."""
    rules = AccessRules(token="secret")
    with serve_library(library, fake_engines, rules) as url, httpx.Client(base_url=url) as client:
        assert client.get("/api/info").status_code == 401
        assert client.get("/healthz").status_code == 200
        for wrong in ("wrong", "x", "secre", "s\xe9cret"):
            headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert client.get("/api/info", headers=headers).status_code == 401
        right = {"Authorization": "Bearer secret"}
        assert client.get("/api/info", headers=right).status_code == 200
        assert client.get("/?token=wrong").status_code == 401
        answer = client.get("/?token=secret")
        assert answer.status_code == 303
        assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
        assert client.get("/api/info").status_code == 200
        assert client.get("/healthz", headers={"Host": "photos.lan"}).status_code == 200


def test_32_clients_get_their_own_answers(library: Path, photos: Path, model: Path) -> None:
    """What comes while the engine works is embedded together, and nobody gets another's."""
    calls: list[int] = []

    class Counting(FakeEngine):
        def embed(self, inputs: Any) -> Any:
            calls.append(len(inputs))
            time.sleep(0.02)
            return super().embed(inputs)

    wrong: list[str] = []
    colours = {"red": "red.jpg", "green": "green.png", "blue": "blue.jpg"}

    with serve_library(library, Counting) as url:

        def ask(number: int) -> None:
            with httpx.Client(base_url=url, timeout=30) as client:
                for turn in range(6):
                    colour = list(colours)[(number + turn) % 3]
                    if hit_names(search_api(client, text=colour, count=1)) != [colours[colour]]:
                        wrong.append(colour)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert sum(calls) >= 32 * 6
    assert max(calls) > 4


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "http://localhost/x", "http://10.0.0.1/x", "http://[::1]/x",
        "http://169.254.169.254/latest/meta-data", "http://192.168.1.1/", "http://0.0.0.0/",
        "http://2130706433/", "http://[::ffff:127.0.0.1]/", "file:///etc/passwd", "ftp://x/y",
    ],
)  # fmt: skip
def test_private_addresses_are_never_fetched(url: str) -> None:
    """Whatever they are written like."""
    with pytest.raises(PictureError, match=r"public address|only http|cannot be resolved"):
        fetch_public_url(url)


def test_a_redirect_to_a_private_address_is_not_followed(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is checked, and the connection goes to the address that was."""
    import http.server

    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/secret")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirect) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        check = public_fetch._resolve_public_address
        monkeypatch.setattr(
            public_fetch,
            "_resolve_public_address",
            lambda host, port: "127.0.0.1" if host == "photos.example" else check(host, port),
        )
        with pytest.raises(PictureError, match=r"127\.0\.0\.1 is not a public address"):
            fetch_public_url(f"http://photos.example:{server.server_port}/x.jpg")
        server.shutdown()


def test_the_engines_error_reaches_whoever_asked(library: Path) -> None:
    """One that cannot start says so, and is tried again by the next request."""
    tries: list[ModelSpec] = []

    def start(spec: ModelSpec) -> FakeEngine:
        tries.append(spec)
        if len(tries) == 1:
            raise RuntimeError("no memory")
        return FakeEngine(spec)

    with serve_library(library, start) as url, httpx.Client(base_url=url) as client:
        answer = search_api(client, text="red")
        assert answer.status_code == 500
        assert "no memory" in answer.json()["detail"]
        assert hit_names(search_api(client, text="red"))
