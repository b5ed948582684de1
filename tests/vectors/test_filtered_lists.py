"""A search with a filter scans inverted lists in steps, and leaves out those without matches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from searchapp.vectors import VectorIndex, pack_vector
from searchapp.vectors.exact_cosines import FetchVectors
from searchapp.vectors.faiss_files.faiss_index import FaissIndex
from searchapp.vectors.faiss_files.inverted_lists import InvertedLists
from searchapp.vectors.faiss_files.scan_steps import scan_in_steps

COUNT, DIMENSIONS = 20_000, 32
IDS = np.arange(1, COUNT + 1)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Vectors of broad clusters; the id of the first is 1."""
    rng = np.random.default_rng(3)
    centers = rng.normal(size=(50, DIMENSIONS))
    found = centers[rng.integers(0, 50, COUNT)] + rng.normal(size=(COUNT, DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def make_fetch(vectors: NDArray[np.float32]) -> FetchVectors:
    def fetch(ids: list[int]) -> Iterable[tuple[list[int], list[bytes]]]:
        yield ids, [pack_vector(vectors[number - 1]) for number in ids]

    return fetch


@pytest.fixture(scope="module", params=["IVF128_HNSW32,PQ16x4fs", "IVF128,SQ8"])
def index(request: pytest.FixtureRequest, vectors: NDArray[np.float32]) -> VectorIndex:
    made = VectorIndex.train(request.param, DIMENSIONS, IDS, make_fetch(vectors))
    made.add(IDS, vectors)
    assert not made.is_exact
    return made


def make_filters(vectors: NDArray[np.float32]) -> dict[str, NDArray[np.int64]]:
    """Return random ids, and the ids on one side of the space; more than are compared exactly."""
    rng, side = np.random.default_rng(4), vectors @ vectors[0]
    return {
        f"{kind} {share}": np.sort(order[: int(share * COUNT)] + 1)
        for kind, order in (("random", rng.permutation(COUNT)), ("side", np.argsort(-side)))
        for share in (0.11, 0.3, 0.7)
    }


def test_filters_keep_the_recall(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    queries = vectors[:: COUNT // 40] + 0.1 * vectors[5 :: COUNT // 40][:40]
    for name, allowed in make_filters(vectors).items():
        cosines = queries @ vectors[allowed - 1].T
        truth = allowed[np.argsort(-cosines, axis=1)[:, :10]]
        found = [{id for id, _ in index.search(query, 10, allowed)} for query in queries]
        hits = sum(len(set(row) & ids) for row, ids in zip(truth.tolist(), found, strict=True))
        assert hits >= 0.98 * truth.size, name


def test_only_lists_with_allowed_ids_are_scanned(
    index: VectorIndex, vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them, if the number of lists allows it: then no list is scanned in vain."""
    monkeypatch.setattr("searchapp.vectors.faiss_files.index.MAX_MASKED_SHARE", 0.2)
    allowed = make_filters(vectors)["side 0.11"]
    scanned: list[int] = []
    original = InvertedLists.scan

    def scan(self: InvertedLists, *arguments: Any) -> object:
        scanned.extend(arguments[-1].ravel().tolist())
        return original(self, *arguments)

    monkeypatch.setattr(InvertedLists, "scan", scan)
    index.search(vectors[-1], 10, allowed)
    mask = index._base.find_lists(allowed)
    assert mask is not None
    assert mask.sum() < 110
    assert sorted(scanned) == np.flatnonzero(mask).tolist()


def test_a_filter_may_leave_no_list(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    """All its vectors were added after the index was saved, for example: no list is scanned."""
    mask = index._base.find_lists(IDS + COUNT)
    assert mask is not None
    assert not mask.any()
    scan, list_count = index._base.start_scan(vectors[:1], 10, None, mask)
    assert list_count == 0
    ids, _ = scan_in_steps(scan, 1, 0, 5, keep=10, wanted=3)
    assert (ids == -1).all()


def test_vectors_that_the_index_lacks_are_compared(vectors: NDArray[np.float32]) -> None:
    """A trained index can be empty; all vectors were added after it was saved, for example."""
    made = VectorIndex.train("IVF16,SQ8", DIMENSIONS, IDS, make_fetch(vectors))
    assert len(made) == 0
    assert made.search(vectors[0], 3, IDS)[0][0] == 1


def test_a_step_scans_the_next_lists(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    """All steps together find what one scan of all lists finds, also for a part of the queries."""
    queries = vectors[:3]
    scan, list_count = index._base.start_scan(queries, 50, None, None)
    parts = [scan(np.array([2, 0]), start, start + 32) for start in range(0, list_count, 32)]
    ids, cosines = (np.hstack(part) for part in zip(*parts, strict=True))
    expected = index._base.search_each(queries[[2, 0]], 50, None, list_count)
    for found, scores, (expected_ids, expected_scores) in zip(ids, cosines, expected, strict=True):
        best = np.argsort(-scores, kind="stable")[:50]
        np.testing.assert_allclose(scores[best], expected_scores, atol=1e-6)
        assert len(set(found[best]) & set(expected_ids)) >= 49


@pytest.mark.parametrize("share", [0.11, 0.3])
def test_queries_together_find_what_each_finds(
    index: VectorIndex, vectors: NDArray[np.float32], share: float
) -> None:
    queries, allowed = vectors[:40] + 0.1 * vectors[100:140], make_filters(vectors)[f"side {share}"]
    assert index.search_many(queries, 10, allowed) == [
        index.search(query, 10, allowed) for query in queries
    ]


class Lists:
    """A hundred lists of ten vectors for each query, and the steps that scanned them."""

    def __init__(self, *, best_first: bool) -> None:
        self.best_first, self.steps = best_first, list[tuple[list[int], int, int]]()

    def scan(
        self, numbers: NDArray[np.int64], start: int, end: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best 20 vectors; for query 1, the best ones are always in the last lists."""
        self.steps.append((numbers.tolist(), start, end))
        ids, cosines = np.full((len(numbers), 20), -1), np.zeros((len(numbers), 20), np.float32)
        for row, number in enumerate(numbers):
            found = np.arange(10 * start, 10 * end)
            is_best_first = self.best_first and number != 1
            found = (found if is_best_first else found[::-1])[:20]
            ids[row, : len(found)] = found
            cosines[row, : len(found)] = found / (-1000 if is_best_first else 1000)
        return ids, cosines


def test_steps_end_when_they_find_hardly_any_better_vector() -> None:
    """Each query ends at its own step."""
    lists = Lists(best_first=True)
    ids, _ = scan_in_steps(lists.scan, 2, 100, 4, keep=20, wanted=5)
    assert lists.steps[:3] == [([0, 1], 0, 4), ([0, 1], 4, 6), ([1], 6, 9)]
    assert lists.steps[-1][2] == 100, "each step finds better vectors for query 1"
    assert [start for _, start, _ in lists.steps[1:]] == [end for *_, end in lists.steps[:-1]]
    assert sorted(ids[0].tolist()) == list(range(20))
    assert sorted(ids[1].tolist()) == list(range(980, 1000))


def test_steps_go_on_until_enough_vectors_are_found() -> None:
    lists = Lists(best_first=True)
    ids, _ = scan_in_steps(lists.scan, 1, 100, 1, keep=20, wanted=15)
    assert [(start, end) for _, start, end in lists.steps] == [(0, 1), (1, 2), (2, 3)]
    assert sorted(ids[0].tolist()) == list(range(20))


def test_small_filters_do_not_read_the_lists(
    index: VectorIndex, vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their vectors are compared; the first of them would wait for all ids of the index."""
    monkeypatch.delattr(FaissIndex, "find_lists")
    allowed = IDS[:: COUNT // 2000][:2000]
    expected = allowed[np.argmax(vectors[allowed - 1] @ vectors[7])]
    assert index.search(vectors[7], 1, allowed)[0][0] == expected


def test_lists_are_found_again_after_a_change() -> None:
    index = FaissIndex.create_empty("IVF4,SQ8", 4)
    corners = np.repeat(np.eye(4, dtype=np.float32), 40, axis=0)
    index.train(corners, lambda: None)

    def count_lists(*ids: int) -> int:
        mask = index.find_lists(np.array(ids))
        assert mask is not None
        return int(mask.sum())

    index.add(np.array([3, 5]), corners[[0, 1]])
    assert count_lists(3, 5) == 1
    assert count_lists(4, 99) == 0
    index.add(np.array([99]), corners[[159]])
    assert (count_lists(3, 99), count_lists(99)) == (2, 1)
    index.remove(np.array([3]))
    assert (count_lists(3), count_lists(3, 5)) == (0, 1)
    assert FaissIndex.create_empty("exact", 4).find_lists(np.array([1])) is None
