"""The map over HTTP: pictures by place, and pictures by likeness."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from support.api import wait_for_job
from support.library import FakeEngines, index_folder
from support.live_server import serve_library
from support.metadata_files import make_exif
from support.sample_pictures import save_picture

from searchapp.library import Library

PARIS, SYDNEY = (48.858, 2.294), (-33.86, 151.2)


@pytest.fixture
def client(tmp_path: Path, model: Path, fake_engines: FakeEngines) -> Iterator[Any]:
    """HTTP client of a server with pictures of Paris (2), of Sydney, and without a place."""
    for number, place in enumerate((PARIS, PARIS, SYDNEY, None)):
        exif = make_exif("2023:06:17 12:00:00", coordinates=place)
        color = ("red", "green", "blue", "gold")[number]
        save_picture(tmp_path / "album" / f"{color}.jpg", color, exif=exif)
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, tmp_path / "album", model)
    with (
        serve_library(tmp_path / "library", fake_engines) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        yield client


def test_places_follow_filter_and_rectangle(client: Any) -> None:
    """The area of each place is a filter that finds exactly its pictures."""
    places = client.get("/api/v1/places", params={"cell": 5}).json()["places"]
    assert [place["images"] for place in places] == [2, 1]
    assert (places[0]["latitude"], places[0]["longitude"]) == pytest.approx(PARIS)
    timeline = client.get("/api/v1/timeline", params={"area": places[0]["area"]}).json()
    assert timeline["images"] == 2
    (only,) = client.get("/api/v1/places", params={"within": "-50,100,0,180"}).json()["places"]
    assert only["latitude"] == pytest.approx(SYDNEY[0])
    assert client.get("/api/v1/places", params={"area": "0,0,10,10"}).json() == {"places": []}
    for wrong in ({"cell": 0}, {"cell": "nan"}, {"within": "1,2"}, {"unknown": 1}):
        assert client.get("/api/v1/places", params=wrong).status_code == 422


def test_map_by_likeness_is_made_in_the_background(client: Any) -> None:
    """It has the tiles of the command's map, with image ids; the same map is not made again."""
    started = client.post("/api/v1/map", json={"area": "-90,-180,90,180"})
    assert started.status_code == 202
    job = wait_for_job(client, started.json())
    assert (job["state"], job["error"]) == ("done", None)
    answer = client.get(f"/api/v1/map/{job['id']}").json()
    assert (answer["matching"], answer["unreadable"]) == (3, 0)
    pictures = client.get("/api/v1/pictures", params={"id": [1, 2, 3, 4]}).json()["pictures"]
    names = {picture["id"]: picture["name"] for picture in pictures}
    assert all(names[tile[9]] == tile[5] for tile in answer["tiles"]) and len(answer["tiles"]) == 3
    sheet = Image.open(io.BytesIO(base64.b64decode(answer["sheets"][0].partition(",")[2])))
    assert sheet.width == answer["side"] * answer["across"]
    again = client.post("/api/v1/map", json={"area": "-90,-180,90,180"}).json()
    assert (again["id"], again["state"]) == (job["id"], "done")
    anew = client.post("/api/v1/map", json={"area": "-90,-180,90,180", "again": True}).json()
    assert anew["id"] != job["id"]


def test_map_without_pictures_says_why(client: Any) -> None:
    job = wait_for_job(client, client.post("/api/v1/map", json={"after": "2030"}).json())
    assert job["state"] == "failed" and "no picture for the map matches" in job["error"]
    answer = client.get(f"/api/v1/map/{job['id']}")
    assert answer.status_code == 409 and "failed" in answer.json()["detail"]


def test_unknown_and_canceled_work(client: Any) -> None:
    """Canceling work that has ended changes nothing; an unknown id has the status 404."""
    job = wait_for_job(client, client.post("/api/v1/map", json={}).json())
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done"
    for path in ("jobs/0123456789abcdef", "map/0123456789abcdef", "duplicates/0123456789abcdef"):
        assert client.get(f"/api/v1/{path}").status_code == 404
    assert client.get(f"/api/v1/duplicates/{job['id']}").status_code == 404  # it is a map
    assert client.get("/api/v1/jobs/x").status_code == 422
    assert client.post("/api/v1/map", json={"count": 10**6}).status_code == 422
