"""An index follows its catalogue, whatever happens: kinds, saves, crashes, drift."""

from __future__ import annotations

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
from support.library import Engines, Run
from support.library import index as index_folder
from support.pictures import draw
from support.vectors import DIMENSIONS, SMALL, Changes, Store

from searchapp.catalog import Catalog
from searchapp.catalog.embeddings import Embedded
from searchapp.catalog.migrations import MIGRATIONS
from searchapp.errors import LibraryError
from searchapp.library import Library
from searchapp.types import (
    Extent,
    IndexMaking,
    IndexOptions,
    Query,
    SearchOptions,
)
from searchapp.vectors import VectorIndex, pack, unpack
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.background_sync import Keeper
from searchapp.vectors.faiss_files.choose_index import Policy
from searchapp.vectors.faiss_files.index_types import Base
from searchapp.vectors.indexes import Indexes

IVF = "IVF8,SQ8"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def same_as_brute_force(store: Store, index: VectorIndex) -> None:
    live = store.live()
    assert sorted(index.ids.tolist()) == live.tolist()
    assert len(index) == len(live)
    index.effort = 1000.0  # looks everywhere: then only a wrong index differs
    query = np.random.default_rng(9).normal(size=DIMENSIONS).astype(np.float32)
    query /= np.linalg.norm(query)
    for among in (None, live[::3]):
        found = [id for id, _ in index.search(query, 10, among)]
        assert found == store.exact(query, live if among is None else among)[:10]


class Machine(Changes):
    """These, saves, crashes and reopenings, in any order."""

    @initialize()
    def begin(self) -> None:
        self.store = Store(Path(self.temporary.name))
        self.indexes = Indexes(self.store.folder, self.store.catalog, SMALL)

    @rule()
    def save(self) -> None:
        self.store.save()
        assert self.store.embedded.saved().extent == self.store.embedded.extent()

    @rule(
        where=st.sampled_from(
            [(Base, "write"), (Path, "rename"), (Embedded, "set_saved"), (Path, "unlink")]
        )
    )
    def crash_in_save(self, where: tuple[type, str]) -> None:
        """What comes after the crash is not run: neither are clean-ups."""
        with (
            mock.patch.object(*where, side_effect=KeyboardInterrupt),
            pytest.raises(KeyboardInterrupt),
        ):
            self.store.save()
            raise KeyboardInterrupt  # there was nothing to save

    @rule(kind=st.sampled_from(["auto", "exact", IVF, "HNSW8"]))
    def want(self, kind: str) -> None:
        self.store.embedded.want(kind)

    @rule()
    def reopen(self) -> None:
        self.store.catalog.close()
        self.store.catalog = Catalog.open(self.store.file)
        self.indexes = Indexes(self.store.folder, self.store.catalog, SMALL)

    @rule()
    def break_file(self) -> None:
        if file := self.store.embedded.saved().file:
            (self.store.folder / file).write_bytes(b"broken")
            self.reopen()

    @invariant()
    def is_in_step(self) -> None:
        if hasattr(self, "store"):
            same_as_brute_force(self.store, self.indexes.current(self.store.collection))


Machine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestAnyOrder = Machine.TestCase


def on_disk(store: Store) -> object:
    """Return what FAISS finds in the index file, whatever it is said to be."""
    file = store.embedded.saved().file
    assert file is not None
    index = faiss.read_index(str(store.folder / file))
    if isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index


@pytest.mark.parametrize(
    ("kind", "type"),
    [
        ("exact", faiss.IndexFlat),
        (choose_index.trained(300), faiss.IndexIVFRaBitQ),
        (IVF, faiss.IndexIVFScalarQuantizer),
        ("HNSW8,SQ8", faiss.IndexHNSWSQ),
        ("SQfp16", faiss.IndexScalarQuantizer),
    ],
)
def test_the_file_is_of_the_kind_it_is_said_to_be(store: Store, kind: str, type: type) -> None:
    """An empty trained index is not taken for none; what is on disk is asked, not a label."""
    store.add(300)
    store.embedded.want(kind)
    store.save()
    assert isinstance(on_disk(store), type)
    assert store.embedded.saved().kind == kind
    same_as_brute_force(store, store.opened())


def test_auto_changes_over_and_back(store: Store) -> None:
    """Exact while that is quick, trained beyond; back only when half is gone."""
    store.add(40)
    assert store.save() == []
    assert isinstance(on_disk(store), faiss.IndexFlat)
    store.add(1)
    (making,) = store.save()
    assert making == IndexMaking(41, choose_index.trained(41))
    assert isinstance(on_disk(store), faiss.IndexIVFRaBitQ)
    store.delete(store.live()[:15].tolist())
    store.save()
    assert isinstance(on_disk(store), faiss.IndexIVFRaBitQ)
    store.delete(store.live()[:10].tolist())
    store.save()
    assert isinstance(on_disk(store), faiss.IndexFlat)
    same_as_brute_force(store, store.opened())


def test_additions_do_not_train_until_they_are_many(store: Store) -> None:
    """Up to twice the vectors an index grows; beyond, it is trained anew."""
    store.add(60)
    store.save()
    store.add(60)
    assert store.save() == []
    assert store.embedded.saved().trained == 60
    store.add(1)
    assert [making.vectors for making in store.save()] == [121]
    assert store.embedded.saved().trained == 121
    same_as_brute_force(store, store.opened())


def test_nothing_is_written_when_nothing_changed(store: Store) -> None:
    """The file is the same, and only a row is read to know it."""
    store.add(60)
    store.save()
    before = store.embedded.saved()
    with mock.patch.object(Embedded, "ids", side_effect=AssertionError):
        assert store.save() == []
        store.opened()
    assert store.embedded.saved() == before


def test_new_vectors_alone_are_read(store: Store) -> None:
    """Adding never lists all ids, and never reads what is in the file."""
    store.add(60)
    store.save()
    store.add(5)
    with (
        mock.patch.object(Embedded, "ids", side_effect=AssertionError),
        mock.patch.object(Embedded, "after", autospec=True, side_effect=Embedded.after) as after,
    ):
        assert len(store.opened()) == 65
        store.save()
    assert [call.args[1:] for call in after.call_args_list] == [(60, 65), (60, 65)]


def test_a_factory_string_waits_for_enough_vectors(store: Store) -> None:
    """With too few to train it the index is exact; it changes when they have doubled."""
    store.embedded.want("IVF64,SQ8")
    store.add(50)
    store.save()
    assert isinstance(on_disk(store), faiss.IndexFlat)
    store.add(10)
    assert store.save() == []
    store.add(50)
    assert store.save() != []
    assert isinstance(on_disk(store), faiss.IndexIVFScalarQuantizer)


def test_an_index_that_cannot_remove_is_made_anew(store: Store) -> None:
    """HNSW graphs take nothing out."""
    store.embedded.want("HNSW8,SQ8")
    store.add(100)
    store.save()
    store.delete(store.live()[:7].tolist())
    same_as_brute_force(store, store.opened())
    assert store.save() != []
    same_as_brute_force(store, store.opened())


def test_a_trained_file_is_mapped(store: Store) -> None:
    """What a search does not look at is not read."""
    store.add(100)
    store.save()
    index = store.opened()  # which owns what is looked at here
    ivf = index._base._ivf
    lists = faiss.downcast_InvertedLists(ivf.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)
    assert lists.read_only


@pytest.mark.parametrize("kind", ["exact", "HNSW8,SQ8", IVF])
def test_opening_reads_a_file_once_and_mapped(store: Store, kind: str) -> None:
    """Whatever the kind: its vectors are not loaded to see what it is."""
    store.add(100)
    store.embedded.want(kind)
    store.save()
    with mock.patch.object(faiss, "read_index", side_effect=faiss.read_index) as read:
        index = store.opened()
    ((_, flags),) = [call.args for call in read.call_args_list]
    assert flags in (faiss.IO_FLAG_MMAP, faiss.IO_FLAG_MMAP_IFC)
    same_as_brute_force(store, index)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_a_truncated_trained_file_is_not_mapped(store: Store, keep: float) -> None:
    """It is made again in memory to search, and on disk by the next run."""
    store.add(100)
    store.save()
    file = store.folder / str(store.embedded.saved().file)
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    same_as_brute_force(store, store.opened())
    store.save()
    assert isinstance(on_disk(store), faiss.IndexIVFRaBitQ)
    same_as_brute_force(store, store.opened())


def test_k_answers_come_whenever_k_match(store: Store) -> None:
    """However few a filter leaves, and wherever they are; without the last resort, too."""
    store.add(500)
    store.save()
    live = store.live()
    index = store.opened()
    query = np.eye(DIMENSIONS, dtype=np.float32)[0]
    farthest = np.sort(np.array(store.exact(query, live)[-12:]))
    for few in (2000, 0):
        with mock.patch("searchapp.vectors.faiss_files.index.FEW", few):
            found = [id for id, _ in index.search(query, 10, farthest)]
            assert found == store.exact(query, farthest)[:10]
            assert len(index.search(query, 10, live[:1])) == 1
            assert index.search(query, 10, live[:0]) == []


def test_scores_are_those_of_the_stored_vectors(store: Store) -> None:
    """A compressed index gives candidates; the catalogue gives cosines."""
    store.add(200)
    store.save()
    ((_, blobs),) = store.catalog.vectors([17])
    (vector,) = unpack(blobs, DIMENSIONS)
    (first, *_) = store.opened().search(vector, 5)
    assert first == (17, pytest.approx(1.0, abs=1e-6))


def test_a_keeper_saves_during_a_run(store: Store) -> None:
    """In the background, when enough has come; the rest at the end."""
    with Keeper(store.folder, store.catalog, store.collection, SMALL) as keeper:
        store.add(9)
        keeper.tend()
        assert keeper._thread is None
        store.add(1)
        keeper.tend()
        assert keeper._thread is not None
        keeper._thread.join()
        assert store.embedded.saved().count == 10
        store.add(100)
        keeper.tend()
        store.add(3)
        list(keeper.finish())
    assert store.embedded.saved().count == 113
    assert isinstance(on_disk(store), faiss.IndexIVFRaBitQ)


def test_a_first_run_is_not_trained_with_its_first_few(store: Store) -> None:
    """A kind asked for waits for the end of the run, or for enough to be worth it."""
    store.embedded.want(IVF)
    with Keeper(store.folder, store.catalog, store.collection, Policy(save_every=50)) as keeper:
        store.add(49)
        keeper.tend()
        assert keeper._thread is None
        list(keeper.finish())
        assert store.embedded.saved().trained == 49
        store.embedded.want("exact")
        store.add(1)
        keeper.tend()
        assert keeper._thread is not None


def test_a_keeper_that_is_left_stops(store: Store) -> None:
    """Nobody waits for a training that nobody wants; the old file stays."""
    store.add(30)
    store.save()
    before = store.embedded.saved()
    store.add(100)
    keeper = Keeper(store.folder, store.catalog, store.collection, SMALL)
    keeper._ended.set()
    with mock.patch.object(Base, "write", side_effect=AssertionError) as write:
        with keeper:
            keeper.tend()
            assert keeper._thread is not None
        assert keeper._failed  # by Cancelled
        write.assert_not_called()
    assert store.embedded.saved() == before
    assert [file.name for file in store.folder.glob("collection-*")] == [before.file]


def test_a_failing_background_is_told_at_the_end(store: Store) -> None:
    """It is tried once, and what went wrong is raised where somebody hears it."""
    store.add(50)
    with (
        mock.patch.object(Base, "write", side_effect=OSError("disk full")) as write,
        Keeper(store.folder, store.catalog, store.collection, SMALL) as keeper,
    ):
        for _ in range(3):
            keeper.tend()
            if keeper._thread:
                keeper._thread.join()
        assert write.call_count == 1
        with pytest.raises(LibraryError, match="cannot be saved: disk full; "):
            list(keeper.finish())


def test_an_older_library_keeps_its_vectors(tmp_path: Path) -> None:
    """Its embeddings are counted, and its index is made once more."""
    connection = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    old = Database(connection)
    old.execute("pragma application_id = 0x53726368")
    MIGRATIONS.apply(old, stop_before="m004_index_state")
    old.execute("insert into images (id, sha256, format, width, height) values (1, 'x', 'P', 1, 1)")
    old.execute(
        "insert into collections (name, model, revision, dimensions, settings, created_at,"
        " index_file, index_count, index_last_id) values ('c', 'm', '1', 16, '{}', '', 'f', 1, 7)"
    )
    vector = pack(np.eye(16, dtype=np.float32)[0])
    old.execute("insert into embeddings values (7, 1, 1, ?)", [vector])
    connection.close()
    catalog = Catalog.open(tmp_path / "old.db")
    embedded = catalog.embedded(catalog.collections()[0])
    assert embedded.extent() == Extent(1, 7, 0)
    assert embedded.saved().file is None
    catalog._db.execute("delete from embeddings")
    assert embedded.extent() == Extent(0, 7, 1)
    catalog.close()


# Through the library and the command line


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(60):
        draw(tmp_path / f"photos/{number:02}.png", f"hsl({number * 6}, 90%, 50%)", mark=number + 1)
    return tmp_path / "photos"


def test_a_collection_answers_while_it_changes_over(
    many: Path, tmp_path: Path, model: Path, fake_engines: Engines
) -> None:
    """At every event of a run another reader finds all that is embedded by then."""
    folder = tmp_path / "library"
    policy = Policy(exact_up_to=20, save_every=8)
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


def test_the_kind_is_remembered_and_shown(run: Run, many: Path, model: Path) -> None:
    """--index once; info tells it, and a later run keeps it. No picture is embedded twice."""
    assert run("index", many, "--model", model, "--index", IVF).exit_code == 0
    assert f", {IVF}, trained with 60 images" in run("info").output
    draw(many / "new.png", "red", mark=99)
    run("index", many)
    assert f", {IVF}, trained with 60 images" in run("info").output
    result = run("index", many, "--index", "exact")
    assert "61 unchanged" in result.output
    assert ", exact\n" in run("info").output


@pytest.mark.parametrize("wrong", ["IVF12,Foo", "nonsense", "PQ7", "IVFx,SQ8"])
def test_a_wrong_factory_string_is_named(
    opened: Library, many: Path, model: Path, wrong: str, fake_engines: Engines
) -> None:
    """Before an engine starts, and before a collection is made."""
    with pytest.raises(LibraryError, match=f"FAISS makes no index of '{wrong}' for 48 dimensions"):
        index_folder(opened, many, model, index=wrong)
    assert not fake_engines.started
    assert opened.info().collections == ()
