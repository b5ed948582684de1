"""The FAISS index follows the catalog through changes of kind, saves, crashes and damage."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from sqlite_utils import Database
from support.library import FakeEngines, RunCommand
from support.library import index_folder as index_folder
from support.sample_pictures import save_picture
from support.vectors import DIMENSIONS, SMALL_POLICY, CatalogChanges, FilledCatalog

from searchapp.catalog import Catalog
from searchapp.catalog.embeddings import CollectionEmbeddings
from searchapp.catalog.migrations import MIGRATIONS
from searchapp.errors import LibraryError
from searchapp.library import Library
from searchapp.types import (
    EmbeddingExtent,
    IndexBuilding,
    IndexOptions,
    Query,
    SearchOptions,
)
from searchapp.vectors import VectorIndex, pack_vector, unpack_vectors
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.background_sync import BackgroundSync
from searchapp.vectors.faiss_files.choose_index import IndexPolicy
from searchapp.vectors.faiss_files.faiss_index import FaissIndex
from searchapp.vectors.indexes import Indexes

IVF = "IVF8,SQ8"
OLD_AUTO = "RR,IVF8_HNSW32,RaBitQ"  # of earlier versions


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FilledCatalog]:
    made = FilledCatalog(tmp_path)
    yield made
    made.close()


def same_as_brute_force(store: FilledCatalog, index: VectorIndex) -> None:
    live = store.live_ids()
    assert sorted(index.ids.tolist()) == live.tolist()
    assert len(index) == len(live)
    index.search_effort = 1000.0  # Scans every list, so only a wrong index differs.
    query = np.random.default_rng(9).normal(size=DIMENSIONS).astype(np.float32)
    query /= np.linalg.norm(query)
    for among in (None, live[::3]):
        found = [id for id, _ in index.search(query, 10, among)]
        assert found == store.rank_exactly(query, live if among is None else among)[:10]


class Machine(CatalogChanges):
    """Run catalog changes, saves, crashes and reopenings in random order."""

    @initialize()
    def begin(self) -> None:
        self.store = FilledCatalog(Path(self.temporary.name))
        self.indexes = Indexes(self.store.folder, self.store.catalog, SMALL_POLICY)

    @rule()
    def save(self) -> None:
        self.store.save_index()
        assert (
            self.store.embeddings.read_saved_index().extent == self.store.embeddings.read_extent()
        )

    @rule(
        where=st.sampled_from(
            [
                (FaissIndex, "write"),
                (Path, "rename"),
                (CollectionEmbeddings, "set_saved_index"),
                (Path, "unlink"),
            ]
        )
    )
    def crash_in_save(self, where: tuple[type, str]) -> None:
        """Stop a save at one of its steps, without any cleanup."""
        with (
            mock.patch.object(*where, side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            self.store.save_index()
            raise KeyboardInterrupt  # The save ended before the crash.

    @rule(kind=st.sampled_from(["auto", "exact", IVF, "HNSW8", OLD_AUTO]))
    def want(self, kind: str) -> None:
        self.store.embeddings.set_requested_kind(kind)

    @rule()
    def reopen(self) -> None:
        self.store.catalog.close()
        self.store.catalog = Catalog.open(self.store.catalog_file)
        self.indexes = Indexes(self.store.folder, self.store.catalog, SMALL_POLICY)

    @rule()
    def break_file(self) -> None:
        if file := self.store.embeddings.read_saved_index().file:
            (self.store.folder / file).write_bytes(b"broken")
            self.reopen()

    @invariant()
    def is_in_step(self) -> None:
        if hasattr(self, "store"):
            same_as_brute_force(self.store, self.indexes.open_index(self.store.collection))


Machine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestAnyOrder = Machine.TestCase


def on_disk(store: FilledCatalog) -> object:
    """Return the FAISS index in the file, whatever kind the catalog records."""
    file = store.embeddings.read_saved_index().file
    assert file is not None
    index = faiss.read_index(str(store.folder / file))
    if isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index


@pytest.mark.parametrize(
    ("kind", "type"),
    [
        ("exact", faiss.IndexFlat),
        (choose_index.choose_trained_kind(300, DIMENSIONS), faiss.IndexIVFPQFastScan),
        (IVF, faiss.IndexIVFScalarQuantizer),
        ("HNSW8,SQ8", faiss.IndexHNSWSQ),
        ("SQfp16", faiss.IndexScalarQuantizer),
    ],
)
def test_the_file_has_the_recorded_kind(store: FilledCatalog, kind: str, type: type) -> None:
    """The test reads the file itself. A trained index is used even while it is empty."""
    store.add_images(300)
    store.embeddings.set_requested_kind(kind)
    store.save_index()
    assert isinstance(on_disk(store), type)
    assert store.embeddings.read_saved_index().kind == kind
    same_as_brute_force(store, store.open_index())


def test_auto_changes_to_a_trained_index_and_back(store: FilledCatalog) -> None:
    """Back to exact only when half of the vectors are gone."""
    store.add_images(40)
    assert store.save_index() == []
    assert isinstance(on_disk(store), faiss.IndexFlat)
    store.add_images(1)
    (making,) = store.save_index()
    assert making == IndexBuilding(41, choose_index.choose_trained_kind(41, DIMENSIONS))
    assert isinstance(on_disk(store), faiss.IndexIVFPQFastScan)
    store.delete_embeddings(store.live_ids()[:15].tolist())
    store.save_index()
    assert isinstance(on_disk(store), faiss.IndexIVFPQFastScan)
    store.delete_embeddings(store.live_ids()[:10].tolist())
    store.save_index()
    assert isinstance(on_disk(store), faiss.IndexFlat)
    same_as_brute_force(store, store.open_index())


def test_an_index_is_trained_again_when_its_vectors_double(store: FilledCatalog) -> None:
    """Until then, new vectors are added without a training."""
    store.add_images(60)
    store.save_index()
    store.add_images(60)
    assert store.save_index() == []
    assert store.embeddings.read_saved_index().trained == 60
    store.add_images(1)
    assert [making.vectors for making in store.save_index()] == [121]
    assert store.embeddings.read_saved_index().trained == 121
    same_as_brute_force(store, store.open_index())


def test_nothing_is_written_when_nothing_changed(store: FilledCatalog) -> None:
    """A few rows are enough to find that out; no ids are read."""
    store.add_images(60)
    store.save_index()
    before = store.embeddings.read_saved_index()
    with mock.patch.object(CollectionEmbeddings, "read_ids", side_effect=AssertionError):
        assert store.save_index() == []
        store.open_index()
    assert store.embeddings.read_saved_index() == before


def test_only_new_vectors_are_read(store: FilledCatalog) -> None:
    """Adding never lists all ids, and never reads vectors that the file contains."""
    store.add_images(60)
    store.save_index()
    store.add_images(5)
    with (
        mock.patch.object(CollectionEmbeddings, "read_ids", side_effect=AssertionError),
        mock.patch.object(
            CollectionEmbeddings,
            "read_vectors_after",
            autospec=True,
            side_effect=CollectionEmbeddings.read_vectors_after,
        ) as after,
    ):
        assert len(store.open_index()) == 65
        store.save_index()
    assert {call.args[1:] for call in after.call_args_list} == {(60, 65)}


def test_a_factory_string_waits_for_enough_vectors(store: FilledCatalog) -> None:
    """With too few vectors to train it, the index is exact until they have doubled."""
    store.embeddings.set_requested_kind("IVF64,SQ8")
    store.add_images(50)
    store.save_index()
    assert isinstance(on_disk(store), faiss.IndexFlat)
    store.add_images(10)
    assert store.save_index() == []
    store.add_images(50)
    assert store.save_index() != []
    assert isinstance(on_disk(store), faiss.IndexIVFScalarQuantizer)


def test_an_index_that_cannot_remove_is_rebuilt(store: FilledCatalog) -> None:
    """HNSW graphs cannot remove vectors."""
    store.embeddings.set_requested_kind("HNSW8,SQ8")
    store.add_images(100)
    store.save_index()
    store.delete_embeddings(store.live_ids()[:7].tolist())
    same_as_brute_force(store, store.open_index())
    assert store.save_index() != []
    same_as_brute_force(store, store.open_index())


def test_a_trained_file_is_mapped(store: FilledCatalog) -> None:
    """A search reads only the parts of the file that it needs."""
    store.add_images(100)
    store.save_index()
    index = store.open_index()  # It keeps the FAISS objects below alive.
    ivf = index._base._ivf
    lists = faiss.downcast_InvertedLists(ivf.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)
    assert lists.read_only


@pytest.mark.parametrize("kind", ["exact", "HNSW8,SQ8", IVF])
def test_opening_reads_a_file_once_and_mapped(store: FilledCatalog, kind: str) -> None:
    """For every kind, opening does not load the vectors."""
    store.add_images(100)
    store.embeddings.set_requested_kind(kind)
    store.save_index()
    with mock.patch.object(faiss, "read_index", side_effect=faiss.read_index) as read:
        index = store.open_index()
    ((_, flags),) = [call.args for call in read.call_args_list]
    assert flags in (faiss.IO_FLAG_MMAP, faiss.IO_FLAG_MMAP_IFC)
    same_as_brute_force(store, index)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_truncated_trained_file_is_not_mapped(store: FilledCatalog, keep: float) -> None:
    """A search rebuilds the index in memory, and the next run rebuilds the file."""
    store.add_images(100)
    store.save_index()
    file = store.folder / str(store.embeddings.read_saved_index().file)
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    same_as_brute_force(store, store.open_index())
    store.save_index()
    assert isinstance(on_disk(store), faiss.IndexIVFPQFastScan)
    same_as_brute_force(store, store.open_index())


def test_a_search_finds_k_hits_if_k_match(store: FilledCatalog) -> None:
    """Also for small and distant selections, with and without the exact comparison."""
    store.add_images(500)
    store.save_index()
    live = store.live_ids()
    index = store.open_index()
    query = np.eye(DIMENSIONS, dtype=np.float32)[0]
    farthest = np.sort(np.array(store.rank_exactly(query, live)[-12:]))
    for few in (2000, 0):
        with mock.patch("searchapp.vectors.faiss_files.index.MAX_EXACT_COMPARISONS", few):
            found = [id for id, _ in index.search(query, 10, farthest)]
            assert found == store.rank_exactly(query, farthest)[:10]
            assert len(index.search(query, 10, live[:1])) == 1
            assert index.search(query, 10, live[:0]) == []


def test_scores_are_those_of_the_stored_vectors(store: FilledCatalog) -> None:
    """A compressed index finds candidates; the catalog's vectors give the cosines."""
    store.add_images(200)
    store.save_index()
    ((_, blobs),) = store.catalog.read_vectors([17])
    (vector,) = unpack_vectors(blobs, DIMENSIONS)
    (first, *_) = store.open_index().search(vector, 5)
    assert first == (17, pytest.approx(1.0, abs=1e-6))


def test_background_sync_saves_during_a_run(store: FilledCatalog) -> None:
    """In the background when a save is due; the rest at the end."""
    with BackgroundSync(store.folder, store.catalog, store.collection, SMALL_POLICY) as keeper:
        store.add_images(9)
        keeper.start_if_due()
        assert keeper._thread is None
        store.add_images(1)
        keeper.start_if_due()
        assert keeper._thread is not None
        keeper._thread.join()
        assert store.embeddings.read_saved_index().count == 10
        store.add_images(100)
        keeper.start_if_due()
        store.add_images(3)
        list(keeper.finish())
    assert store.embeddings.read_saved_index().count == 113
    assert isinstance(on_disk(store), faiss.IndexIVFPQFastScan)


def test_a_new_collection_is_not_trained_with_its_first_vectors(store: FilledCatalog) -> None:
    """A requested kind waits for the end of the run, or for min_unsaved_vectors."""
    store.embeddings.set_requested_kind(IVF)
    with BackgroundSync(
        store.folder, store.catalog, store.collection, IndexPolicy(min_unsaved_vectors=50)
    ) as keeper:
        store.add_images(49)
        keeper.start_if_due()
        assert keeper._thread is None
        list(keeper.finish())
        assert store.embeddings.read_saved_index().trained == 49
        store.embeddings.set_requested_kind("exact")
        store.add_images(1)
        keeper.start_if_due()
        assert keeper._thread is not None


def test_leaving_background_sync_stops_its_save(store: FilledCatalog) -> None:
    """The training stops, and the old file stays."""
    store.add_images(30)
    store.save_index()
    before = store.embeddings.read_saved_index()
    store.add_images(100)
    keeper = BackgroundSync(store.folder, store.catalog, store.collection, SMALL_POLICY)
    keeper._ended.set()
    with mock.patch.object(FaissIndex, "write", side_effect=AssertionError) as write:
        with keeper:
            keeper.start_if_due()
            assert keeper._thread is not None
        assert keeper._failed  # by SyncCancelled
        write.assert_not_called()
    assert store.embeddings.read_saved_index() == before
    assert [file.name for file in store.folder.glob("collection-*")] == [before.file]


def test_a_failed_background_save_raises_at_the_end(store: FilledCatalog) -> None:
    """The background tries once; finish() tries again and raises the error."""
    store.add_images(50)
    with (
        mock.patch.object(FaissIndex, "write", side_effect=OSError("disk full")) as write,
        BackgroundSync(store.folder, store.catalog, store.collection, SMALL_POLICY) as keeper,
    ):
        for _ in range(3):
            keeper.start_if_due()
            if keeper._thread:
                keeper._thread.join()
        assert write.call_count == 1
        with pytest.raises(LibraryError, match=r"cannot be saved: disk full\. "):
            list(keeper.finish())


def test_decisions_about_the_index_are_logged(
    store: FilledCatalog, caplog: pytest.LogCaptureFixture
) -> None:
    """Why an index is built, how it is trained, and why a file cannot be used."""
    caplog.set_level(logging.INFO, "searchapp.vectors")
    store.add_images(60)
    kind = choose_index.choose_trained_kind(60, DIMENSIONS)
    store.save_index()
    assert (
        f"Building the index {kind} of the collection c: it has 60 vectors; "
        "an exact index is for at most 40"
    ) in caplog.text
    assert f"Training the index {kind} with 60 of 60 vectors" in caplog.text
    file = store.folder / str(store.embeddings.read_saved_index().file)
    assert (
        f"Saved the index {kind} of the collection c: 60 vectors in the file {file.name} ("
        in caplog.text
    )
    file.write_bytes(b"broken")
    store.open_index()
    assert (
        f"Cannot use the index file {file.name} of the collection c: it has 6 bytes, not"
        in caplog.text
    )
    caplog.clear()
    store.embeddings.set_requested_kind("IVF64,SQ8")
    store.save_index()
    assert "--index IVF64,SQ8 was requested" in caplog.text
    assert (
        "Using an exact index instead of the index IVF64,SQ8: 60 vectors are too few" in caplog.text
    )


def test_an_older_library_keeps_its_vectors(tmp_path: Path) -> None:
    """Its embeddings are counted, and its index is built again."""
    connection = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    old = Database(connection)
    old.execute("pragma application_id = 0x53726368")
    MIGRATIONS.apply(old, stop_before="m004_index_state")
    old.execute("insert into images (id, sha256, format, width, height) values (1, 'x', 'P', 1, 1)")
    old.execute(
        "insert into collections (name, model, revision, dimensions, settings, created_at,"
        " index_file, index_count, index_last_id) values ('c', 'm', '1', 16, '{}', '', 'f', 1, 7)"
    )
    vector = pack_vector(np.eye(16, dtype=np.float32)[0])
    old.execute("insert into embeddings values (7, 1, 1, ?)", [vector])
    connection.close()
    catalog = Catalog.open(tmp_path / "old.db")
    embedded = catalog.get_embeddings(catalog.list_collections()[0])
    assert embedded.read_extent() == EmbeddingExtent(1, 7, 0)
    assert embedded.read_saved_index().file is None
    catalog._db.execute("delete from embeddings")
    assert embedded.read_extent() == EmbeddingExtent(0, 7, 1)
    catalog.close()


# Through the library and the command line


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(60):
        save_picture(
            tmp_path / f"photos/{number:02}.png", f"hsl({number * 6}, 90%, 50%)", mark=number + 1
        )
    return tmp_path / "photos"


def test_a_collection_answers_during_a_rebuild(
    many: Path, tmp_path: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """At every event of a run, another reader finds all pictures embedded so far."""
    folder = tmp_path / "library"
    policy = IndexPolicy(max_exact_vectors=20, min_unsaved_vectors=8)
    options = IndexOptions(model=str(model), batch_size=8)
    with Library.open(folder, create=True, start=fake_engines, policy=policy) as writer:
        list(writer.index([many], IndexOptions(model=str(model), limit=10)))
        with Library.open(folder, start=fake_engines, policy=policy) as reader:
            for _ in writer.index([many], options):
                held = reader.info().collections[0].images
                assert len(reader.search(Query("red"), SearchOptions(count=99))) >= 10
                assert held >= 10
            assert len(reader.search(Query("red"), SearchOptions(count=99))) == 60
        (info,) = writer.info().collections
    assert info.index.startswith("RR,IVF")
    assert (info.index_images, info.images) == (60, 60)


def test_the_kind_is_remembered_and_shown(run: RunCommand, many: Path, model: Path) -> None:
    """Later runs keep --index and info shows it. No picture is embedded twice."""
    assert run("index", many, "--model", model, "--index", IVF).exit_code == 0
    assert f", {IVF}, trained with 60 images" in run("info").output
    save_picture(many / "new.png", "red", mark=99)
    run("index", many)
    assert f", {IVF}, trained with 60 images" in run("info").output
    result = run("index", many, "--index", "exact")
    assert "61 unchanged" in result.output
    assert ", exact\n" in run("info").output


@pytest.mark.parametrize("wrong", ["IVF12,Foo", "nonsense", "PQ7", "IVFx,SQ8"])
def test_a_wrong_factory_string_is_an_error(
    opened: Library, many: Path, model: Path, wrong: str, fake_engines: FakeEngines
) -> None:
    """Raised before an engine starts and before a collection is created."""
    with pytest.raises(
        LibraryError, match=f"FAISS cannot build an index '{wrong}' for 48 dimensions"
    ):
        index_folder(opened, many, model, index=wrong)
    assert not fake_engines.started_engines
    assert opened.info().collections == ()
