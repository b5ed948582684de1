"""Many queries at once find the same vectors, with the same scores, as each query alone."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
import pytest
from support.vectors import DIMENSIONS, FilledCatalog

from searchapp.vectors import VectorIndex
from searchapp.vectors.faiss_files import index as index_module
from searchapp.vectors.faiss_files import threads
from searchapp.vectors.faiss_files.faiss_index import FaissIndex
from searchapp.vectors.indexes import Indexes

QUERIES = 20  # more than one search of the index takes


@pytest.fixture(scope="module", params=["exact", "IVF8,SQ8", "IVF8_HNSW8,SQ8", "HNSW8"])
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VectorIndex]:
    """An index with vectors that were added, and others that were removed, after its save."""
    folder = tmp_path_factory.mktemp("search_many")
    store = FilledCatalog(folder)
    store.add_images(200)
    store.embeddings.set_requested_kind(request.param)
    indexes = Indexes(folder, store.catalog)
    list(indexes.save_index(store.collection))
    store.add_images(5)
    store.delete_embeddings([2, 4])
    opened = Indexes(folder, store.catalog).open_index(store.collection)
    assert isinstance(opened, VectorIndex)
    assert opened.kind == request.param
    # On a busy machine, threads that wait for one another take 30 times as long.
    threads = faiss.omp_get_max_threads()
    FaissIndex.set_thread_count(1)
    yield opened
    FaissIndex.set_thread_count(threads)
    store.close()


def draw_queries(count: int) -> np.ndarray:
    queries = np.random.default_rng(1).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


@pytest.mark.parametrize("scope", [None, "some", "few", "none"])
@pytest.mark.parametrize("compared", [0, 2000])
def test_each_result_is_that_of_a_single_search(
    index: VectorIndex, scope: str | None, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the index compares a small selection, or must scan further lists."""
    monkeypatch.setattr(index_module, "MAX_EXACT_COMPARISONS", compared)
    monkeypatch.setattr(index_module, "COMPARISON_COST", 80 if compared else 1e9)
    steps = {"some": 3, "few": 50}
    live = np.sort(index.ids)
    ids = None if scope is None else live[: 0 if scope == "none" else None : steps.get(scope, 1)]
    queries = draw_queries(QUERIES)
    for count in (12, 1000):
        found = index.search_many(queries, count, ids)
        assert found == [index.search(query, count, ids) for query in queries]
        assert [len(hits) for hits in found] == [
            min(count, len(live if ids is None else ids))
        ] * QUERIES


def test_queries_share_searches_of_the_index(
    index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = list[int]()
    original = FaissIndex.search_many

    def search_many(self: FaissIndex, queries: np.ndarray, *arguments: object) -> object:
        if self is index._base:
            sizes.append(len(queries))
        return original(self, queries, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FaissIndex, "search_many", search_many)
    index.search_many(draw_queries(QUERIES), 3)
    assert sizes == [16, 4]


@pytest.mark.parametrize(("limit", "used"), [(1, []), (10**9, [1, 5])])
def test_small_exact_searches_use_one_thread(
    monkeypatch: pytest.MonkeyPatch, limit: int, used: list[int]
) -> None:
    """On a busy machine, the threads of a small search wait for each other."""
    monkeypatch.setattr(threads, "MIN_PARALLEL_PRODUCTS", limit)
    index = FaissIndex.create_empty("exact", 4)
    index.add(np.arange(2), np.eye(2, 4, dtype=np.float32))
    counts: list[int] = []
    monkeypatch.setattr(faiss, "omp_get_max_threads", lambda: 5)
    monkeypatch.setattr(faiss, "omp_set_num_threads", counts.append)
    assert index.search_many(np.eye(1, 4, dtype=np.float32), 1, 0)[0].tolist() == [[0]]
    assert counts == used
