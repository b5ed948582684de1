"""The steps of a search with direct calls, without an event loop."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.fake_reranker import FakeReranker
from support.library import FakeEngines, index_folder

from searchapp.engines.reranker import RerankerHolder
from searchapp.errors import PictureError, UnsupportedModality
from searchapp.library import Library
from searchapp.models import resolve_model
from searchapp.search import query_vector
from searchapp.search.query_part import QueryPart
from searchapp.search.search import search
from searchapp.search.search_calls import DirectCalls, run_without_waiting
from searchapp.types import Query, SearchOptions, SearchResult


@pytest.fixture
def filled(opened: Library, photos: Path, model: Path) -> Library:
    index_folder(opened, photos, model)
    return opened


def find(
    library: Library, engines: FakeEngines, *parts: QueryPart, one_prompt: bool = False
) -> SearchResult:
    """Search with the steps that the server uses, but on this thread."""
    calls = DirectCalls(library.reader, engines, RerankerHolder(FakeReranker()))
    return run_without_waiting(search(calls, parts, SearchOptions(), one_prompt=one_prompt))


def test_text_and_picture_become_two_parts_unless_one_prompt(
    filled: Library, photos: Path, fake_engines: FakeEngines
) -> None:
    """CLIP takes no prompt with both: the server adds the vectors, the library refuses."""
    both = QueryPart(Query("blue", photos / "green.png"), weight=0.5)
    apart = (
        QueryPart(Query("blue"), weight=0.5),
        QueryPart(Query(None, photos / "green.png"), weight=0.5),
    )
    assert find(filled, fake_engines, both) == find(filled, fake_engines, *apart)
    with pytest.raises(UnsupportedModality):
        find(filled, fake_engines, both, one_prompt=True)


def test_indexed_images_need_no_engine(filled: Library, fake_engines: FakeEngines) -> None:
    """Their vectors are in the catalog."""
    (red, *_) = filled.search(Query("red"))
    started = len(fake_engines.started_engines)
    answer = find(filled, fake_engines, QueryPart(Query(None, "it"), image_id=red.image_id))
    assert answer.hits[0].path == red.path
    assert len(fake_engines.started_engines) == started


def test_each_part_keeps_its_own_weight(filled: Library, fake_engines: FakeEngines) -> None:
    """New queries and indexed images can be mixed in any order."""
    by_name = {hit.path.rsplit("/", 1)[1]: hit for hit in filled.search(Query("red"))}
    red, green = by_name["red.jpg"].image_id, by_name["green.png"].image_id
    answer = find(
        filled,
        fake_engines,
        QueryPart(Query(None, "it"), image_id=red, weight=-0.5),
        QueryPart(Query("blue"), weight=1.0),
        QueryPart(Query(None, "it"), image_id=green, weight=0.25),
    )
    reader = filled.reader
    collection, spec = reader.choose_collection(SearchOptions())
    (blue,) = fake_engines(spec).embed([query_vector.make_engine_input(spec, Query("blue"))])
    vector = (
        -0.5 * reader.read_vector(collection, red)
        + blue
        + 0.25 * reader.read_vector(collection, green)
    )
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    expected = reader.find_nearest(collection, vector, SearchOptions()).hits
    assert [hit.path for hit in answer.hits] == [hit.path for hit in expected]
    assert [hit.score for hit in answer.hits] == pytest.approx([hit.score for hit in expected])


def test_the_library_searches_inside_a_running_event_loop(filled: Library) -> None:
    """As in a notebook: the library starts no second loop."""

    async def ask() -> str:
        return filled.search(Query("red"))[0].path

    assert asyncio.run(ask()).endswith("red.jpg")


def test_a_coroutine_that_waits_is_refused() -> None:
    """Without an event loop, it would never be resumed."""
    with pytest.raises(RuntimeError, match="it was started without an event loop"):
        run_without_waiting(asyncio.sleep(0))


def test_a_query_with_a_huge_picture_names_no_option_of_index(model: Path, tmp_path: Path) -> None:
    """A query has no --max-megapixels."""
    file = tmp_path / "huge.png"
    Image.new("1", (20_000, 9_000)).save(file)
    with pytest.raises(
        PictureError, match=r"180 megapixels, the limit is 179\. Use another picture$"
    ):
        query_vector.make_engine_input(resolve_model(str(model)), Query(image=file))
