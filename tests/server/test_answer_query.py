"""answer_query: which process answers a query."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.library import FakeEngines, index_folder

from searchapp.library import Library
from searchapp.server import answer_query as module
from searchapp.server import start_resident
from searchapp.server.answer_query import answer_query
from searchapp.server.resident_lock import take_lock, write_holder
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import Query, SearchOptions, SearchResult


@pytest.mark.parametrize(
    ("use_resident", "is_writable", "is_resident"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
def test_answering_process_is_chosen(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
    use_resident: bool,
    is_writable: bool,
    is_resident: bool,
) -> None:
    """The resident process answers, unless it is disabled or the library is read-only."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    resident_calls = list[Any]()

    def search(config: ResidentConfig, *arguments: Any) -> SearchResult:
        resident_calls.append(config)
        return SearchResult((), None)

    monkeypatch.setattr(module.client, "search", search)
    monkeypatch.setattr(module, "can_be_resident", lambda library: is_writable)
    config = ResidentConfig(tmp_path / "library")
    result = answer_query(
        Query("red"), SearchOptions(count=1), config, fake_engines,
        use_resident=use_resident, notify=pytest.fail,
    )  # fmt: skip
    assert resident_calls == ([config] if is_resident else [])
    assert [Path(hit.path).name for hit in result.hits] == ([] if is_resident else ["red.jpg"])


def test_this_process_answers_if_another_user_has_the_resident_process(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without access to the socket, the query is answered here, and a note says why."""
    notes: list[str] = []

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(start_resident, "is_listening", refuse)
    lock = take_lock(library)
    assert lock
    with lock:
        write_holder(lock, None)
        result = answer_query(
            Query("red"), SearchOptions(count=1), ResidentConfig(library), fake_engines,
            use_resident=True, notify=notes.append,
        )  # fmt: skip
    assert [Path(hit.path).name for hit in result.hits] == ["red.jpg"]
    assert notes == [
        f"searching without the resident process: the resident process {os.getpid()} belongs to "
        "another user"
    ]
