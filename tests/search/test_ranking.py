"""A query has one ranking for every count and offset, even if its index is not exact."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np
import pytest
from support.filters import make_varied_catalog

from searchapp.catalog import TextQuery
from searchapp.files.presence import Presence
from searchapp.search.good_match import Judge, JudgeCache
from searchapp.search.ranked_pages import FIRST_PAGE_MATCHES
from searchapp.search.ranking import Ranking
from searchapp.types import Collection, SearchOptions
from searchapp.vectors.indexes import Indexes

IMAGE_COUNT = 2500  # with a filter, more than an index compares one by one


@pytest.fixture(scope="module")
def ranking_and_vectors(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Ranking, Collection, np.ndarray]]:
    """A ranking over a trained index, which finds only some of the nearest vectors."""
    folder = tmp_path_factory.mktemp("ranking") / "library"
    catalog, vectors = make_varied_catalog(folder, IMAGE_COUNT)
    (collection,) = catalog.list_collections()
    indexes = Indexes(folder, catalog)
    catalog.get_embeddings(collection).set_requested_kind("RR,IVF64,RaBitQ")
    list(indexes.save_index(collection))
    assert not indexes.open_index(collection).is_exact
    yield Ranking(catalog, indexes, JudgeCache(catalog)), collection, vectors
    catalog.close()


@pytest.fixture
def find_ids(
    ranking_and_vectors: tuple[Ranking, Collection, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[int]]:
    """Return the image ids of hits for a vector of the collection, by its number."""
    monkeypatch.setattr("searchapp.files.presence.check_presence", lambda path: Presence.THERE)
    ranking, collection, vectors = ranking_and_vectors

    def find(number: int, text: str | None = None, **options: object) -> list[int]:
        found = ranking.find_nearest(
            collection,
            vectors[number],
            SearchOptions(**options),  # type: ignore[arg-type]
            "image",
            TextQuery.parse(text) if text is not None else None,
        )
        return [hit.image_id for hit in found.hits]

    return find


@pytest.mark.parametrize("where", [None, "width % 100 < 90"])
# Words of no image, of a sixth of the images, of a third as a name, and a phrase that must occur.
@pytest.mark.parametrize("text", [None, "copies", "d1", '"copies"'])
def test_pages_of_a_trained_index_have_no_gaps_or_duplicates(
    find_ids: Callable[..., list[int]], where: str | None, text: str | None
) -> None:
    """All pages of a query together are one long answer, also beyond the first candidates."""
    last = FIRST_PAGE_MATCHES + 40
    for number in range(6) if text is None else range(2):
        find = partial(find_ids, number, text, where=where)
        answer = find(count=last)
        assert len(set(answer)) == last
        for size in (10, 28):
            pages = [find(count=size, offset=size * n) for n in range(3)]
            assert [*chain(*pages)] == answer[: 3 * size]
        assert find(count=30, offset=last - 30) == answer[-30:]


def test_count_does_not_change_which_hits_are_good(
    find_ids: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a match is good does not only depend on its score, so good matches have gaps."""
    monkeypatch.setattr(Judge, "compute_threshold", lambda self, searched_count: 1.7)
    for number in range(6):
        answer = find_ids(number, count=150, min_score="auto")
        assert answer != find_ids(number, count=len(answer))
        for count in (1, 2, 5, 10):
            assert find_ids(number, count=count, min_score="auto") == answer[:count]


def test_min_score_is_compared_as_hits_show_it(
    ranking_and_vectors: tuple[Ranking, Collection, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score that a hit shows, as --min-score, includes this hit."""
    monkeypatch.setattr("searchapp.files.presence.check_presence", lambda path: Presence.THERE)
    ranking, collection, vectors = ranking_and_vectors
    hits = ranking.find_nearest(collection, vectors[5], SearchOptions(), None).hits
    for rank, hit in enumerate(hits):
        options = SearchOptions(min_score=hit.score)
        found = ranking.find_nearest(collection, vectors[5], options, None).hits
        assert [each.image_id for each in found] == [each.image_id for each in hits[: rank + 1]]
