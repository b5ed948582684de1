"""Which process answers a query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.library import FakeEngines, index_folder

from searchapp.library import Library
from searchapp.server import answer_query as module
from searchapp.server.answer_query import answer_query
from searchapp.server.client import ResidentConfig
from searchapp.types import Query, SearchOptions, SearchResult


@pytest.mark.parametrize(
    ("use_resident", "is_writable", "is_resident"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
def test_the_process_is_chosen(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
    use_resident: bool,
    is_writable: bool,
    is_resident: bool,
) -> None:
    """The resident process, unless it is not wanted or the library is read-only."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    asked = list[Any]()

    def search(residence: ResidentConfig, *arguments: Any) -> SearchResult:
        asked.append(residence)
        return SearchResult((), None)

    monkeypatch.setattr(module.client, "search", search)
    monkeypatch.setattr(module, "can_be_resident", lambda library: is_writable)
    residence = ResidentConfig(tmp_path / "library")
    answer = answer_query(
        Query("red"), SearchOptions(count=1), residence, fake_engines,
        use_resident=use_resident, notify=pytest.fail,
    )  # fmt: skip
    assert asked == ([residence] if is_resident else [])
    assert [Path(hit.path).name for hit in answer.hits] == ([] if is_resident else ["red.jpg"])
