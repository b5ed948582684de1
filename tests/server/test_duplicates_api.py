"""The search for duplicates over HTTP: groups with the choices of reviews, and the script."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.api import wait_for_job
from support.duplicates import album, find_duplicates
from support.library import FakeEngines, index_folder
from support.live_server import serve_library
from support.near_duplicates import make_scene, render_scene

from searchapp.files.lock import hold_writer_lock
from searchapp.library import Library

__all__ = ["album"]  # a fixture
SEARCH = "/api/v1/duplicates"


@pytest.fixture
def client(tmp_path: Path, album: Path, model: Path, fake_engines: FakeEngines) -> Iterator[Any]:
    """HTTP client of a server with two groups of duplicates: boat (3 files) and sheep (2 files)."""
    render_scene(make_scene(3)).save(album / "sheep.jpg", quality=90)
    render_scene(make_scene(3)).save(album / "sheep.png")
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, album, model)
    with (
        serve_library(tmp_path / "library", fake_engines) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        yield client


def search(client: Any, **fields: Any) -> str:
    """Search for duplicates, and return the id of the search."""
    started = client.post(SEARCH, json=fields)
    assert started.status_code == 202, started.text
    job = wait_for_job(client, started.json())
    assert job["state"] == "done", job
    return str(job["id"])


def list_names(group: dict[str, Any]) -> list[str]:
    return [file["name"] for file in group["files"]]


def make_choices(group: dict[str, Any], *kept: str) -> list[dict[str, Any]]:
    return [
        {"path": file["path"], "sha256": file["sha256"], "stays": file["name"] in kept}
        for file in group["files"]
    ]


def read_page(client: Any, job_id: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(f"{SEARCH}/{job_id}", params=parameters)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_groups_are_those_of_the_command(client: Any, tmp_path: Path) -> None:
    """Each group has its kind and reason; pages and images select groups."""
    job_id = search(client)
    page = read_page(client, job_id)
    with Library.open(tmp_path / "library") as opened:
        expected = find_duplicates(opened).groups
    assert [group["reason"] for group in page["groups"]] == [group.reason for group in expected]
    assert [[file["path"] for file in group["files"]] for group in page["groups"]] == [
        [file.path for file in (group.keeper, *group.others)] for group in expected
    ]
    by_name = {list_names(group)[0]: group for group in page["groups"]}
    assert {group["certainty"] for group in by_name.values()} == {"near"}
    boat = by_name["boat.jpg"]
    assert [file["stays"] for file in boat["files"]] == [True, False, False]
    assert [file["certainty"] for file in boat["files"]] == [None, "bytes", "near"]
    assert (page["total"], page["duplicates"], page["next"], page["hidden"]) == (2, 3, None, 0)
    first = read_page(client, job_id, count=1)
    second = read_page(client, job_id, first=first["next"], count=1)
    assert first["groups"] + second["groups"] == page["groups"] and second["next"] is None
    small = next(file["image_id"] for file in boat["files"] if "small" in file["name"])
    assert read_page(client, job_id, among=f"{small},9999")["groups"] == [boat]
    assert read_page(client, job_id, among="9999")["total"] == 0
    for wrong in ({"count": 0}, {"among": "x"}, {"first": -1}, {"unknown": 1}):
        assert client.get(f"{SEARCH}/{job_id}", params=wrong).status_code == 422


def test_choices_change_the_groups_and_the_script(client: Any, album: Path, tmp_path: Path) -> None:
    """The same search shows them; the script, run by the user, moves the files that do not stay."""
    job_id = search(client)
    boat, sheep = sorted(read_page(client, job_id)["groups"], key=lambda g: list_names(g)[0])
    body = {
        "groups": [make_choices(boat, "boat-small.jpg"), make_choices(sheep, *list_names(sheep))]
    }
    answer = client.post(f"{SEARCH}/reviews", json=body).json()
    assert answer == {"groups": 2, "unknown_files": 0, "conflicts": []}
    page = read_page(client, job_id)
    assert (page["total"], page["hidden"], page["duplicates"]) == (1, 1, 2)
    (reviewed,) = page["groups"]
    assert reviewed["is_reviewed"] and reviewed["number"] == boat["number"]
    assert [file["stays"] for file in reviewed["files"]] == [False, False, True]
    assert read_page(client, job_id, reviewed=True)["total"] == 2
    script = client.get(f"{SEARCH}/{job_id}/script")
    assert script.headers["content-disposition"] == 'attachment; filename="move-duplicates.sh"'
    (tmp_path / "move.sh").write_bytes(script.content)
    before = {file.name for file in album.iterdir()}
    subprocess.run(["sh", tmp_path / "move.sh", tmp_path / "away"], check=True, capture_output=True)
    assert before - {file.name for file in album.iterdir()} == {"boat.jpg", "boat (1).jpg"}
    only = client.get(f"{SEARCH}/{job_id}/script", params={"among": "9999"}).text
    assert "\nmove " not in only


def test_filters_and_look_alikes(client: Any, tmp_path: Path) -> None:
    """The search takes the filters of the command, and lists look-alikes behind the duplicates."""
    page = read_page(client, search(client, format="png"))
    assert (page["images"], page["groups"]) == (1, [])
    page = read_page(client, search(client, look_alikes=True))
    with Library.open(tmp_path / "library") as opened:
        similar = find_duplicates(opened, similar=True).similar
    shown = [group for group in page["groups"] if group["certainty"] == "similar"]
    assert [len(group["files"]) for group in shown] == [1 + len(group.others) for group in similar]
    assert all(file["stays"] for group in shown for file in group["files"])
    for invalid in ({"x": 1}, {"after": "x"}, [], {"look_alikes": 7}):
        assert client.post(SEARCH, json=invalid).status_code == 422


def test_search_beside_another_writer_fails_with_a_reason(client: Any, tmp_path: Path) -> None:
    """After it, the same request searches again."""
    with hold_writer_lock(tmp_path / "library", "searchapp index"):
        job = wait_for_job(client, client.post(SEARCH, json={}).json())
    assert job["state"] == "failed" and "searchapp index" in job["error"]
    assert read_page(client, search(client))["total"] == 2
