"""Mapped lists of FastScan indexes give the same results as lists in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pytest
from support.vectors import DIMENSIONS

from searchapp.vectors.faiss_files import packed_lists
from searchapp.vectors.faiss_files.checksums import ChecksumWriter, find_content_end
from searchapp.vectors.faiss_files.faiss_index import FaissIndex, RemovalUnsupportedError

LISTS = 8
KINDS = (f"IVF{LISTS}_HNSW32,PQ4x4fs", f"RR,IVF{LISTS},PQ4x4fs")


def draw(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_index(kind: str = KINDS[0], count: int = 500) -> FaissIndex:
    index = FaissIndex.create_empty(kind, DIMENSIONS)
    index.train(draw(200), lambda: None)
    if count:
        index.add(np.arange(1, count + 1), draw(count))
    return index


def read(file: Path, *, writable: bool = False) -> FaissIndex:
    index = FaissIndex.read(file, DIMENSIONS, writable=writable)
    assert index is not None
    return index


def is_mapped(index: FaissIndex) -> bool:
    return isinstance(faiss.downcast_InvertedLists(index._ivf.invlists), faiss.OnDiskInvertedLists)


def check_equal(index: FaissIndex, expected: FaissIndex) -> None:
    assert len(index) == len(expected)
    ids = np.sort(expected.ids)
    assert np.array_equal(np.sort(index.ids), ids)
    for query in draw(5, seed=9)[:, None]:
        for selector in (None, faiss.IDSelectorBatch(ids[::3])):
            for count in (1, 10, 50):
                (found,) = index.search_each(query, count, selector, LISTS)
                (others,) = expected.search_each(query, count, selector, LISTS)
                for part, other in zip(found, others, strict=True):
                    assert np.array_equal(part, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 500])
def test_a_mapped_index_finds_what_the_index_in_memory_finds(
    tmp_path: Path, kind: str, count: int
) -> None:
    """Some lists are empty, and the last block of a list is partly filled."""
    index = make_index(kind, count)
    file = tmp_path / "index.faiss"
    index.write(file)
    mapped = read(file)
    assert is_mapped(mapped)
    check_equal(mapped, index)
    check_equal(read(file, writable=True), index)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_random_changes_leave_the_right_codes(tmp_path: Path, kind: str, seed: int) -> None:
    """As in a new index; FAISS moves codes between blocks when it removes vectors."""
    rng = np.random.default_rng(seed)
    index, file = make_index(kind, count=0), tmp_path / "index.faiss"
    vectors, live = draw(2000, seed), set[int]()
    for start in range(0, 2000, 200):
        ids = np.arange(start, start + int(rng.integers(1, 200)))
        index.add(ids, vectors[ids])
        live.update(ids.tolist())
        removed = rng.choice(sorted(live), int(rng.integers(len(live))), replace=False)
        index.remove(removed)
        live.difference_update(removed.tolist())
        index.write(file)
        index = read(file, writable=True)
    expected = make_index(kind, count=0)
    ids = np.array(sorted(live))
    expected.add(ids, vectors[ids])
    mapped = read(file)
    assert np.sort(mapped.ids).tolist() == ids.tolist()
    for query in draw(5, seed=9)[:, None]:
        # Vectors with the same code have the same score, and are found in any order.
        (scores,) = mapped.search_each(query, len(ids), None, LISTS)
        (others,) = expected.search_each(query, len(ids), None, LISTS)
        assert dict(zip(*scores, strict=True)) == dict(zip(*others, strict=True))


@pytest.mark.parametrize("kind", [f"RR,IVF{LISTS},RaBitQfs", "PQ4x4fs"])
def test_other_packed_codes_are_not_removed(kind: str) -> None:
    """FAISS leaves the old codes; so searchapp builds such an index again."""
    with pytest.raises(RemovalUnsupportedError):
        make_index(kind).remove(np.arange(5))


def test_opening_reads_no_lists(tmp_path: Path) -> None:
    """FAISS receives what is in front of the lists, and the table says where they are."""
    small, large = tmp_path / "small.faiss", tmp_path / "large.faiss"
    read_bytes = []
    for file, count in ((small, 10), (large, 5000)):
        make_index(count=count).write(file)
        with file.open("rb", buffering=0) as opened:
            counted = CountedReads(opened)
            assert packed_lists.read_mapped(counted, str(file)) is not None  # type: ignore[arg-type]
            read_bytes.append(counted.total_bytes)
    assert large.stat().st_size > 5 * small.stat().st_size
    assert read_bytes[0] == read_bytes[1]


class CountedReads:
    """An open file that counts the bytes that are read from it."""

    def __init__(self, opened: object) -> None:
        self._opened, self.total_bytes = opened, 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._opened.read(size)  # type: ignore[attr-defined]
        self.total_bytes += len(data)
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._opened, name)


def drop_table(content: bytes) -> bytes:
    """Return the index as earlier versions wrote it."""
    return content[: -packed_lists.FOOTER.size - packed_lists.ID_BYTES * LISTS]


def change_footer(position: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[len(content) - packed_lists.FOOTER.size + position] ^= 0x7F
        return bytes(changed)

    return change


def make_list_long(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(content) - packed_lists.FOOTER.size - 2] = 0x7F
    return bytes(changed)


@pytest.mark.parametrize(
    "change", [drop_table, make_list_long, *map(change_footer, (0, 7, 8, 16, 23, 31))]
)
def test_a_file_without_a_right_table_is_not_mapped(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    """FAISS reads it into memory."""
    index, file = make_index(), tmp_path / "index.faiss"
    index.write(file)
    with file.open("rb") as opened:
        content = file.read_bytes()[: find_content_end(opened)]
    for with_checksums in (True, False):
        with file.open("wb") as opened:
            writer = ChecksumWriter(opened)
            writer.write(change(content))
            if with_checksums:
                writer.finish()
        opened_index = read(file)
        assert not is_mapped(opened_index)
        check_equal(opened_index, index)


def test_a_name_that_is_not_utf_8_is_mapped(tmp_path: Path) -> None:
    index, file = make_index(), tmp_path / "caf\udce9.faiss"
    index.write(file)
    mapped = read(file)
    assert is_mapped(mapped)
    check_equal(mapped, index)
