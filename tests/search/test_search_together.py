"""Searches that run together give the results of single ones, with fewer calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.fake_reranker import FakeReranker
from support.library import FakeEngines, index_folder

from searchapp.engines import EngineInput
from searchapp.errors import EngineError, LibraryError, PictureError, QueryError, SearchAppError
from searchapp.library import Library
from searchapp.search.query_part import PreparedSearch, QueryPart
from searchapp.search.search_together import search_together
from searchapp.server.threaded_calls import ThreadedCalls
from searchapp.types import Example, Query, SearchOptions, SearchQuestion, SearchResult, Term
from searchapp.vectors import VectorIndex


@pytest.fixture
def filled(opened: Library, photos: Path, model: Path) -> Library:
    index_folder(opened, photos, model)
    return opened


def make_questions(photos: Path) -> list[SearchQuestion]:
    """Return questions of all kinds; some have errors."""
    below = SearchOptions(folder=photos / "below")
    return [
        SearchQuestion(Query("red")),
        SearchQuestion(Query("a blue thing"), below),
        SearchQuestion(Query("no color")),  # The engine refuses it.
        SearchQuestion(Query(image=photos / "green.png"), SearchOptions(count=1)),
        SearchQuestion(Query(image=photos / "gone.png")),
        SearchQuestion(Query("red"), SearchOptions(where="no such column")),
        SearchQuestion([Term(Query("red")), Term(Query("blue"), -0.5)], below),
        SearchQuestion([], examples=[Example(str(photos / "red.jpg"))]),
        SearchQuestion(Query("green"), SearchOptions(by="text")),
        SearchQuestion(Query('"green"'), SearchOptions(offset=1)),
        SearchQuestion(Query()),
        SearchQuestion(Query("red"), SearchOptions(collection="nowhere")),
        SearchQuestion(Query("green"), SearchOptions(rerank=2, sort="date")),
        SearchQuestion(Query("red"), SearchOptions(min_score="auto")),
    ]


def find_alone(library: Library, question: SearchQuestion) -> SearchResult | SearchAppError:
    try:
        return library.find(question.query, question.options, question.examples)
    except SearchAppError as error:
        return error


def to_comparable(outcome: SearchResult | SearchAppError) -> Any:
    return (type(outcome), str(outcome)) if isinstance(outcome, SearchAppError) else outcome


def test_each_result_and_each_error_is_that_of_a_single_search(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    folder = tmp_path / "library"
    with Library.open(
        folder, create=True, start=fake_engines, start_reranker=FakeReranker()
    ) as library:
        index_folder(library, photos, model)
        questions = make_questions(photos)
        together = list(library.find_many(iter(questions)))
        alone = [find_alone(library, question) for question in questions]
        assert [*map(to_comparable, together)] == [*map(to_comparable, alone)]
        errors = [type(each) for each in together if isinstance(each, SearchAppError)]
        assert {QueryError, PictureError, LibraryError} <= set(errors)


def count_calls(monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[str]], list[int]]:
    """Return lists that get the prompts of each call of an engine, and the sizes of searches."""
    embedded, searched = list[list[str]](), list[int]()
    embed, search_many = FakeEngine.embed, VectorIndex.search_many

    def record_embed(self: FakeEngine, inputs: Sequence[EngineInput]) -> Any:
        embedded.append([item.prompt for item in inputs])
        return embed(self, inputs)

    def record_search(self: VectorIndex, vectors: Any, *arguments: Any) -> Any:
        searched.append(len(vectors))
        return search_many(self, vectors, *arguments)

    monkeypatch.setattr(FakeEngine, "embed", record_embed)
    monkeypatch.setattr(VectorIndex, "search_many", record_search)
    return embedded, searched


def test_questions_share_calls_of_the_engine_and_of_the_index(
    filled: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call of the engine for each batch, and one search for each filter in it."""
    filled.search(Query("red"))  # calibrates good matches
    embedded, searched = count_calls(monkeypatch)
    below = SearchOptions(folder=[str(photos / "below")])
    questions = [
        SearchQuestion(Query(f"{color} {number}"), replace(options, count=number + 1))
        for number in range(16)
        for color in ("red", "blue")
        for options in (SearchOptions(), below)
    ]
    found = list(filled.find_many(questions))
    assert len(found) == 64 and all(isinstance(each, SearchResult) for each in found)
    assert [len(prompts) for prompts in embedded] == [32]  # A repeated text is embedded once.
    assert searched == [32, 32]


def test_a_broken_engine_ends_all_searches(
    filled: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next questions need it too."""

    def fail(self: FakeEngine, inputs: Sequence[EngineInput]) -> Any:
        raise EngineError("the engine is gone")

    filled.search(Query("red"))
    monkeypatch.setattr(FakeEngine, "embed", fail)
    with pytest.raises(EngineError, match="is gone"):
        list(filled.find_many([SearchQuestion(Query("red")), SearchQuestion(Query("blue"))]))


def test_questions_are_read_as_they_are_needed(filled: Library) -> None:
    """A file of questions can be larger than the memory."""
    read = list[int]()

    def generate() -> Any:
        for number in range(1000):
            read.append(number)
            yield SearchQuestion(Query("red"), SearchOptions(count=1))

    found = filled.find_many(generate())
    assert isinstance(next(found), SearchResult)
    assert len(read) == 64


def test_searches_wait_for_threads_in_an_event_loop(
    filled: Library, tmp_path: Path, photos: Path, fake_engines: FakeEngines
) -> None:
    """As in the server, whose calls run on threads."""
    questions = make_questions(photos)[:8]

    async def ask() -> list[SearchResult | SearchAppError]:
        calls = ThreadedCalls(tmp_path / "library", fake_engines, FakeReranker())
        _, spec = await calls.read_library(
            lambda reader: reader.choose_nonempty_collection(SearchOptions())
        )
        await calls.load_engine(spec)
        searches = [
            PreparedSearch(
                [QueryPart.from_term(term) for term in question.list_terms()],
                list(question.examples), question.options, one_prompt=True,
            )
            for question in questions
        ]  # fmt: skip
        try:
            return await search_together(calls, searches)
        finally:
            for executor in calls.start_closing():
                executor.shutdown()

    alone = [find_alone(filled, question) for question in questions]
    assert [*map(to_comparable, asyncio.run(ask()))] == [*map(to_comparable, alone)]
