"""The HTTP API for browsing: the timeline, pictures by id, and facets with several values."""

from __future__ import annotations

import os
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.api import hit_names, search_api
from support.library import FakeEngines, index_folder
from support.live_server import serve_library
from support.sample_pictures import save_picture

from searchapp.library import Library
from searchapp.pictures.mean_colors import read_colors
from searchapp.server import compressed_answers


def decode_timeline(answer: Any) -> dict[str, Any]:
    """Return a timeline with plain ids."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body | {"ids": list(accumulate(body["ids"]))}


def test_timeline_lists_pictures_by_day(client: Any, photos: Path) -> None:
    """The newest picture is the first; colors are known once a thumbnail has been made."""
    for days, name in enumerate(("red.jpg", "green.png", "below/blue.jpg")):
        os.utime(photos / name, (1e9 + 86400 * days, 1e9 + 86400 * days))
    timeline = decode_timeline(client.get("/api/timeline"))
    assert (timeline["images"], timeline["colors"]) == (3, "")
    assert sum(count for _, count in timeline["days"]) == 3
    assert timeline["ratios"] == [133, 133, 133]
    pictures = client.get("/api/pictures", params={"id": timeline["ids"]}).json()["pictures"]
    assert [picture["id"] for picture in pictures] == timeline["ids"]
    assert {picture["name"] for picture in pictures} == {"red.jpg", "green.png", "blue.jpg"}
    assert "score" not in pictures[0]
    red = next(picture["id"] for picture in pictures if picture["name"] == "red.jpg")
    assert client.get(f"/api/thumbnails/{red}").status_code == 200
    timeline = decode_timeline(client.get("/api/timeline"))
    place = 3 * timeline["ids"].index(red)
    color = timeline["colors"][place : place + 3]
    assert color[0] in "def" and color[1:] == "00"  # WebP rounds the red a little
    assert timeline["colors"].count(" ") == 6
    below = decode_timeline(client.get("/api/timeline", params={"folder": str(photos / "below")}))
    assert below["images"] == 1


def test_long_timeline_is_compressed_if_the_client_accepts_it(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timeline is compressed as other JSON is, and it has an entity tag."""
    monkeypatch.setattr(compressed_answers, "MIN_COMPRESSED_BYTES", 50)
    with (
        serve_library(library, fake_engines) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        plain = client.get("/api/timeline", headers={"Accept-Encoding": "identity"})
        packed = client.get("/api/timeline", headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.json() == plain.json()
        known = {"If-None-Match": packed.headers["etag"]}
        assert client.get("/api/timeline", headers=known).status_code == 304


def test_pictures_leave_out_unknown_ids(client: Any) -> None:
    assert client.get("/api/pictures", params={"id": [1, 999]}).json()["pictures"][0]["id"] == 1
    for wrong in ({}, {"id": [0]}, {"id": ["x"]}, {"id": [1] * 201}):
        assert client.get("/api/pictures", params=wrong).status_code == 422


def test_several_values_of_a_filter(client: Any, photos: Path) -> None:
    """A picture needs to match one value of a kind; a search takes lists and single values."""
    both = {"folder": [str(photos / "below"), str(photos / "none")], "format": ["jpeg", "png"]}
    assert client.get("/api/timeline", params=both).json()["images"] == 1
    assert client.get("/api/facets", params={"format": ["jpeg", "png"]}).json()["images"] == 3
    assert len(search_api(client, text="red", format=["jpg", "png"]).json()["hits"]) == 3
    assert len(search_api(client, text="red", format="png").json()["hits"]) == 1
    assert client.get("/api/timeline", params={"area": "-90,-180,90,180"}).json()["images"] == 0
    for wrong in ({"area": "1,2,3"}, {"area": "9,0,1,0"}, {"camera": ["x"] * 51}):
        assert client.get("/api/timeline", params=wrong).status_code in (400, 422)


def test_folder_that_looks_like_json(
    client: Any, library: Path, fake_engines: FakeEngines, tmp_path: Path, model: Path
) -> None:
    """In a form, a list is JSON; a folder whose name begins with [ is still one folder."""
    save_picture(tmp_path / "[2020] Trip" / "a.jpg", "gold")
    with Library.open(library, start=fake_engines) as opened:
        index_folder(opened, tmp_path / "[2020] Trip", model)
    no_file = {"text": (None, "gold")}  # makes the body a multipart form
    answer = client.post(
        "/api/search", data={"folder": str(tmp_path / "[2020] Trip")}, files=no_file
    )
    assert hit_names(answer) == ["a.jpg"]
    answer = client.post("/api/search", data={"folder": "[2020] Trip"}, files=no_file)
    assert hit_names(answer) == []


def test_facets_find_values(client: Any, photos: Path) -> None:
    """The parameter find counts only the values that contain the text, ignoring case."""
    answer = client.get("/api/facets", params={"find": "BELOW"}).json()
    assert answer["folders"] == {"values": [[str(photos / "below"), 1]], "more": 0}
    assert (answer["formats"]["values"], answer["images"], answer["places"]) == ([], 3, [])


def test_details_of_a_picture(client: Any, photos: Path) -> None:
    """One picture is described with everything that the library knows."""
    picture = search_api(client, text="red", count=1).json()["hits"][0]
    details = client.get(f"/api/pictures/{picture['id']}").json()
    shared = {name: picture[name] for name in details.keys() & picture.keys()}
    assert {name: details[name] for name in shared} == shared
    assert {name: details[name] for name in details.keys() - picture.keys()} == {
        "description": None,
        "format": "JPEG",
        "file_bytes": (photos / "red.jpg").stat().st_size,
    }
    unknown = client.get("/api/pictures/999")
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "the library has no image 999")
    (photos / "red.jpg").unlink()
    gone = client.get(f"/api/pictures/{picture['id']}")
    assert (gone.status_code, gone.json()["detail"]) == (
        404, f"no file of image {picture['id']} exists any more; run `searchapp index` again",
    )  # fmt: skip


def test_colors_of_many_pictures(tmp_path: Path) -> None:
    """Colors are looked up by image id; ids beyond the end of the file are unknown."""
    assert read_colors(tmp_path, np.arange(1, 4)) == ""
    (tmp_path / "thumbnails").mkdir()
    codes = np.array([0, 0x8F00, 0, 0x80AB], "<u2")
    codes.tofile(tmp_path / "thumbnails" / "colors.bin")
    assert read_colors(tmp_path, np.array([3, 2, 1, 99])) == "0ab   f00   "


@pytest.mark.parametrize("count", [1, 2])
def test_each_hit_says_whether_it_is_a_good_match(client: Any, count: int) -> None:
    """With too few pictures to judge, only a match of the words is certain; others are null."""
    hits = search_api(client, text="red", count=count).json()["hits"]
    assert hits[0]["name"] == "red.jpg"
    assert [hit["good_match"] for hit in hits] == [True, None][:count]
    hits = search_api(client, text="red", count=count, by="vector").json()["hits"]
    assert [hit["good_match"] for hit in hits] == [None] * count
    hits = search_api(client, text="red", count=count, by="text").json()["hits"]
    assert [hit["good_match"] for hit in hits] == [True]
