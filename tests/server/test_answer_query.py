"""answer_query: which process answers a query."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.library import FakeEngines, index_folder
from support.live_server import serve_library

from searchapp.errors import LibraryError, ModelError, QueryError, SearchAppError
from searchapp.library import Library
from searchapp.server import answer_query as module
from searchapp.server import start_resident
from searchapp.server.answer_query import answer_queries, answer_query
from searchapp.server.resident_lock import (
    ResidentUnavailableError,
    take_lock,
    write_holder,
)
from searchapp.server.socket_path import log_path
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import Query, SearchOptions, SearchQuestion, SearchResult


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


def test_a_search_by_text_starts_no_process(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No engine and no resident process; a running one answers, because it is faster."""
    monkeypatch.setattr(module.client, "search", lambda *arguments: SearchResult((), None))
    started = len(fake_engines.started_engines)

    def ask() -> list[str]:
        result = answer_query(
            Query("green"), SearchOptions(by="text"), ResidentConfig(library), fake_engines,
            use_resident=True, notify=pytest.fail,
        )  # fmt: skip
        return [Path(hit.path).name for hit in result.hits]

    assert ask() == ["green.png"]
    assert len(fake_engines.started_engines) == started
    monkeypatch.setattr(module, "is_listening", lambda folder: True)
    assert ask() == []


EMPTY = "holds no pictures yet; run `searchapp index FOLDER`"


@pytest.mark.parametrize("has_collection", [False, True])
@pytest.mark.parametrize("use_resident", [False, True])
def test_empty_library_starts_nothing(
    tmp_path: Path,
    model: Path,
    fake_engines: FakeEngines,
    has_collection: bool,
    use_resident: bool,
) -> None:
    """A query on a library without pictures says so, and starts no engine and no process."""
    (tmp_path / "photos").mkdir()
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        if has_collection:
            index_folder(library, tmp_path / "photos", model)
    config = ResidentConfig(tmp_path / "library")
    for options in (SearchOptions(), SearchOptions(folder=tmp_path, min_score="auto")):
        with pytest.raises(LibraryError, match=EMPTY):
            answer_query(
                Query("red"), options, config, fake_engines,
                use_resident=use_resident, notify=pytest.fail,
            )  # fmt: skip
    assert not fake_engines.started_engines
    assert not log_path(config.library_folder).exists()


def test_emptied_library_starts_no_engine(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """The same holds for a library whose pictures are pruned, and over HTTP."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    shutil.rmtree(photos)
    with Library.open(tmp_path / "library", start=pytest.fail) as library:
        library.prune(missing=True)
        with pytest.raises(LibraryError, match=EMPTY):
            library.search(Query("red"))
    with serve_library(tmp_path / "library", pytest.fail) as url:
        answer = httpx.post(f"{url}/api/search", json={"text": "red"})
    assert answer.status_code == 404
    assert EMPTY in answer.json()["detail"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"collection": "nowhere"}, LibraryError),
        ({"model": "no-such-model"}, ModelError),
    ],
)
def test_unknown_collection_or_model_starts_no_process(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    options: dict[str, Any],
    error: type[Exception],
) -> None:
    """Errors that the catalog shows are raised before a process starts."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    config = ResidentConfig(tmp_path / "library")
    with pytest.raises(error):
        answer_query(
            Query("red"), SearchOptions(**options), config, fake_engines,
            use_resident=True, notify=pytest.fail,
        )  # fmt: skip
    assert not log_path(config.library_folder).exists()


def test_batches_of_questions_keep_one_library_open(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process the engine starts once; errors among the questions keep their places."""
    fake_engines.started_engines.clear()
    error = QueryError("not a question")
    question = SearchQuestion(Query("red"), SearchOptions(count=1))
    read = list[object]()

    def generate() -> Iterator[SearchQuestion | SearchAppError]:
        for number in range(150):
            read.append(number)
            yield error if number % 50 == 7 else question

    answers = answer_queries(
        generate(), SearchOptions(), ResidentConfig(library), fake_engines,
        use_resident=False, notify=pytest.fail,
    )  # fmt: skip
    found = [next(answers)]
    assert len(read) == 64
    found += answers
    assert [number for number, each in enumerate(found) if each is error] == [7, 57, 107]
    assert sum(isinstance(each, SearchResult) for each in found) == 147
    assert len(fake_engines.started_engines) == 1


def test_batches_go_to_the_resident_process(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it cannot be used any more, this process answers the rest. Reranking is slow: few."""
    sizes, notes = list[int](), list[str]()

    def search_many(
        config: ResidentConfig, questions: Sequence[SearchQuestion], notify: object
    ) -> list[SearchResult]:
        sizes.append(len(questions))
        if len(sizes) == 3:
            raise ResidentUnavailableError("it belongs to another user")
        return [SearchResult((), None)] * len(questions)

    monkeypatch.setattr(module.client_batches, "search_many", search_many)
    reranked = SearchQuestion(Query("red"), SearchOptions(rerank=5))
    questions = [reranked] * 10 + [SearchQuestion(Query("red"))] * 100
    found = list(
        answer_queries(
            questions, SearchOptions(), ResidentConfig(library), fake_engines,
            use_resident=True, notify=notes.append,
        )
    )  # fmt: skip
    assert sizes == [8, 50, 52]
    assert [bool(each.hits) for each in found if isinstance(each, SearchResult)] == (
        [False] * 58 + [True] * 52
    )
    assert notes == ["searching without the resident process: it belongs to another user"]
