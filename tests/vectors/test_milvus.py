"""A search in Milvus Lite gives the same results as FAISS, also after crashes and lost rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from support.filters import DATE_STRATEGY, WHERE_CONDITIONS, make_varied_catalog
from support.vectors import DIMENSIONS, SMALL_POLICY, CatalogChanges, FilledCatalog

from searchapp.catalog import Catalog, TextQuery
from searchapp.catalog.filters.fields import FILTER_FIELDS
from searchapp.errors import VectorStoreError
from searchapp.search.good_match import JudgeCache
from searchapp.search.ranked_pages import iter_ranked_pages
from searchapp.search.ranking import Ranking
from searchapp.types import Filter, MilvusUploading, PictureInfo, SearchOptions
from searchapp.vectors import SearchIndex, Selection, VectorIndex
from searchapp.vectors.address import parse_address
from searchapp.vectors.indexes import Indexes
from searchapp.vectors.milvus_store import searcher
from searchapp.vectors.milvus_store.connection import CollectionMissingError
from searchapp.vectors.milvus_store.id_diff import MAX_LISTED_IDS, compare_ids
from searchapp.vectors.milvus_store.searcher import MilvusIndex, format_expression
from searchapp.vectors.milvus_store.store import MilvusConnection


class InMilvus(FilledCatalog):
    """A catalog with one collection whose vectors belong in a Milvus Lite file."""

    def __init__(self, folder: Path, options: str = "", file: Path | None = None) -> None:
        super().__init__(folder)
        self.url = f"milvus:{file or folder / 'vectors.db'}{options}"
        self.indexes = Indexes(folder, self.catalog, SMALL_POLICY)
        self.want(self.url)

    def want(self, vectors: str) -> None:
        self.indexes.set_requested_address(self.collection, parse_address(vectors))

    def sync(self, full: bool = False) -> list[MilvusUploading]:
        return [
            event
            for event in self.indexes.save_index(self.collection, compare_all=full)
            if isinstance(event, MilvusUploading)
        ]

    @property
    def index(self) -> SearchIndex:
        return self.indexes.open_index(self.collection)

    def held(self) -> list[int]:
        """Return the ids in Milvus."""
        store = self.catalog.get_vector_stores(self.collection).find_current()
        assert store is not None
        milvus = self.indexes._milvus.get_connection(parse_address(self.url))  # type: ignore[arg-type]
        return milvus.list_ids(store.name, 0, 10_000).tolist()

    def close(self) -> None:
        self.indexes.close()
        super().close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., InMilvus]]:
    made: list[InMilvus] = []

    def make(options: str = "", name: str = "library", file: Path | None = None) -> InMilvus:
        (tmp_path / name).mkdir()
        made.append(InMilvus(tmp_path / name, options, file))
        return made[-1]

    yield make
    for store in made:
        store.close()


def same_as_brute_force(store: InMilvus) -> None:
    query = np.random.default_rng(9).normal(size=DIMENSIONS).astype(np.float32)
    query /= np.linalg.norm(query)
    live = store.live_ids()
    assert len(store.index) == len(live)
    for among in (None, live[::3]):
        for few in (0, 2000):
            with mock.patch.object(searcher, "MAX_EXACT_COMPARISONS", few):
                found = store.index.search(query, 10, among)
            assert [id for id, _ in found] == store.rank_exactly(
                query, live if among is None else among
            )[:10]


def test_the_first_sync_creates_the_text_indexes(make: Callable[..., InMilvus]) -> None:
    """Only libraries that use Milvus pay for the SQLite indexes on cameras, lenses and formats."""
    store = make()
    store.add_images(3)

    def indexed() -> set[str]:
        return {index.name for index in store.catalog._db["images"].indexes}

    text_indexes = {"images_camera", "images_format", "images_lens"}
    assert not text_indexes & indexed()
    store.sync()
    assert text_indexes <= indexed()
    plan = store.catalog._db.execute("explain query plan select min(lens) from images")
    assert "COVERING INDEX images_lens" in str(plan.fetchall())


class Machine(CatalogChanges):
    """Run catalog changes, syncs, crashes in syncs, and reopenings in random order."""

    store: InMilvus

    @initialize()
    def begin(self) -> None:
        self.store = InMilvus(Path(self.temporary.name))

    @rule()
    def sync(self) -> None:
        self.store.sync()
        assert (
            self.store.embeddings.read_saved_index().extent == self.store.embeddings.read_extent()
        )
        assert self.store.held() == self.store.live_ids().tolist()

    @rule(after=st.integers(0, 3))
    def crash_in_sync(self, after: int) -> None:
        """Stop a sync after some steps, without any cleanup."""
        calls = iter(range(after))

        def tick() -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt

        with (
            mock.patch("searchapp.vectors.milvus_store.sync.REQUEST_ROWS", 3),
            mock.patch("searchapp.catalog.embeddings.FIELDS_PAGE_ROWS", 4),
            mock.patch.object(self.store.indexes._milvus, "_tick", tick),
            pytest.raises(KeyboardInterrupt),
        ):
            self.store.sync()
            raise KeyboardInterrupt  # The sync ended before the crash.

    @rule()
    def reopen(self) -> None:
        url = self.store.url
        self.store.close()
        self.store.catalog = Catalog.open(self.store.catalog_file)
        self.store.indexes = Indexes(self.store.folder, self.store.catalog, SMALL_POLICY)
        self.store.want(url)

    @invariant()
    def is_in_step(self) -> None:
        if hasattr(self, "store"):
            same_as_brute_force(self.store)


Machine.TestCase.settings = settings(
    max_examples=6, stateful_step_count=10, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestAnyOrder = Machine.TestCase


@settings(max_examples=200, deadline=None)
@given(
    live=st.sets(st.integers(1, 40)),
    lost=st.sets(st.integers(1, 40)),
    dead=st.sets(st.integers(1, 40)),
    trusted=st.integers(0, 40),
)
def test_compare_ids_finds_every_difference(
    live: set[int], lost: set[int], dead: set[int], trusted: int
) -> None:
    """Also with small ranges. Up to the trusted id, no live id is missing."""
    lost = {id for id in lost if id > trusted}
    held = np.array(sorted((live - lost) | (dead - live)), dtype=np.int64)

    def list_ids_between(first: int, last: int) -> np.ndarray:
        return held[(held > first) & (held <= last)]

    with (
        mock.patch("searchapp.vectors.milvus_store.id_diff.MAX_COUNTED_IDS", 16),
        mock.patch("searchapp.vectors.milvus_store.id_diff.MAX_LISTED_IDS", 3),
    ):
        more, fewer = compare_ids(
            np.array(sorted(live), dtype=np.int64),
            lambda first, last: len(list_ids_between(first, last)),
            list_ids_between,
            40,
            trusted,
        )
    assert sorted(more.tolist()) == sorted(dead - live)
    assert sorted(fewer.tolist()) == sorted(live & lost)


def test_equal_ranges_are_counted_and_not_listed() -> None:
    """One deleted id among a million costs fewer than 20 counts and one list."""
    live = np.arange(1, 1_000_001, dtype=np.int64)
    counted, listed = [], []

    def count(first: int, last: int) -> int:
        counted.append(last - first)
        return last - first

    def ids(first: int, last: int) -> np.ndarray:
        listed.append(last - first)
        return np.arange(first + 1, last + 1)

    more, fewer = compare_ids(np.delete(live, 500), count, ids, 1_000_000, 1_000_000)
    assert (more.tolist(), fewer.tolist()) == ([501], [])
    assert len(counted) < 20
    assert len(listed) == 1
    assert listed[0] <= MAX_LISTED_IDS


def test_nothing_is_sent_when_nothing_changed(make: Callable[..., InMilvus]) -> None:
    """A sync without changes counts the rows once and lists no id."""
    store = make()
    store.add_images(50)
    assert store.sync()[-1] == MilvusUploading(50, 50, str(store.folder / "vectors.db"))
    refuse = mock.Mock(side_effect=AssertionError)
    with mock.patch.multiple(
        MilvusConnection,
        write_rows=refuse,
        delete_rows=refuse,
        list_ids=refuse,
        flush_collection=refuse,
    ):
        assert store.sync() == []
    store.add_images(3)
    with mock.patch.multiple(MilvusConnection, delete_rows=refuse, list_ids=refuse):
        assert store.sync()[-1].total == 3
    same_as_brute_force(store)


def test_an_interrupted_sync_continues(make: Callable[..., InMilvus]) -> None:
    """Vectors that were sent are not sent again."""
    store = make()
    store.add_images(50)
    with mock.patch("searchapp.catalog.embeddings.FIELDS_PAGE_ROWS", 10):
        for event in store.indexes.save_index(store.collection):
            assert isinstance(event, MilvusUploading)
            if event.done == 30:
                break
    # Milvus answers only after a complete sync.
    assert store.catalog.get_vector_stores(store.collection).find_current() is None
    same_as_brute_force(store)
    assert [event.total for event in store.sync()] == [20]
    assert isinstance(store.index, MilvusIndex)
    same_as_brute_force(store)


def test_a_search_sees_changes_since_the_last_sync(make: Callable[..., InMilvus]) -> None:
    """A reader finds new vectors and no deleted ones, and sends nothing to Milvus."""
    store = make()
    store.add_images(50)
    store.sync()
    store.add_images(10)
    store.delete_embeddings(store.live_ids()[5:25].tolist())
    refuse = mock.Mock(side_effect=AssertionError)
    with mock.patch.multiple(MilvusConnection, write_rows=refuse, delete_rows=refuse):
        same_as_brute_force(store)
    store.sync()
    assert store.held() == store.live_ids().tolist()
    same_as_brute_force(store)


def test_lost_rows_and_collections_are_sent_again(make: Callable[..., InMilvus]) -> None:
    """Lost rows and a lost collection cost an upload, and no embedding."""
    store = make()
    store.add_images(40)
    store.sync()
    known = store.catalog.get_vector_stores(store.collection).find_current()
    assert known is not None
    milvus = store.indexes._milvus.get_connection(parse_address(store.url))  # type: ignore[arg-type]
    milvus.delete_rows(known.name, [3, 17])
    assert "the collection has 38 vectors instead of 40" in str(
        store.indexes.find_mismatch(store.collection)
    )
    assert [event.total for event in store.sync()] == [2]
    same_as_brute_force(store)
    milvus.drop_collection(known.name)
    with pytest.raises(CollectionMissingError, match="send its vectors again; nothing is embedded"):
        store.index.search(np.eye(DIMENSIONS, dtype=np.float32)[0], 3)
    assert [event.total for event in store.sync()] == [40]
    same_as_brute_force(store)


def test_check_finds_wrong_ids_behind_an_equal_count(
    make: Callable[..., InMilvus],
) -> None:
    """With one row lost and one too many, only a comparison of all ids finds the difference."""
    store = make()
    store.add_images(40)
    store.delete_embeddings([11])
    store.sync()
    known = store.catalog.get_vector_stores(store.collection).find_current()
    assert known is not None
    milvus = store.indexes._milvus.get_connection(parse_address(store.url))  # type: ignore[arg-type]
    ((row,),) = store.embeddings.read_rows([5])
    milvus.write_rows(known.name, [{**row, "id": 11, "vector": np.eye(DIMENSIONS, dtype="f4")[0]}])
    milvus.delete_rows(known.name, [5])
    assert store.indexes.find_mismatch(store.collection) == (
        "the ids of its vectors are not those in the catalog"
    )
    store.sync(full=True)
    assert store.indexes.find_mismatch(store.collection) is None
    assert store.held() == store.live_ids().tolist()


def test_two_libraries_share_a_file(make: Callable[..., InMilvus], tmp_path: Path) -> None:
    """Their ids are equal, but each has its own vectors."""
    one = make(file=tmp_path / "shared.db")
    other = make(name="other", file=tmp_path / "shared.db")
    other.rng = np.random.default_rng(5)
    for store in (one, other):
        store.add_images(30)
        store.sync()
    one.delete_embeddings([7])
    one.sync()
    for store in (one, other):
        same_as_brute_force(store)
    assert (len(one.held()), len(other.held())) == (29, 30)


def test_a_restored_backup_creates_its_own_collection(
    make: Callable[..., InMilvus], tmp_path: Path
) -> None:
    """The collection of the original library does not change."""
    store = make()
    store.add_images(20)
    store.sync()
    (tmp_path / "restored").mkdir()
    store.catalog.get_maintenance().copy_to_file(tmp_path / "restored/catalog.db")
    catalog = Catalog.open(tmp_path / "restored/catalog.db")
    catalog._db.execute("delete from embeddings where id < 5")
    indexes = Indexes(tmp_path / "restored", catalog)
    (collection,) = catalog.list_collections()
    list(indexes.save_index(collection))
    assert len(indexes.open_index(collection)) == 16
    indexes.close()
    catalog.close()
    assert len(store.held()) == 20


@pytest.mark.parametrize("options", ["?index=HNSW", "?index=IVF_SQ8&nlist=8", "?index=HNSW_SQ"])
def test_every_index_type_finds_90_percent(make: Callable[..., InMilvus], options: str) -> None:
    """The scores are the cosines of the stored vectors."""
    store = make(options)
    store.add_images(600)
    store.sync()
    queries = np.random.default_rng(4).normal(size=(20, DIMENSIONS)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    live, hits = store.live_ids(), 0
    for query in queries:
        found = store.index.search(query, 10)
        hits += len({id for id, _ in found} & set(store.rank_exactly(query, live)[:10]))
        ((ids, blobs),) = store.catalog.read_vectors([found[0][0]])
        assert ids == [found[0][0]]
        cosine = np.frombuffer(blobs[0], "<f2").astype(np.float32) @ query
        assert found[0][1] == pytest.approx(float(cosine), abs=2e-3)
    assert hits >= 0.9 * 200


def test_new_index_parameters_create_a_collection(make: Callable[..., InMilvus]) -> None:
    """The new collection answers when complete; then the old one is dropped. ef changes neither."""
    store = make("?index=HNSW&M=8")
    store.add_images(20)
    store.sync()
    before = store.catalog.get_vector_stores(store.collection).find_current()
    store.want(f"{store.url}&ef=99")
    assert store.sync() == []
    assert store.index.address.build_search_parameters(1) == {"ef": 99}  # type: ignore[attr-defined]
    store.want(store.url.replace("M=8", "M=16"))
    assert [event.total for event in store.sync()] == [20]
    after = store.catalog.get_vector_stores(store.collection).find_current()
    assert before != after
    milvus = store.indexes._milvus.get_connection(parse_address(store.url))  # type: ignore[arg-type]
    assert before is not None
    assert not milvus.has_collection(before.name)


def test_results_beyond_the_row_limit_come_from_the_catalog(
    make: Callable[..., InMilvus],
) -> None:
    """Deep pages are as long as with FAISS."""
    store = make()
    store.add_images(60)
    store.sync()
    query = np.eye(DIMENSIONS, dtype=np.float32)[0]
    with (
        mock.patch.object(searcher, "MAX_RESULT_ROWS", 20),
        mock.patch.object(searcher, "MAX_EXACT_COMPARISONS", 0),
    ):
        for among in (None, store.live_ids()[1:50]):
            live = store.live_ids() if among is None else among
            found = [id for id, _ in store.index.search(query, 40, among)]
            assert found == store.rank_exactly(query, live)[:40]


# Filters

Both = tuple[Catalog, SearchIndex, SearchIndex, np.ndarray]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A library with varied metadata, indexed in FAISS and in Milvus."""
    folder = tmp_path_factory.mktemp("both") / "library"
    catalog, vectors = make_varied_catalog(folder, 240)
    (collection,) = catalog.list_collections()
    odd = {
        "x": PictureInfo(
            format="PNG",
            width=9,
            height=9,
            taken_at="2010-06-03",
            camera='Say "A\\B" – {x} or id > 0 iPhone',
        )
    }
    (image,) = catalog.writer.save_images(odd).values()
    catalog.writer.save_embeddings(collection, {image: vectors[7].astype("<f2").tobytes()})
    faiss = Indexes(folder, catalog).open_index(collection)
    indexes = Indexes(folder, catalog)
    indexes.set_requested_address(collection, parse_address(f"milvus:{folder}/vectors.db"))
    list(indexes.save_index(collection))
    milvus = indexes.open_index(collection)
    assert (type(faiss), type(milvus)) == (VectorIndex, MilvusIndex)
    yield catalog, faiss, milvus, vectors
    indexes.close()
    catalog.close()


def selection(catalog: Catalog, wanted: Filter) -> Selection:
    (collection,) = catalog.list_collections()
    return Selection(
        partial(catalog.filters.find_embedding_ids, collection.id, wanted),
        partial(catalog.filter_to_conditions, wanted),
    )


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_filtered_results_equal_those_of_faiss(both: Both, data: st.DataObject) -> None:
    """For filters sent as conditions, as ids, or as both, and for few and many matches."""
    catalog, faiss, milvus, vectors = both
    folder = Path(str(catalog.file)).parent

    def maybe(values: st.SearchStrategy[object]) -> object:
        return data.draw(st.none() | values)

    wanted = Filter(
        folder=maybe(st.sampled_from([folder, folder / "d0", folder / "none"])),  # type: ignore[arg-type]
        after=maybe(DATE_STRATEGY),  # type: ignore[arg-type]
        before=maybe(DATE_STRATEGY),  # type: ignore[arg-type]
        camera=maybe(st.sampled_from(["iphone*", "*5d", "canon eos ?d", "say*", "x*", "*"])),  # type: ignore[arg-type]
        format=maybe(st.sampled_from(["jpeg", "png", ".HEIC", "gif", "*"])),  # type: ignore[arg-type]
        min_size=maybe(st.sampled_from([0.0, 0.03, 0.0500001, float("inf")])),  # type: ignore[arg-type]
        max_size=maybe(st.sampled_from([0.03, 0.0499999, 1.0, -1.0])),  # type: ignore[arg-type]
        near=maybe(st.sampled_from(["48.9,2.3,12km", "0,0,9000", "-48,177,900", "90,0,4600"])),  # type: ignore[arg-type]
        where=maybe(st.sampled_from(WHERE_CONDITIONS)),  # type: ignore[arg-type]
        lens=maybe(st.sampled_from(["*50*", "x*", "*"])),  # type: ignore[arg-type]
        rating=maybe(st.sampled_from(["3+", "1-4", "unrated", "rejected"])),  # type: ignore[arg-type]
        keyword=data.draw(st.sampled_from([(), (), ("h*",), ("nothing",)])),
        taken=data.draw(st.booleans()),
    )
    query = vectors[data.draw(st.integers(0, 239))]
    count = data.draw(st.sampled_from([3, 20]))
    few = data.draw(st.sampled_from([0, 0, 2000]))
    spare = data.draw(st.sampled_from([0.0, 1.5]))
    among = selection(catalog, wanted)
    with (
        mock.patch.object(searcher, "MAX_EXACT_COMPARISONS", few),
        mock.patch.object(searcher, "OVERSAMPLING", spare),
    ):
        theirs = [hit for page in iter_ranked_pages(milvus, query, among, count) for hit in page]
    ours = [hit for page in iter_ranked_pages(faiss, query, among, count) for hit in page]
    assert [id for id, _ in theirs] == [id for id, _ in ours]
    scores = np.array([score for _, score in theirs]) - [score for _, score in ours]
    assert np.abs(scores).max(initial=0) < 1e-5
    assert milvus.count_matches(among) == faiss.count_matches(among)


@pytest.mark.parametrize("wanted", [Filter(), Filter(rating="1+"), Filter(where="width % 5 > 0")])
def test_all_pages_request_the_same_candidates(
    both: Both, wanted: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that is not exact would otherwise lose or repeat hits between pages."""
    catalog, _, milvus, vectors = both
    (collection,) = catalog.list_collections()
    monkeypatch.setattr("searchapp.files.storage.can_exist", lambda path: True)
    monkeypatch.setattr(searcher, "MAX_EXACT_COMPARISONS", 0)
    indexes = mock.Mock(open_index=lambda _: milvus)
    ranking = Ranking(catalog, indexes, JudgeCache(catalog))
    requests, ids = list[object](), list[list[int]]()
    original = MilvusConnection.search_nearest
    with mock.patch.object(
        MilvusConnection, "search_nearest", autospec=True, side_effect=original
    ) as search_nearest:
        for offset, count in ((0, 10), (10, 10), (20, 30), (0, 50)):
            options = SearchOptions(**vars(wanted), offset=offset, count=count)
            hits = ranking.find_nearest(collection, vectors[3], options, None).hits
            ids.append([hit.image_id for hit in hits])
            requests.append([call.args[3:] for call in search_nearest.call_args_list])
            search_nearest.reset_mock()
    assert ids[0] + ids[1] + ids[2] == ids[3]
    assert requests[0]
    assert all(request == requests[0] for request in requests)


@pytest.mark.parametrize("words", ["copies", '"copies"', "18", "16.jpg", "d0 copies"])
def test_words_are_fused_with_vectors_as_in_faiss(
    both: Both, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hits, their order and the reasons are the same."""
    catalog, faiss, milvus, vectors = both
    (collection,) = catalog.list_collections()
    monkeypatch.setattr("searchapp.files.storage.can_exist", lambda path: True)
    query, options = TextQuery.parse(words), SearchOptions(count=20, format="jpeg")
    hits = [
        Ranking(catalog, mock.Mock(open_index=lambda _, index=index: index), JudgeCache(catalog))
        .find_nearest(collection, vectors[3], options, None, query)
        .hits
        for index in (faiss, milvus)
    ]
    assert [(hit.image_id, hit.match) for hit in hits[0]] == [
        (hit.image_id, hit.match) for hit in hits[1]
    ]
    assert any(hit.has_text_match for hit in hits[0])


@settings(max_examples=60, deadline=None)
@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180), km=st.floats(0, 21_000))
def test_the_bounding_box_contains_its_circle(
    both: Both, latitude: float, longitude: float, km: float
) -> None:
    """Also at the poles and across the date line."""
    catalog = both[0]
    parts, whole = catalog.filter_to_conditions(Filter(near=f"{latitude},{longitude},{km}"))
    bounds = {part.field: (part.low, part.high) for part in parts}  # type: ignore[union-attr]
    bearing = np.radians(np.arange(0, 360, 5))
    far, here = km / 6371.0, np.radians(latitude)
    up = np.arcsin(np.clip(np.sin(here) * np.cos(far)
                           + np.cos(here) * np.sin(far) * np.cos(bearing), -1, 1))  # fmt: skip
    east = np.arctan2(np.sin(bearing) * np.sin(far) * np.cos(here),
                      np.cos(far) - np.sin(here) * np.sin(up))  # fmt: skip
    longitudes = (longitude + np.degrees(east) + 180) % 360 - 180
    assert not whole
    for field, degrees in (("latitude", np.degrees(up)), ("longitude", longitudes)):
        low, high = bounds[field]
        assert ((degrees * 1e6 >= low - 1) & (degrees * 1e6 <= high + 1)).all()


def test_a_filter_that_milvus_can_express_reads_no_ids(both: Both) -> None:
    """Date, camera, format and size become a Milvus expression."""
    catalog, _, milvus, vectors = both
    wanted = Filter(after="2005", camera="iphone*", format="heic", min_size=0.01)
    parts, whole = catalog.filter_to_conditions(wanted)
    told = Selection(mock.Mock(side_effect=AssertionError), lambda: (parts, whole))
    assert whole
    assert 'camera in ["Apple iPhone 13", "sha256:' in format_expression(parts)
    found = milvus.search(vectors[0], 5, told)
    expected = milvus.search(vectors[0], 5, selection(catalog, wanted).ids)
    assert [id for id, _ in found] == [id for id, _ in expected]
    np.testing.assert_allclose([s for _, s in found], [s for _, s in expected], atol=1e-5)
    assert len(found) == 5


def test_changed_fields_are_filtered_by_ids_until_they_are_sent(
    make: Callable[..., InMilvus],
) -> None:
    """No result is stale, and nothing is embedded again."""
    store = make()
    store.add_images(30)
    store.sync()
    store.catalog._db.execute("update images set camera = 'Leica M' where id in (3, 8)")
    store.catalog._db.execute("update images set sha256 = sha256 || 'x' where id = 9")
    stores, query = (
        store.catalog.get_vector_stores(store.collection),
        np.eye(DIMENSIONS, dtype="f4")[0],
    )
    assert stores.list_changed_ids() == [3, 8]
    with mock.patch.object(searcher, "MAX_EXACT_COMPARISONS", 0):
        for _ in range(2):
            among = selection(store.catalog, Filter(camera="leica*"))
            assert sorted(id for id, _ in store.index.search(query, 9, among)) == [3, 8]
            store.sync()
    assert not stores.has_changed_ids()
    same_as_brute_force(store)


def test_a_missing_field_is_filtered_by_ids(make: Callable[..., InMilvus]) -> None:
    """A collection of an older version lacks fields; the next sync creates a new one."""
    store = make()
    store.add_images(10)
    with mock.patch("searchapp.catalog.vector_stores.FILTER_FIELDS", ("date",)):
        store.sync()
    among = selection(store.catalog, Filter(max_size=1.0))
    query = np.eye(DIMENSIONS, dtype="f4")[0]
    with (
        mock.patch.object(searcher, "MAX_EXACT_COMPARISONS", 0),
        mock.patch.object(
            MilvusConnection,
            "search_nearest",
            autospec=True,
            side_effect=MilvusConnection.search_nearest,
        ) as asked,
    ):
        assert len(store.index.search(query, 10, among)) == 10
        assert all("pixels" not in str(call.args[-1]) for call in asked.call_args_list)
    assert [event.total for event in store.sync()] == [10]


def test_an_error_of_milvus_is_passed_on(make: Callable[..., InMilvus]) -> None:
    """For example, about vectors of another length."""
    store = make()
    store.add_images(10)
    store.sync()
    known = store.catalog.get_vector_stores(store.collection).find_current()
    assert known is not None
    milvus = store.indexes._milvus.get_connection(parse_address(store.url))  # type: ignore[arg-type]
    milvus.drop_collection(known.name)
    milvus.create_collection(
        known.name, 5, {name: field.is_text for name, field in FILTER_FIELDS.items()}, ""
    )
    with pytest.raises(VectorStoreError, match=r"Milvus is not in step .* expected dim 5, got 16"):
        store.sync()


def test_examples_are_left_out_as_in_faiss(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hits are those that remain of the complete ranking, on each page."""
    catalog, faiss, milvus, vectors = both
    (collection,) = catalog.list_collections()
    monkeypatch.setattr("searchapp.files.storage.can_exist", lambda path: True)
    for index in (faiss, milvus):
        indexes = mock.Mock(open_index=lambda _, index=index: index)
        ranking = Ranking(catalog, indexes, JudgeCache(catalog))
        ranked = ranking.find_nearest(collection, vectors[3], SearchOptions(count=30), None).hits
        images = catalog.get_example_images(collection)
        examples = [images.find_by_id(hit.image_id) for hit in (ranked[0], ranked[7])]
        left_out = frozenset[int]().union(*(each.embedding_ids for each in examples if each))
        options = SearchOptions(count=12, offset=3)
        hits = ranking.find_nearest(collection, vectors[3], options, None, left_out=left_out).hits
        assert hits == (*ranked[1:7], *ranked[8:])[3:15]
