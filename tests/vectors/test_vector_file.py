"""The vectors beside an index: exact cosines, new rows in a shared file, and damage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from searchapp.catalog import Catalog
from searchapp.types import Collection, PictureInfo
from searchapp.vectors import pack_vector
from searchapp.vectors.exact_cosines import compute_cosines
from searchapp.vectors.faiss_files import save_vectors, vector_file
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.faiss_files.sync import FaissSync
from searchapp.vectors.faiss_files.vector_file import HEAD_BYTES, VectorFile, get_vector_file

DIMENSIONS = 32
MAX_DIFFERENCE = 1e-6  # of sums in another order
POLICY = IndexPolicy(max_exact_vectors=500, min_unsaved_vectors=10)


def draw(count: int, seed: int = 0, dimensions: int = DIMENSIONS) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_pages(ids: list[int], vectors: np.ndarray) -> list[tuple[list[int], list[bytes]]]:
    return [(ids, [pack_vector(vector) for vector in vectors])] if ids else []


def write(file: Path, ids: list[int], vectors: np.ndarray, last_id: int | None = None) -> None:
    vector_file.write_vector_file(
        file, DIMENSIONS, ids[0], last_id or ids[-1], make_pages(ids, vectors)
    )


def check_cosines(opened: VectorFile | None, ids: list[int], vectors: np.ndarray) -> None:
    """The nearest ids and their cosines are those of the catalog."""
    assert opened is not None
    by_id = dict(zip(ids, vectors, strict=True))

    def fetch(wanted: list[int]) -> list[tuple[list[int], list[bytes]]]:
        return [(wanted, [pack_vector(by_id[number]) for number in wanted])]

    for query in draw(5, seed=9):
        for count in (1, 10, 1000):
            wanted = np.array(ids)
            (near, cosines), missing = opened.select_nearest(query[None], wanted, count)
            assert not len(missing)
            exact = dict(zip(*compute_cosines(query[None], wanted, fetch, DIMENSIONS), strict=True))
            for number, cosine in zip(near.tolist(), cosines, strict=True):
                assert cosine == pytest.approx(exact[number], abs=MAX_DIFFERENCE)
            best = sorted(exact, key=exact.__getitem__, reverse=True)[:count]
            assert set(best) <= set(near.tolist())


def test_cosines_equal_those_from_the_catalog(tmp_path: Path) -> None:
    """With gaps between the ids, large ids, and any number of wanted ids."""
    first = 5_000_000_000
    ids = [first + number for number in range(900) if number % 7]
    vectors = draw(len(ids))
    write(tmp_path / "v", ids, vectors)
    opened = VectorFile.open(tmp_path / "v", DIMENSIONS, ids[-1])
    check_cosines(opened, ids, vectors)
    check_cosines(opened, ids[:3], vectors[:3])
    assert opened is not None
    gaps = [first + 7, first - 1, 1, ids[-1] + 1]
    (near, _), missing = opened.select_nearest(draw(1), np.array([*gaps, ids[4]]), 10)
    assert sorted(missing.tolist()) == sorted(gaps)
    assert near.tolist() == [ids[4]]


def test_few_vectors_are_compared_on_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine, the threads of a small search wait for each other."""
    write(tmp_path / "v", [1, 2], draw(2))
    opened = VectorFile.open(tmp_path / "v", DIMENSIONS, 2)
    assert opened is not None
    counts: list[int] = []
    monkeypatch.setattr(faiss, "omp_get_max_threads", lambda: 5)
    monkeypatch.setattr(faiss, "omp_set_num_threads", counts.append)
    opened.select_nearest(draw(1), np.array([1, 2]), 1)
    assert counts == [1, 5]


@pytest.mark.parametrize("has_links", [True, False])
def test_new_rows_extend_the_file_of_the_old_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """An open file stays as it was; rows of a run whose end was lost are replaced."""
    if not has_links:
        monkeypatch.setattr(os, "link", fail_to_link)
    ids, vectors = list(range(3, 300)), draw(297)
    write(tmp_path / "old", ids[:100], vectors[:100])
    opened = VectorFile.open(tmp_path / "old", DIMENSIONS, ids[99])
    for lost, new in ((draw(200, seed=1), 250), (vectors[100:], 297)):
        vector_file.extend_vector_file(
            tmp_path / "new", tmp_path / "old", DIMENSIONS, ids[new - 1],
            make_pages(ids[100:new], lost[: new - 100]),
        )  # fmt: skip
    check_cosines(opened, ids[:100], vectors[:100])
    check_cosines(VectorFile.open(tmp_path / "old", DIMENSIONS, ids[99]), ids[:100], vectors[:100])
    check_cosines(VectorFile.open(tmp_path / "new", DIMENSIONS, ids[-1]), ids, vectors)
    assert ((tmp_path / "new").stat().st_nlink == 2) == has_links


def fail_to_link(*_: object) -> None:
    raise OSError("no hard links here")


def test_a_file_with_another_header_or_size_is_ignored(tmp_path: Path) -> None:
    file, ids, vectors = tmp_path / "v", list(range(1, 101)), draw(100)
    write(file, ids, vectors, last_id=120)
    content = file.read_bytes()
    assert VectorFile.open(file, DIMENSIONS, 120) is not None
    assert VectorFile.open(file, DIMENSIONS, 121) is None
    assert VectorFile.open(file, DIMENSIONS + 1, 100) is None
    assert VectorFile.open(tmp_path / "missing", DIMENSIONS, 100) is None
    file.write_bytes(b"X" + content[1:])
    assert VectorFile.open(file, DIMENSIONS, 100) is None
    for size in (0, 10, 64, len(content) - 1):
        file.write_bytes(content[:size])
        assert VectorFile.open(file, DIMENSIONS, 120) is None


@pytest.mark.parametrize("dimensions", [32, 33, 35])
def test_no_damaged_row_is_used(tmp_path: Path, dimensions: int) -> None:
    """Any changed byte makes a row invalid; all other rows stay valid."""
    file, ids = tmp_path / "v", np.arange(1, 6)
    vectors = draw(5, dimensions=dimensions)
    vector_file.write_vector_file(file, dimensions, 1, 5, make_pages(ids.tolist(), vectors))
    content = file.read_bytes()
    row_bytes = (len(content) - vector_file.HEADER_BYTES) // 5
    start = vector_file.HEADER_BYTES + 2 * row_bytes
    damaged = [
        content[: start + n] + bytes([content[start + n] ^ 64]) + content[start + n + 1 :]
        for n in range(row_bytes)
    ]
    previous_row = content[start - row_bytes : start]
    for row in (bytes(row_bytes), previous_row):
        damaged.append(content[:start] + row + content[start + row_bytes :])
    for number, data in enumerate(damaged):
        file.write_bytes(data)
        opened = VectorFile.open(file, dimensions, 5)
        assert opened is not None
        (near, _), missing = opened.select_nearest(vectors[:1], ids, 5)
        assert (near.tolist(), missing.tolist()) == ([1, 2, 4, 5], [3])
        assert opened.has_damage() == (number != row_bytes)  # Zeros are a hole.
        assert opened.count_damaged_rows(make_pages(ids.tolist(), vectors)) == 1


def test_vectors_of_other_norms_are_not_missed(tmp_path: Path) -> None:
    """An import takes vectors whose norm is almost 1; their products mislead by that."""
    rng = np.random.default_rng(1)
    vectors = draw(2000)
    vectors *= 0.2  # cosines near one another
    vectors[:, 0] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors *= rng.uniform(0.991, 1.009, (2000, 1)).astype(np.float32)
    ids = list(range(1, 2001))
    write(tmp_path / "v", ids, vectors)
    check_cosines(VectorFile.open(tmp_path / "v", DIMENSIONS, 2000), ids, vectors)


def test_a_vector_of_a_wrong_length_is_left_out(tmp_path: Path) -> None:
    vectors = draw(3)
    ((ids, blobs),) = make_pages([1, 2, 3], vectors)
    blobs[1] = b"1234"
    vector_file.write_vector_file(tmp_path / "v", DIMENSIONS, 1, 3, [(ids, blobs)])
    opened = VectorFile.open(tmp_path / "v", DIMENSIONS, 3)
    assert opened is not None
    (near, _), missing = opened.select_nearest(vectors[:1], np.array(ids), 3)
    assert (near.tolist(), missing.tolist()) == ([1, 3], [2])


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog.open(tmp_path / "catalog.sqlite3", create=True)


def embed(catalog: Catalog, collection: Collection, vectors: np.ndarray) -> None:
    first = catalog.get_embeddings(collection).read_extent().last_id
    with catalog.write_transaction():
        hashes = [f"{collection.id}{number:063x}" for number, _ in enumerate(vectors, first + 1)]
        info = PictureInfo(format="made", width=1, height=1)
        ids = catalog.writer.save_images(dict.fromkeys(hashes, info))
        packed = zip(hashes, map(pack_vector, vectors), strict=True)
        catalog.writer.save_embeddings(collection, {ids[sha]: blob for sha, blob in packed})


def test_an_index_and_its_vectors_are_saved_and_replaced_together(
    tmp_path: Path, catalog: Catalog
) -> None:
    """Two collections with ids between one another; the catalog is not read for their queries."""
    collections = [
        catalog.add_collection(name, "synthetic", "1", DIMENSIONS, "{}") for name in ("a", "b")
    ]
    for seed in range(4):
        for collection in collections:
            embed(catalog, collection, draw(300, seed=10 * collection.id + seed))
    sync = FaissSync(tmp_path, catalog, POLICY)
    for _ in range(2):
        for collection in collections:
            list(sync.save_index(collection))
            saved = catalog.get_embeddings(collection).read_saved_index()
            files = sorted(file.name for file in tmp_path.glob(f"collection-{collection.id}-*"))
            assert files == sorted([saved.file, Path(str(saved.file)).stem + ".vectors"])
            check_search(tmp_path, catalog, collection)
            embed(catalog, collection, draw(40, seed=100 + collection.id))


def check_search(folder: Path, catalog: Catalog, collection: Collection) -> None:
    """Filtered queries return the same with and without the vector file; others no worse hits."""
    saved = catalog.get_embeddings(collection).read_saved_index()
    index = FaissSync(folder, catalog, POLICY).open_index(collection)
    assert index._vectors is not None
    index._fetch = lambda ids: pytest.fail("the catalog was read")
    others = FaissSync(folder, catalog, POLICY)
    plain = others.open_index(collection)
    plain._vectors = None
    ids = catalog.get_embeddings(collection).read_ids(saved.last_id)
    for query in draw(5, seed=5):
        check_no_worse(index.search(query, 10), plain.search(query, 10))
        for scope in (ids[::3], ids[:4], ids[:0]):
            hits, expected = index.search(query, 10, scope), plain.search(query, 10, scope)
            assert [number for number, _ in hits] == [number for number, _ in expected]
            check_no_worse(hits, expected)
            check_no_worse(expected, hits)


def check_no_worse(hits: list[tuple[int, float]], others: list[tuple[int, float]]) -> None:
    """With a vector file, more candidates are ranked; the cosines of the same id are equal."""
    cosines = dict(others)
    for (number, cosine), (_, other) in zip(hits, others, strict=True):
        assert cosine >= other - MAX_DIFFERENCE
        assert cosine == pytest.approx(cosines.get(number, cosine), abs=MAX_DIFFERENCE)


def lose_file(file: Path) -> None:
    file.unlink()


def cut_file(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def damage_file(file: Path) -> None:
    """Change one byte of each row."""
    data = bytearray(file.read_bytes())
    for start in range(vector_file.HEADER_BYTES, len(data), HEAD_BYTES + 2 * DIMENSIONS):
        data[start + HEAD_BYTES] ^= 1
    file.write_bytes(data)


@pytest.fixture
def collection(catalog: Catalog) -> Collection:
    added = catalog.add_collection("a", "synthetic", "1", DIMENSIONS, "{}")
    embed(catalog, added, draw(1200))
    return added


def search(folder: Path, catalog: Catalog, collection: Collection) -> list[tuple[int, float]]:
    index = FaissSync(folder, catalog, POLICY).open_index(collection)
    return index.search(draw(1, seed=3)[0], 10)


@pytest.mark.parametrize("spoil", [lose_file, cut_file, damage_file])
def test_a_lost_or_damaged_vector_file_is_written_again(
    tmp_path: Path, catalog: Catalog, collection: Collection, spoil: Callable[[Path], None]
) -> None:
    """By the next run, as for a library of an older version. Until then, the catalog answers."""
    sync = FaissSync(tmp_path, catalog, POLICY)
    list(sync.save_index(collection))
    saved = catalog.get_embeddings(collection).read_saved_index()
    file = get_vector_file(tmp_path / str(saved.file))
    expected = search(tmp_path, catalog, collection)
    spoil(file)
    check_no_worse(expected, search(tmp_path, catalog, collection))
    list(sync.save_index(collection))
    assert catalog.get_embeddings(collection).read_saved_index() == saved
    check_search(tmp_path, catalog, collection)


@pytest.mark.parametrize("fault", ["full", "failing"])
def test_an_index_is_saved_without_its_vectors(
    tmp_path: Path,
    catalog: Catalog,
    collection: Collection,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the disk cannot hold them, searches read the catalog; a later run writes them."""
    with monkeypatch.context() as patch:
        if fault == "full":
            usage = SimpleNamespace(free=2 * DIMENSIONS * 1200 - 1)
            patch.setattr(save_vectors.shutil, "disk_usage", lambda folder: usage)
        else:
            patch.setattr(vector_file, "_write_rows", fail_to_link)
        list(FaissSync(tmp_path, catalog, POLICY).save_index(collection))
    saved = catalog.get_embeddings(collection).read_saved_index()
    assert [file.name for file in tmp_path.glob("collection-*")] == [saved.file]
    expected = search(tmp_path, catalog, collection)
    list(FaissSync(tmp_path, catalog, POLICY).save_index(collection))
    check_no_worse(search(tmp_path, catalog, collection), expected)
    check_search(tmp_path, catalog, collection)


def test_an_exact_index_has_no_vector_file(tmp_path: Path, catalog: Catalog) -> None:
    collection = catalog.add_collection("a", "synthetic", "1", DIMENSIONS, "{}")
    embed(catalog, collection, draw(100))
    list(FaissSync(tmp_path, catalog, POLICY).save_index(collection))
    assert not list(tmp_path.glob("*.vectors"))
