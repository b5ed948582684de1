"""Saved searches over HTTP: list, save, run, rename, delete, and who may do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import hit_names, search_api
from support.library import FakeEngines
from support.live_server import serve_library

from searchapp.catalog import connection
from searchapp.library import Library
from searchapp.server.guard import AccessRules
from searchapp.types import Example, Query, SearchOptions

SAVED = "/api/v1/saved"


def save(client: Any, **fields: Any) -> Any:
    answer = client.post(SAVED, json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_save_list_run_rename_and_delete(client: Any) -> None:
    saved = save(client, name="reds", text="red", after="1990", keyword=[], count=1)
    (term,) = saved["terms"]
    assert {name: value for name, value in term.items() if value is not None} == {
        "text": "red", "weight": 1.0,
    }  # fmt: skip
    assert saved["options"] == {"after": "1990", "count": 1}
    assert client.get(SAVED).json() == {"searches": [saved]}
    address = f"{SAVED}/{saved['id']}"
    assert client.get(address).json() == saved
    assert hit_names(search_api(client, saved="reds")) == ["red.jpg"]
    answer = search_api(client, saved="reds", count=2, offset=1)
    assert len(answer.json()["hits"]) == 2 and answer.json()["more"] is False
    assert hit_names(search_api(client, saved="reds", before="1980")) == []
    renamed = client.patch(address, json={"name": "my reds"}).json()
    assert renamed == {**saved, "name": "my reds"}
    answer = client.delete(address)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(SAVED).json() == {"searches": []}


def test_a_picture_of_the_library_is_saved_by_its_content(client: Any) -> None:
    """The answer also has its id, with which the page shows it."""
    (hit,) = search_api(client, text="green", count=1).json()["hits"]
    saved = save(client, name="like green", terms=[{"image_id": hit["id"]}])
    (term,) = saved["terms"]
    assert (term["image_id"], term["image_key"]) == (hit["id"], hit["sha256"])
    assert hit_names(search_api(client, saved="like green", count=1)) == ["green.png"]


def test_parts_and_examples_are_saved(client: Any) -> None:
    hits = search_api(client, text="green", count=3).json()["hits"]
    green, *others = [hit["id"] for hit in hits]
    term = {"text": "green", "image_id": green, "region": "0%,0%,50%,50%"}
    fields = {"terms": [term], "like": [others[0]], "unlike": [others[1]], "include_examples": True}
    saved = save(client, name="parts", **fields)
    assert [(each["image_id"], each["is_liked"], each["region"]) for each in saved["terms"]] == [
        (green, None, term["region"]), (others[0], True, None), (others[1], False, None),
    ]  # fmt: skip
    assert hit_names(search_api(client, saved="parts")) == hit_names(search_api(client, **fields))


def test_filters_alone_are_saved(client: Any) -> None:
    """The answer has pages, as an answer to a question."""
    saved = save(client, name="png", format=["png", "jpeg"], count=2)
    assert (saved["terms"], saved["options"]["format"]) == ([], ["png", "jpeg"])
    answer = search_api(client, saved="png")
    assert (len(hit_names(answer)), answer.json()["more"]) == (2, True)
    assert hit_names(search_api(client, saved="png", format="png")) == ["green.png"]


@pytest.mark.parametrize(
    ("method", "path", "fields", "status", "detail"),
    [
        ("POST", "", {"name": "reds", "text": "red"}, 400, "already"),
        ("POST", "", {"name": "new"}, 400, "nothing to save"),
        ("POST", "", {"name": " ", "text": "red"}, 400, "cannot be the name"),
        ("POST", "", {"text": "red"}, 422, "name: "),
        ("POST", "", {"name": "new", "text": "red", "after": "soon"}, 422, "after: "),
        ("POST", "", {"name": "new", "terms": [{"image_id": 99}]}, 404, "no image 99"),
        ("POST", "", {"name": "new", "terms": [{"image": "image"}]}, 400, "cannot be saved"),
        ("POST", "", {"name": "new", "image_url": "http://x/a.jpg"}, 400, "does not fetch URLs"),
        ("GET", "/99", None, 404, "no saved search 99"),
        ("DELETE", "/99", None, 404, "no saved search 99"),
        ("PATCH", "/99", {"name": "new"}, 404, "no saved search 99"),
        ("PATCH", "/1", {"name": ""}, 422, "name: "),
        ("PATCH", "/1", {"title": "x"}, 422, "there is no such field"),
    ],
)
def test_mistakes_are_problems(
    client: Any, method: str, path: str, fields: Any, status: int, detail: str
) -> None:
    saved = save(client, name="reds", text="red")
    answer = client.request(method, SAVED + path, json=fields)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status, "application/problem+json"
    )  # fmt: skip
    assert detail in answer.json()["detail"]
    assert client.get(SAVED).json() == {"searches": [saved]}


def test_running_has_one_question(client: Any) -> None:
    save(client, name="reds", text="red")
    assert "leave out text" in search_api(client, saved="reds", text="blue").json()["detail"]
    assert "no saved search 'x'" in search_api(client, saved="x").json()["detail"]


def test_foreign_pages_and_clients_without_token_change_nothing(
    library: Path, fake_engines: FakeEngines
) -> None:
    with serve_library(library, fake_engines, AccessRules(token="secret")) as url:
        token, foreign = {"Authorization": "Bearer secret"}, {"Origin": "http://evil.example"}
        with httpx.Client(base_url=url) as client:
            fields = {"name": "reds", "text": "red"}
            assert client.post(SAVED, json=fields).status_code == 401
            assert client.post(SAVED, json=fields, headers=token | foreign).status_code == 403
            assert client.post(SAVED, json=fields, headers=token).status_code == 201
            for method in ("DELETE", "PATCH"):
                address = f"{SAVED}/1"
                assert client.request(method, address, json=fields).status_code == 401
                answer = client.request(method, address, json=fields, headers=token | foreign)
                assert answer.status_code == 403
            assert len(client.get(SAVED, headers=token).json()["searches"]) == 1


def test_the_web_saves_no_model_and_runs_no_urls(
    client: Any, library: Path, fake_engines: FakeEngines, tmp_path: Path
) -> None:
    """Only a command of the user stores a model; a stored URL is fetched with --allow-urls only."""
    saved = save(client, name="reds", text="red", model="other/model", trust_remote_code=True)
    assert saved["options"] == {}
    with Library.open(library) as opened:
        opened.saved.add("url", Query(None, "http://127.0.0.1:9/x.jpg"), SearchOptions(count=2000))
        opened.saved.add("model", Query("red"), SearchOptions(model=str(tmp_path)))
    answer = search_api(client, saved="model", model=None)
    assert answer.json()["kind"] == "ModelError", answer.text
    answer = search_api(client, saved="url")
    assert (answer.status_code, "does not fetch URLs" in answer.text) == (400, True)
    with Library.open(library) as opened:
        opened.saved.add("liked url", (), SearchOptions(), [Example("http://127.0.0.1:9/x.jpg")])
    with serve_library(library, fake_engines, allow_urls=True) as url:
        answer = httpx.post(f"{url}/api/search", json={"saved": "url"})
        assert answer.status_code == 400 and "public" in answer.json()["detail"]
        answer = httpx.post(f"{url}/api/search", json={"saved": "liked url"})
        assert answer.status_code == 400 and "only the command line" in answer.json()["detail"]


def test_a_read_only_library_refuses_with_403(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.os, "access", lambda path, mode: False)
    with serve_library(library, fake_engines) as url:
        answer = httpx.post(f"{url}{SAVED}", json={"name": "reds", "text": "red"})
        assert answer.status_code == 403
        assert "need write permission" in answer.json()["detail"]
        assert httpx.get(f"{url}{SAVED}").json() == {"searches": []}


def test_deleting_removes_the_links(client: Any, library: Path, tmp_path: Path) -> None:
    with Library.open(library) as opened:
        search = opened.saved.add("reds", Query("red"), SearchOptions(count=1))
        search = opened.saved.set_link_folder(search, tmp_path / "links")
    assert client.get(SAVED).json()["searches"][0]["link_folder"] == str(tmp_path / "links")
    assert client.delete(f"{SAVED}/{search.id}").status_code == 204
    assert not (tmp_path / "links").exists()
