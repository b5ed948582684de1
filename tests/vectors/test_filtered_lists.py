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
    assert [len(found) for found in scan_in_steps(scan, 0, 5, keep=10, wanted=3)] == [0, 0]


def test_vectors_that_the_index_lacks_are_compared(vectors: NDArray[np.float32]) -> None:
    """A trained index can be empty; all vectors were added after it was saved, for example."""
    made = VectorIndex.train("IVF16,SQ8", DIMENSIONS, IDS, make_fetch(vectors))
    assert len(made) == 0
    assert made.search(vectors[0], 3, IDS)[0][0] == 1


def test_a_step_scans_the_next_lists(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    """All steps together find what one scan of all lists finds."""
    scan, list_count = index._base.start_scan(vectors[:1], 50, None, None)
    parts = [scan(start, start + 32) for start in range(0, list_count, 32)]
    ids, cosines = (np.concatenate(part) for part in zip(*parts, strict=True))
    ((expected_ids, expected),) = index._base.search_each(vectors[:1], 50, None, list_count)
    best = np.argsort(-cosines, kind="stable")[:50]
    np.testing.assert_allclose(cosines[best], expected, atol=1e-6)
    assert len(set(ids[best]) & set(expected_ids)) >= 49


def test_steps_end_when_they_find_hardly_any_better_vector() -> None:
    """List n holds ten vectors; the best ones are in the first lists."""
    lists = [np.arange(10 * n, 10 * n + 10) for n in range(100)]
    asked: list[tuple[int, int]] = []

    def scan(start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        asked.append((start, end))
        ids = np.concatenate([*lists[start:end], lists[0][:0]])
        best = ids[:20] if end <= 12 else ids[:1]
        return best, (1 - best / 1000).astype(np.float32)

    ids, _ = scan_in_steps(scan, 100, 4, keep=20, wanted=5)
    assert asked == [(0, 4), (4, 6)], "the second step finds nothing better"
    assert sorted(ids.tolist()) == list(range(20))
    asked.clear()
    ids, _ = scan_in_steps(scan, 100, 4, keep=20, wanted=25)
    assert asked[-1][1] == 100, "too few were found"
    asked.clear()

    def scan_reversed(start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        asked.append((start, end))
        ids = np.concatenate(lists[start:end])[-20:]
        return ids, (ids / 1000).astype(np.float32)

    ids, _ = scan_in_steps(scan_reversed, 100, 4, keep=20, wanted=5)
    assert asked[-1][1] == 100, "each step finds better ones"
    assert sorted(ids.tolist()) == list(range(980, 1000))
    assert [start for start, _ in asked[1:]] == [end for _, end in asked[:-1]]


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
