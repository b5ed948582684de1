"""A search with a filter scans only inverted lists that have vectors of the filter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from searchapp.vectors import VectorIndex, pack_vector
from searchapp.vectors.faiss_files.faiss_index import FaissIndex

COUNT, DIMENSIONS = 20_000, 32
IDS = np.arange(1, COUNT + 1)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Vectors of broad clusters; the id of the first is 1."""
    rng = np.random.default_rng(3)
    centers = rng.normal(size=(50, DIMENSIONS))
    found = centers[rng.integers(0, 50, COUNT)] + rng.normal(size=(COUNT, DIMENSIONS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module", params=["IVF128_HNSW32,PQ16x4fs", "IVF128,SQ8"])
def index(request: pytest.FixtureRequest, vectors: NDArray[np.float32]) -> VectorIndex:
    def fetch(ids: list[int]) -> Iterable[tuple[list[int], list[bytes]]]:
        yield ids, [pack_vector(vectors[number - 1]) for number in ids]

    made = VectorIndex.train(request.param, DIMENSIONS, IDS, fetch)
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
    allowed = make_filters(vectors)["side 0.11"]
    scanned: list[NDArray[np.int64]] = []
    original = FaissIndex._find_nearest_lists

    def find(self: FaissIndex, *arguments: object) -> object:
        distances, lists = original(self, *arguments)  # type: ignore[arg-type]
        scanned.append(lists)
        return distances, lists

    monkeypatch.setattr(FaissIndex, "_find_nearest_lists", find)
    index.search(vectors[-1], 10, allowed)
    mask = index._base.find_lists(allowed)
    assert mask is not None
    assert mask.sum() < 110
    assert sorted(scanned[0][0].tolist()) == np.flatnonzero(mask).tolist()


def test_a_filter_may_leave_no_list(index: VectorIndex, vectors: NDArray[np.float32]) -> None:
    """All its vectors were added after the index was saved, for example: no list is scanned."""
    mask = index._base.find_lists(IDS + COUNT)
    assert mask is not None
    assert not mask.any()
    ids, cosines = index._base.search_many(vectors[:3], 10, 5, None, mask)
    assert (ids.shape, cosines.shape) == ((3, 0), (3, 0))


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
