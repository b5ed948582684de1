"""The HTTP API and its access checks, over real HTTP with a fake engine."""

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
    """Search by JSON or form; vectors of text and picture are added if there is no joint prompt."""
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


def test_search_by_words(client: Any, photos: Path, fake_engines: FakeEngines) -> None:
    """Words in names find pictures, without the engine if asked; each hit says why it is one."""
    prompts = [list(engine.prompts) for engine in fake_engines.started_engines]
    hits = search_api(client, text="green.png", by="text").json()["hits"]
    assert [engine.prompts for engine in fake_engines.started_engines] == prompts
    (hit,) = hits
    assert (hit["name"], hit["score"]) == ("green.png", 1.0)
    assert hit["match"] == [{"by": "name", "snippet": "green.png", "boxes": []}]
    reasons = {
        hit["name"]: [match["by"] for match in hit["match"]]
        for hit in search_api(client, text="red").json()["hits"]
    }
    assert reasons == {
        "red.jpg": ["vector", "name"],
        "green.png": ["vector"],
        "blue.jpg": ["vector"],
    }
    assert search_api(client, text='red "sea"').json()["hits"] == []
    assert len(hit_names(search_api(client, text='red "sea"', by="vector"))) == 3
    assert search_api(client, text="red", by="name").status_code == 422
    assert search_api(client, by="text").status_code == 400


def test_filters_and_pages(client: Any, photos: Path) -> None:
    """Filters work as in the command line; pages continue each other."""
    assert hit_names(search_api(client, text="red", folder=str(photos / "below"))) == ["blue.jpg"]
    assert hit_names(search_api(client, text="red", min_score=0.99)) == ["red.jpg"]
    assert len(hit_names(search_api(client, text="red", after="2020"))) == 3  # file dates
    assert hit_names(search_api(client, text="red", after="2020", taken=True)) == []
    all_names = hit_names(search_api(client, text="red"))
    pages = [hit_names(search_api(client, text="red", count=1, offset=n)) for n in range(3)]
    assert [page[0] for page in pages] == all_names


@pytest.mark.parametrize("name", ["fodler", "limit"])
def test_an_unknown_field_is_an_error(client: httpx.Client, name: str) -> None:
    """A filter with a typing error must not search everything: the answer names the field."""
    picture = ("picture", io.BytesIO(b""))
    answers = [
        client.post("/api/search", json={"text": "red", name: "x"}),
        client.post("/api/search", data={"text": "red", name: "x"}, files={"image": picture}),
        client.post("/api/search", data={"text": "red"}, files={name: picture}),
        client.post("/api/search", json={"terms": [{"text": "red", name: "x"}]}),
        client.get("/api/similar/1", params={name: "x"}),
        client.get("/api/facets", params={name: "x"}),
    ]
    for answer in answers:
        assert answer.status_code == 422
        (problem,) = answer.json()["errors"]
        assert problem["loc"][-1] == name
        assert problem["msg"].startswith("there is no such field")


def test_an_unknown_folder_is_a_warning(client: httpx.Client, photos: Path) -> None:
    """An empty result says whether the folder does not exist, or is not indexed."""
    (photos / "empty").mkdir()
    (photos / "link").symlink_to(photos)
    for name, warning in (
        ("nowhere", "no such folder, and the library knows no file below it"),
        ("empty", "the library knows no file below"),
        ("link", f"the library knows this folder as {photos}"),
    ):
        folder = str(photos / name)
        answers = [
            search_api(client, text="red", folder=folder),
            client.get("/api/similar/1", params={"folder": folder}),
            client.get("/api/facets", params={"folder": folder}),
        ]
        for answer in answers:
            assert answer.status_code == 200
            (text,) = answer.json()["warnings"]
            assert warning in text and folder in text
    for conditions in ({"folder": str(photos)}, {"camera": "none"}):
        assert search_api(client, text="red", **conditions).json()["warnings"] == []


def test_similar_images_thumbnails_and_pictures(client: Any, photos: Path) -> None:
    """An image id gives the picture, its thumbnails, and similar images."""
    hit = search_api(client, text="green").json()["hits"][0]
    similar = client.get(f"/api/similar/{hit['id']}", params={"count": 2})
    assert hit_names(similar)[0] == hit["name"]
    image = client.get(f"/api/images/{hit['id']}")
    assert image.headers["content-type"] == "image/png"
    assert image.content == (photos / "green.png").read_bytes()
    for size in (320, 640):
        thumbnail = client.get(f"/api/thumbnails/{hit['id']}", params={"size": size})
        assert thumbnail.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(thumbnail.content)).size == (80, 60)
    assert len(list((photos.parent / "library" / "thumbnails").rglob("*.webp"))) == 2


def test_unsupported_formats_are_converted(
    client: Any, photos: Path, fake_engines: FakeEngines
) -> None:
    """A TIFF with an EXIF rotation becomes an upright JPEG with an upright thumbnail."""
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
    thumbnail = client.get(f"/api/thumbnails/{hit['id']}?size=320").content
    assert Image.open(io.BytesIO(thumbnail)).size == (213, 320)


def test_library_info_metrics_and_docs(client: Any, photos: Path) -> None:
    """/api/info has the model and the folders; health, metrics, schema and docs answer."""
    info = client.get("/api/info").json()
    assert (info["images"], info["model"]) == (3, "fake-clip")
    assert info["modalities"] == ["text", "image"]
    assert {folder["path"]: folder["images"] for folder in info["folders"]} == {
        str(photos): 2, str(photos / "below"): 1,
    }  # fmt: skip
    assert client.get("/healthz").json() == {"status": "ok"}
    search_api(client, text="red")
    metrics = client.get("/metrics").text
    assert 'searchapp_requests_total{path="/api/v1/search",status="200"}' in metrics
    assert "searchapp_search_seconds_count" in metrics
    assert "/api/v1/similar/{image_id}" in client.get("/openapi.json").json()["paths"]
    assert "swagger-ui" in client.get("/docs").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"text": "  "}, 400),
        ({"text": "nonsense"}, 400),
        ({"text": "red", "count": 0}, 422),
        ({"text": "red", "count": 10**9}, 422),
        ({"text": "red", "after": "yesterday"}, 422),
        ({"text": "red", "folder": "\0"}, 400),
        ({"text": ["red"]}, 422),
        ({"text": "red", "collection": "nowhere"}, 404),
        ({"image_url": "http://127.0.0.1/x.jpg"}, 400),
    ],
)
def test_invalid_searches_get_a_status(client: Any, fields: dict[str, Any], status: int) -> None:
    """An invalid search gets a status of 4xx, with the reason in detail."""
    answer = search_api(client, **fields)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["detail"]


def test_invalid_requests_are_refused(client: Any) -> None:
    """Invalid JSON, forms, pictures, image ids and sizes get a status of 4xx."""
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


def test_paths_outside_the_page_are_refused(client: Any) -> None:
    """Only files of the web page are served, whatever the form of the path."""
    for path in ("/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/etc/passwd", "/app.py",
                 "/..%5capp.py", "/web/../../catalog.db", "//etc/passwd"):  # fmt: skip
        raw = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
        raw.request("GET", path)
        assert raw.getresponse().status in (400, 404, 421), path
        raw.close()


def test_upload_size_is_limited(client: Any) -> None:
    """A body over the limit gets status 413, by its header and by its real size."""
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port), timeout=60) as raw:
        head = f"POST /api/search HTTP/1.1\r\nHost: {host}:{port}\r\n"
        raw.sendall(f"{head}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(100)

    def make_large_body() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // (1 << 20) + 2):
            yield b"x" * (1 << 20)

    try:
        answer = client.post("/api/search", content=make_large_body())
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # the server closed the connection during the upload: refused too
    assert hit_names(search_api(client, text="red"))


def test_decompression_bomb_is_refused(client: Any) -> None:
    """A picture with 400 megapixels is refused before decoding."""
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "PNG")
    answer = search_api(client, buffer.getvalue())
    assert answer.status_code == 400
    assert "400 megapixels" in answer.json()["detail"]


def test_host_and_origin_are_checked(client: Any) -> None:
    """A foreign Host (DNS rebinding) and a foreign Origin are refused; the CSP is strict."""
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


def test_stop_and_model_need_the_unix_socket(client: Any) -> None:
    """A client over TCP cannot stop the process or choose the model."""
    assert client.post("/api/stop").status_code == 403
    assert hit_names(search_api(client, text="red", model="/etc", trust_remote_code=True))


def test_token_is_required_and_kept_in_a_cookie(library: Path, fake_engines: FakeEngines) -> None:
    """The token is a bearer token, or is given once in the URL of the page."""
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


def test_refused_requests_are_logged_without_secrets(
    library: Path, fake_engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has status and reason of a refusal; at INFO it has no token and no query text."""
    rules = AccessRules(token="right-secret")
    headers = {"Authorization": "Bearer right-secret"}
    with (
        caplog.at_level("INFO", "searchapp"),
        serve_library(library, fake_engines, rules) as url,
        httpx.Client(base_url=url) as client,
    ):
        assert client.get("/?token=wrong-secret").status_code == 401
        client.headers.update(headers)
        assert search_api(client, text="nonsense").status_code == 400
    assert "Refused the request GET '/' (401): this server needs a token" in caplog.text
    assert "The request POST '/api/v1/search' failed (400): QueryError" in caplog.text
    for secret in ("wrong-secret", "right-secret", "nonsense"):
        assert secret not in caplog.text


def test_concurrent_clients_get_their_own_answers(library: Path, photos: Path, model: Path) -> None:
    """Queries of 32 clients are embedded in batches, and each client gets its own answer."""
    calls: list[int] = []

    class CountingEngine(FakeEngine):
        def embed(self, inputs: Any) -> Any:
            calls.append(len(inputs))
            time.sleep(0.02)
            return super().embed(inputs)

    wrong: list[str] = []
    names = {"red": "red.jpg", "green": "green.png", "blue": "blue.jpg"}

    with serve_library(library, CountingEngine) as url:

        def search_often(number: int) -> None:
            with httpx.Client(base_url=url, timeout=120) as client:
                for turn in range(6):
                    color = list(names)[(number + turn) % 3]
                    if hit_names(search_api(client, text=color, count=1)) != [names[color]]:
                        wrong.append(color)

        threads = [threading.Thread(target=search_often, args=(number,)) for number in range(32)]
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
        "http://[64:ff9b::7f00:1]/", "http://[64:ff9b:1::7f00:1]/", "http://[2002:7f00:1::]/",
        "http://[2001:0:0808:0808::80ff:fffe]/", "http://[::127.0.0.1]/", "http://192.0.0.192/",
        "http://[::ffff:0:127.0.0.1]/", "http://224.0.0.1/", "http://[ff0e::1]/",
        "http://192.88.99.1/", "http://[fec0::1]/", "http://[3fff::1]/", "http://[::]/",
        "http://255.255.255.255/", "http://100.64.0.1/", "http://[5f00::1]/",
    ],
)  # fmt: skip
def test_private_addresses_are_never_fetched(url: str) -> None:
    """Private addresses are refused in all notations, and so are other schemes."""
    with pytest.raises(PictureError, match=r"public address|must begin with|be resolved"):
        fetch_public_url(url)


@pytest.mark.parametrize("folder", ["~nosuchuser/x", "x" * 5000, "/tmp/" + "x" * 300, "a\0b"])
def test_a_bad_folder_is_no_server_error(client: httpx.Client, folder: str) -> None:
    """A folder that no path can name is an error of the request."""
    answer = search_api(client, text="red", folder=folder)
    assert answer.status_code in (200, 400, 422), answer.text
    assert client.get("/api/facets", params={"folder": folder}).status_code in (200, 400, 422)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
    ],
)  # fmt: skip
def test_public_addresses_are_fetched(address: str) -> None:
    """Global unicast is allowed, and so are transition addresses of public IPv4 addresses."""
    assert public_fetch._resolve_public_address(address, 80) == address


def test_a_redirect_to_a_private_address_is_not_followed(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target of a redirect is checked like the first URL."""
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
        resolve = public_fetch._resolve_public_address
        monkeypatch.setattr(
            public_fetch,
            "_resolve_public_address",
            lambda host, port: "127.0.0.1" if host == "photos.example" else resolve(host, port),
        )
        with pytest.raises(PictureError, match=r"127\.0\.0\.1 is not a public address"):
            fetch_public_url(f"http://photos.example:{server.server_port}/x.jpg")
        server.shutdown()


def test_engine_start_error_is_reported_and_retried(library: Path) -> None:
    """The client gets the error of a failed start; the next request starts the engine again."""
    starts: list[ModelSpec] = []

    def start(spec: ModelSpec) -> FakeEngine:
        starts.append(spec)
        if len(starts) == 1:
            raise RuntimeError("no memory")
        return FakeEngine(spec)

    with serve_library(library, start) as url, httpx.Client(base_url=url) as client:
        answer = search_api(client, text="red")
        assert answer.status_code == 500
        assert "no memory" in answer.json()["detail"]
        assert hit_names(search_api(client, text="red"))
