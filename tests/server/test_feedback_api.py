"""Regions and liked pictures in the HTTP API, which carries ids and no paths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.api import hit_names, search_api

from searchapp.library import Library
from searchapp.types import SearchOptions


@pytest.fixture
def ids(client: Any) -> dict[str, int]:
    """Ids of the three pictures by name."""
    return {hit["name"]: hit["id"] for hit in search_api(client, text="red").json()["hits"]}


def test_likes_by_id(client: Any, ids: dict[str, int]) -> None:
    red, green, blue = ids["red.jpg"], ids["green.png"], ids["blue.jpg"]
    assert hit_names(search_api(client, like=[red, green])) == ["blue.jpg"]
    assert hit_names(search_api(client, like=[red], unlike=[green])) == ["blue.jpg"]
    shown = search_api(client, like=[red], unlike=[blue], include_examples=True)
    assert hit_names(shown)[0] == "red.jpg" and len(hit_names(shown)) == 3
    assert hit_names(search_api(client, text="lime", like=[red], count=1)) == ["green.png"]
    assert search_api(client, text="lime", like=[red]).json()["good_match"] is None
    form = client.post("/api/search", data={"like": json.dumps([red]), "count": "1"})
    assert form.status_code == 422  # A form with only texts is no multipart form.
    form = client.post("/api/search", data={"like": f"[{red}]"}, files={"image": b"x"})
    assert form.status_code == 400  # The picture is read.


def test_filters_alone_list_the_newest_pictures(client: Any, library: Path) -> None:
    with Library.open(library) as opened:
        hits = opened.list_newest(SearchOptions(format="jpeg")).hits
    listed = [Path(hit.path).name for hit in hits]
    answer = search_api(client, format=["jpeg"], count=1)
    assert hit_names(answer) == listed[:1], answer.text
    assert answer.json()["more"]
    assert hit_names(search_api(client, format=["jpeg"], count=1, offset=1)) == listed[1:]


def test_region_of_an_upload_and_of_an_image(
    client: Any, ids: dict[str, int], photos: Path
) -> None:
    picture = (photos / "red.jpg").read_bytes()
    assert hit_names(search_api(client, picture, region="10,10,20,20"))[0] == "red.jpg"
    term = {"image_id": ids["blue.jpg"], "region": "25%,25%,50%,50%"}
    assert hit_names(search_api(client, terms=[term]))[0] == "blue.jpg"
    terms = [{"image_id": ids["blue.jpg"], "text": "red", "weight": 2}]
    assert search_api(client, terms=terms).status_code == 200  # CLIP: a sum of two terms.


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"like": [99]}, 400, "no image 99"),
        ({"like": [0]}, 422, "like: "),
        ({"like": ["/etc/passwd"]}, 422, "like: "),
        ({"like": [1] * 1001}, 422, "1000"),
        ({"like": [1], "unlike": [1]}, 400, "the same picture is liked and unliked"),
        ({"like_files": ["/etc/passwd"]}, 422, "like_files"),
        ({"text": "red", "region": "0,0,1,1"}, 400, "a region needs a picture"),
        ({"terms": [{"image_id": 1, "region": "0,0,1"}]}, 422, "is not a region. Write X,Y,W,H"),
        ({"terms": [{"image_id": 1, "region": "0,0,{x},1"}]}, 422, "'0,0,{x},1' is not a region"),
        ({"terms": [{"image_id": 1, "region": "0,0,900,1"}]}, 400, "has 80 x 60 pixels"),
        ({"terms": [{"image_id": 1, "region": "0,0,0,1"}]}, 422, "has no area"),
        ({"like": [1], "by": "text"}, 400, "a search by text needs words"),
        ({}, 400, "nothing to look for"),
        ({"rating": ["4+"], "min_score": 0.3}, 400, "nothing to look for"),
        ({"rating": ["4+"], "by": "text"}, 400, "a search by text needs words"),
    ],
)
def test_invalid_fields_are_named(
    client: Any, fields: dict[str, Any], status: int, message: str
) -> None:
    answer = search_api(client, **fields)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["detail"]
