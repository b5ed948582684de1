"""HTTP as its clients expect it: versions, HEAD, entity tags, compression and cached files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.api import search_api
from support.library import FakeEngines
from support.sample_pictures import make_picture

from searchapp.library import Library
from searchapp.server.conditional_answers import is_current
from searchapp.server.web_files import INDEX_FILE, WebFiles

GZIP = {"Accept-Encoding": "gzip"}


def test_paths_without_a_version_still_answer(client: Any) -> None:
    """The API is below /api/v1; the old paths have the same answers."""
    assert search_api(client, text="red").status_code == 200
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("info", "facets", "similar/1", "images/1", "thumbnails/1"):
        old, new = client.get(f"/api/{path}"), client.get(f"/api/v1/{path}")
        assert new.status_code == old.status_code == 200
        assert new.headers["etag"] == old.headers["etag"] or path == "similar/1"
        assert f"/api/v1/{path.replace('1', '{image_id}')}" in paths
    assert not any(path.startswith("/api/") and "/v1/" not in path for path in paths)
    assert client.get("/api/v2/info").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/docs", "/api/v1/info", "/api/v1/images/1", "/api/v1/thumbnails/1"]
)
def test_head_has_the_headers_of_get(client: Any, path: str) -> None:
    """HEAD answers as GET does, without the body."""
    got, head = client.get(path), client.head(path)
    assert head.content == b""
    assert head.status_code == got.status_code == 200
    for name in ("content-length", "content-type", "etag"):
        assert head.headers.get(name) == got.headers.get(name), name


def test_head_of_errors_and_other_methods(client: Any) -> None:
    """HEAD of a missing picture is 404; a route without GET refuses HEAD."""
    assert client.head("/api/v1/images/99").status_code == 404
    assert client.head("/api/v1/stop").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/", "/app.js", "/api/v1/info", "/api/v1/facets?taken=true", "/openapi.json",
        "/api/v1/images/1", "/api/v1/thumbnails/1?size=640",
    ],
)  # fmt: skip
def test_known_answers_are_not_sent_again(client: Any, path: str) -> None:
    """If-None-Match with the tag of the answer gets status 304; another tag gets the answer."""
    first = client.get(path)
    tag = first.headers["etag"]
    for known in (tag, f'"x", {tag}', "*"):
        answer = client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b""), known
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == first.headers["cache-control"]
    changed = client.get(path, headers={"If-None-Match": '"x"'})
    assert (changed.status_code, changed.content) == (200, first.content)


def test_changed_library_has_another_tag(client: Any, library: Path) -> None:
    """The tag of an answer names its content."""
    facets = client.get("/api/v1/facets").headers["etag"]
    assert facets != client.get("/api/v1/facets?format=png").headers["etag"]
    assert facets == client.get("/api/v1/facets").headers["etag"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), (' W/"b",W/"a"', True),
        ('"ab"', False), ("a", False), ("", False), ('"', False), ('"b""', False),
    ],
)  # fmt: skip
def test_entity_tags_are_compared_weakly(header: str, expected: bool) -> None:
    """A list of tags, weak or not, or any tag (RFC 9110, section 13.1.2)."""
    assert is_current('W/"a"', header) is expected
    assert is_current('"a"', header) is expected


def test_json_and_text_are_compressed_and_pictures_are_not(client: Any) -> None:
    """Gzip only for clients that accept it, and not for pictures."""
    for path in ("/", "/app.js", "/openapi.json"):
        small, full = client.get(path, headers=GZIP), client.get(
            path, headers={"Accept-Encoding": "identity"}
        )  # fmt: skip
        assert small.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in small.headers["vary"].lower()
        assert small.num_bytes_downloaded < len(full.content) / 2
        assert "content-encoding" not in full.headers
        assert small.content == full.content
        assert small.headers["etag"] == full.headers["etag"]
        known = {**GZIP, "If-None-Match": small.headers["etag"]}
        assert client.get(path, headers=known).status_code == 304
    for path in ("/api/v1/images/1", "/api/v1/thumbnails/1"):
        assert "content-encoding" not in client.get(path, headers=GZIP).headers


def test_files_of_the_page_are_immutable(client: Any) -> None:
    """The page names its files by their content; a browser never asks for them again."""
    page = client.get("/")
    assert page.headers["cache-control"] == "private, no-cache"
    assets = re.findall(r' (?:href|src)="(assets/[^"]+)"', page.text)
    assert any(each.endswith("/app.js") for each in assets)
    assert any(each.endswith("/style.css") for each in assets)
    assert any(each.endswith("/world.svg#land") for each in assets)
    for asset in assets:
        answer = client.get(f"/{asset}")
        assert answer.status_code == 200, asset
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        known = {"If-None-Match": answer.headers["etag"]}
        assert client.get(f"/{asset}", headers=known).status_code == 304
    assert client.get("/assets/0123456789abcdef/app.js").status_code == 404


def test_each_change_of_a_file_changes_the_version(tmp_path: Path) -> None:
    """Content and name count, also if only their border moves; other files are not served."""
    versions = set()
    for script, style in (("a", "b"), ("ab", ""), ("", "ab"), ("a", "c")):
        (tmp_path / INDEX_FILE).write_text('<a href="./"><link href="x.js"> <link href="y.js">')
        (tmp_path / "x.js").write_text(script)
        (tmp_path / "x.css").write_text(style)
        (tmp_path / "x.py").write_text("secret")
        files = WebFiles(tmp_path.iterdir())
        versions.add(files.version)
        assert files.get_file("x.py") is None
        index = files.get_file(INDEX_FILE)
        assert index is not None
        expected = f'<a href="./"><link href="assets/{files.version}/x.js"> <link href="y.js">'
        assert index.content.decode() == expected
    assert len(versions) == 4


def test_search_by_address(client: Any, photos: Path) -> None:
    """GET takes the text as q, and the filters and pages of POST, with the same answer."""
    for fields in ({}, {"count": 1, "offset": 1}, {"format": "png"}, {"folder": str(photos)}):
        asked = client.get("/api/v1/search", params={"q": "red", **fields}).json()
        posted = client.post("/api/v1/search", json={"text": "red", **fields}).json()
        for answer in (asked, posted):
            del answer["milliseconds"]
        assert asked == posted
        assert asked["more"] is bool(fields.get("count"))
    keywords = {"q": "red", "keyword": ["sea", "hol*"]}
    assert client.get("/api/v1/search", params=keywords).json()["hits"] == []
    for wrong, status in (({}, 422), ({"q": " "}, 400), ({"q": "red", "count": 0}, 422)):
        assert client.get("/api/v1/search", params=wrong).status_code == status


def test_pages_have_a_stable_order(client: Any, photos: Path, fake_engines: FakeEngines) -> None:
    """Pictures with equal scores are on one page each, in the order of their ids."""
    for number in range(7):
        make_picture("red", (40 + number, 30)).save(photos / f"same{number}.png")
    with Library.open(photos.parent / "library", start=fake_engines) as writer:
        list(writer.index([photos]))

    def list_ids(**page: int) -> list[int]:
        answer = client.get("/api/v1/search", params={"q": "red", **page}).json()
        assert answer["more"] is (page.get("offset", 0) + len(answer["hits"]) < 10)
        return [hit["id"] for hit in answer["hits"]]

    together = list_ids()
    assert len(together) == 10
    for count in (1, 3):
        pages = [list_ids(count=count, offset=offset) for offset in range(0, 10, count)]
        assert [id for page in pages for id in page] == together
