"""Reranking of the best hits, with a fake reranker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fake_reranker import FakeReranker
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.search import reranking
from searchapp.types import Example, Hit, Query, SearchOptions, Term

COLORS = ("red", "darkred", "orange", "yellow", "white", "gray", "green", "blue", "black")


@pytest.fixture
def reranker() -> FakeReranker:
    return FakeReranker()


@pytest.fixture
def library(
    tmp_path: Path, fake_engines: FakeEngines, reranker: FakeReranker, model: Path
) -> Iterator[Library]:
    """A library with a picture of each color."""
    folder = tmp_path / "colors"
    folder.mkdir()
    for color in COLORS:
        save_picture(folder / f"{color}.png", color)
    with Library.open(
        tmp_path / "library", create=True, start=fake_engines, start_reranker=reranker
    ) as library:
        index_folder(library, folder, model)
        yield library


def names(hits: list[Hit]) -> list[str]:
    return [Path(hit.path).stem for hit in hits]


def by_vector(**options: object) -> SearchOptions:
    return SearchOptions(**{"by": "vector", "count": len(COLORS), **options})  # type: ignore[arg-type]


QUESTION = Query("red")


class Reversed(FakeReranker):
    """Prefers the pictures that the embedder finds last."""

    def score(self, question, pictures):  # type: ignore[no-untyped-def]
        return [1 - score for score in super().score(question, pictures)]


@pytest.fixture
def open_reversed(
    library: Library, tmp_path: Path, fake_engines: FakeEngines
) -> Iterator[tuple[Library, Reversed]]:
    reranker = Reversed()
    with Library.open(tmp_path / "library", start=fake_engines, start_reranker=reranker) as opened:
        yield opened, reranker


def test_only_the_first_hits_are_reordered(open_reversed: tuple[Library, Reversed]) -> None:
    """The hits after them keep their order and have no score of the reranker."""
    library, reranker = open_reversed
    plain = library.search(QUESTION, by_vector())
    hits = library.search(QUESTION, by_vector(rerank=5))
    assert reranker.scored_count == 5
    assert sorted(names(hits[:5])) == sorted(names(plain[:5]))
    assert names(hits[:5]) != names(plain[:5])
    assert names(hits[5:]) == names(plain[5:])
    scores = [hit.rerank_score for hit in hits[:5]]
    assert None not in scores and scores == sorted(scores, key=lambda s: -(s or 0))
    assert all(hit.rerank_score is None for hit in hits[5:])
    assert {hit.path: hit.score for hit in hits} == {hit.path: hit.score for hit in plain}
    assert {hit.path: hit.good_match for hit in hits} == {h.path: h.good_match for h in plain}


def test_pages_fit_together(open_reversed: tuple[Library, Reversed]) -> None:
    """Pages of any size hold each hit once, in the order of one large page."""
    library, reranker = open_reversed
    complete = names(library.search(QUESTION, by_vector(rerank=5)))
    for count in (1, 2, 3, 4):
        pages = [
            library.search(QUESTION, by_vector(rerank=5, count=count, offset=offset))
            for offset in range(0, len(COLORS), count)
        ]
        assert [name for page in pages for name in names(page)] == complete
    scored = reranker.scored_count
    library.search(QUESTION, by_vector(rerank=5, offset=5))
    assert reranker.scored_count == scored  # A page after the reranked hits needs no reranker.


def test_fewer_hits_than_asked_are_all_reranked(open_reversed: tuple[Library, Reversed]) -> None:
    """A number of hits above that of the result changes nothing."""
    library, reranker = open_reversed
    library.search(QUESTION, by_vector(rerank=200))
    assert reranker.scored_count == len(COLORS)


@pytest.mark.parametrize("kind", ["text", "image", "image of the library", "text+image"])
def test_each_kind_of_question(
    library: Library, reranker: FakeReranker, tmp_path: Path, kind: str
) -> None:
    """The model of the library, CLIP, takes no text with a picture; the reranker takes both."""
    blue = tmp_path / "question.png"
    save_picture(blue, "blue")
    found = library.search(Query("blue"), by_vector(count=1))
    questions: dict[str, Query | list[Term]] = {
        "text": Query("blue"),
        "image": Query(None, blue),
        "image of the library": Query(None, found[0].image_id),
        "text+image": [Term(Query("blue boat")), Term(Query(None, blue), 0.5)],
    }
    hits = library.search(questions[kind], by_vector(rerank=3))
    assert names(hits)[0] == "blue"
    assert hits[0].rerank_score == pytest.approx(1, abs=0.02)
    asked = reranker.questions[0]
    assert asked.text == {"text": "blue", "text+image": "blue boat"}.get(kind)
    assert (asked.image is not None) == (kind != "text")
    assert reranker.names == [None]


def test_a_search_by_words_is_reranked(library: Library, reranker: FakeReranker) -> None:
    """It starts no embedder; quotation marks of phrases are not part of the question."""
    hits = library.search(Query('"red"'), SearchOptions(by="text", rerank=2, reranker="x"))
    assert "red" in names(hits)
    assert reranker.questions[0].text == "red"
    assert reranker.names == ["x"]


def test_a_hit_that_cannot_be_read_comes_last(
    library: Library, reranker: FakeReranker, tmp_path: Path
) -> None:
    """It follows the reranked hits, and a warning says why; so does a refused picture."""
    first = library.search(QUESTION, by_vector(count=1))[0]
    Path(first.path).write_bytes(b"another content")
    reranker.refused_color = (255, 165, 0)  # orange
    result = library.find(QUESTION, by_vector(rerank=4))
    unscored = [Path(hit.path).stem for hit in result.hits[:4] if hit.rerank_score is None]
    assert "red" in unscored
    assert names(list(result.hits[4 - len(unscored) : 4])) == unscored
    assert f"{len(unscored)} of 4 hits could not be reranked" in result.warnings[0]


def test_a_slow_reranker_stops_in_time(
    open_reversed: tuple[Library, Reversed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time limit, the remaining hits keep their order, and a warning says so."""
    library, reranker = open_reversed
    plain = names(library.search(QUESTION, by_vector()))
    monkeypatch.setattr(reranking, "TIME_LIMIT_S", -1.0)
    result = library.find(QUESTION, by_vector(rerank=8))
    assert reranker.scored_count == reranking.PICTURES_PER_CALL
    assert names(list(result.hits))[reranking.PICTURES_PER_CALL :] == plain[4:]
    assert "reranked only the first 4 of 8 hits" in result.warnings[0]


BAD_QUESTIONS: dict[str, Callable[[Path], dict[str, object]]] = {
    "a negative weight": lambda file: {"query": [Term(QUESTION), Term(Query("blue"), -1)]},
    "two pictures": lambda file: {"query": [Term(Query(None, file)), Term(Query(None, file))]},
    "examples": lambda file: {"query": QUESTION, "examples": [Example(file)]},
}


@pytest.mark.parametrize("make", BAD_QUESTIONS.values(), ids=BAD_QUESTIONS)
def test_a_question_that_no_reranker_takes(
    library: Library,
    reranker: FakeReranker,
    fake_engines: FakeEngines,
    tmp_path: Path,
    make: Callable[[Path], dict[str, object]],
) -> None:
    """It is refused before any model starts, also on a page that would not be reranked."""
    started = len(fake_engines.started_engines)
    for offset in (0, 50):
        with pytest.raises(QueryError, match="a reranker takes one question"):
            asked = make(tmp_path / "colors/red.png")
            library.find(**asked, options=by_vector(rerank=3, offset=offset))  # type: ignore[arg-type]
    assert not reranker.names
    assert len(fake_engines.started_engines) == started


def test_a_text_with_a_placeholder_is_refused(library: Library, reranker: FakeReranker) -> None:
    """The reranker is not started for it."""
    with pytest.raises(QueryError, match="stands for a picture"):
        library.search(Query("red <|image_pad|>"), by_vector(rerank=3))
    assert not reranker.names


def test_the_number_of_hits_is_bounded() -> None:
    """Reranking is slow, so it takes a limited number of hits."""
    for number in (0, 201):
        with pytest.raises(QueryError, match="from 1 to 200 hits"):
            SearchOptions(rerank=number)
