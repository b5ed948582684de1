"""Checksums of FAISS files find damage that leaves the size as it was."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.vectors import DIMENSIONS, FilledCatalog

from searchapp.types import Fault
from searchapp.upkeep.check import LibraryCheck
from searchapp.vectors import VectorIndex
from searchapp.vectors.faiss_files import checksums
from searchapp.vectors.faiss_files.checksums import FOOTER, ChecksumWriter, find_damage

KINDS = ("exact", "RR,IVF8_HNSW32,RaBitQ", "IVF8_HNSW32,PQ4x4fs")


@pytest.fixture(params=KINDS)
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FilledCatalog]:
    made = FilledCatalog(tmp_path)
    made.embeddings.set_requested_kind(request.param)
    with made.catalog.write_transaction():
        made.add_images(120)
    made.save_index()
    assert made.embeddings.read_saved_index().kind == request.param
    yield made
    made.close()


def get_index_file(store: FilledCatalog) -> Path:
    (file,) = store.folder.glob("*.faiss")
    return file


def change_byte(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def list_faults(store: FilledCatalog, *, repair: bool = False) -> list[Fault]:
    return list(LibraryCheck(store.folder, store.catalog).find_faults(repair=repair))


def test_a_damaged_file_of_the_right_size_is_not_searched(store: FilledCatalog) -> None:
    """The vectors of the catalog answer, check reports the file, and a save writes it again."""
    file = get_index_file(store)
    assert find_damage(file, read_all=True) is None
    assert list_faults(store) == []
    index_bytes = file.stat().st_size - FOOTER.size - 4
    for position in (0, index_bytes // 3, index_bytes - 1):
        sound = file.read_bytes()
        change_byte(file, position)
        (fault,) = list_faults(store)
        assert f"{file.name} cannot be used: its content is damaged (after byte 0)" in fault.what
        live = store.live_ids()
        query = store.rng.normal(size=DIMENSIONS).astype("f4")
        index = store.open_index()
        index.search_effort = 1000.0
        assert [id for id, _ in index.search(query, 10)] == store.rank_exactly(query, live)[:10]
        file.write_bytes(sound)
    change_byte(file, index_bytes // 2)
    store.save_index()
    assert not file.exists()
    assert list_faults(store) == []


def test_check_repairs_a_damaged_file(store: FilledCatalog) -> None:
    change_byte(get_index_file(store), 1000)
    assert [fault.mended for fault in list_faults(store, repair=True)] == [True]
    assert list_faults(store) == []


def test_a_file_without_checksums_is_opened(store: FilledCatalog) -> None:
    """Earlier versions wrote the same files, without checksums."""
    file, saved = get_index_file(store), store.embeddings.read_saved_index()
    file.write_bytes(file.read_bytes()[: -FOOTER.size - 4])
    store.embeddings.set_saved_index(replace(saved, size=file.stat().st_size))
    assert find_damage(file, read_all=True) is None
    assert list_faults(store) == []
    for writable in (False, True):
        opened = VectorIndex.open(file, DIMENSIONS, kind=saved.kind, writable=writable)
        assert len(opened) == 120
    assert store.save_index() == []
    assert get_index_file(store) == file


def test_a_large_file_is_compared_in_parts_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends are always compared; a check compares everything."""
    monkeypatch.setattr(checksums, "BLOCK_BYTES", 10)
    monkeypatch.setattr(checksums, "MAX_BLOCKS_ON_OPEN", 2 * checksums.EDGE_BLOCKS)
    file, buffer = tmp_path / "index", io.BytesIO()
    writer = ChecksumWriter(buffer)
    for length in (0, 3, 7, 25, 10, 998, 1):
        writer.write(bytes(length))
    writer.finish()
    file.write_bytes(buffer.getvalue())
    assert find_damage(file, read_all=True) is None
    assert find_damage(file, read_all=False) is None
    for position, is_found in ((5, True), (500, False), (1040, True), (1043, True), (1060, True)):
        change_byte(file, position)
        assert find_damage(file, read_all=True)
        assert bool(find_damage(file, read_all=False)) == is_found
        change_byte(file, position)
    assert find_damage(tmp_path / "missing", read_all=True) == (
        "it cannot be read (No such file or directory)"
    )
