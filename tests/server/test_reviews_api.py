"""Choices for duplicates over HTTP: kept in the library, and refused if they are not valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from support.duplicates import album, find_duplicates
from support.library import FakeEngines, index_folder
from support.live_server import serve_library

from searchapp.library import Library

__all__ = ["album"]  # a fixture
REVIEWS = "/api/v1/duplicates/reviews"


def test_choices_are_kept(
    tmp_path: Path, album: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """The next search leaves out files that all stay; files of others are counted, not kept."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, album, model)
        (group,) = find_duplicates(opened).groups
    files = [
        {"path": copy.path, "sha256": copy.sha256, "stays": True}
        for copy in (group.keeper, *group.others)
    ]
    foreign = {"path": "/etc/passwd", "sha256": "0" * 64, "stays": True}
    with serve_library(tmp_path / "library", fake_engines) as url:
        answer = httpx.post(url + REVIEWS, json={"groups": [files, [files[0], foreign]]})
        assert (answer.status_code, answer.json()) == (
            200,
            {"groups": 1, "unknown_files": 1, "conflicts": []},
        )
        moved = [{**file, "stays": file is files[0], "seen": None} for file in files]
        answer = httpx.post(url + REVIEWS, json={"groups": [moved]})
        conflict = {"number": 0, "choices": [True] * len(files)}
        assert answer.json() == {"groups": 0, "unknown_files": 0, "conflicts": [conflict]}
        answer = httpx.post(
            url + REVIEWS, json={"groups": []}, headers={"Origin": "http://x.example"}
        )
        assert answer.status_code == 403
    with Library.open(tmp_path / "library") as opened:
        assert find_duplicates(opened).groups == ()


@pytest.mark.parametrize(
    "body",
    [{}, {"groups": [{}]}, {"groups": [[{"path": "x", "sha256": "y"}]]}, {"groups": [], "x": 1},
     {"groups": [[{"path": "x", "sha256": "y", "stays": "perhaps"}]]}],
)  # fmt: skip
def test_invalid_choices_are_named(client: Any, body: Any) -> None:
    answer = client.post(REVIEWS, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
