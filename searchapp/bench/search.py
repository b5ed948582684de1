"""Measure kinds of index on one collection: how exact, how fast, how large."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from searchapp.bench.index_probe import EFFORTS, ProbeJob, ProbeResult, QueryTimings, probe_index
from searchapp.bench.synthetic_vectors import Shape, VectorSource
from searchapp.catalog import Catalog
from searchapp.errors import LibraryError
from searchapp.files.library_folder import catalog_file, resolve_library_folder
from searchapp.models import select_collection
from searchapp.types import Collection, PictureInfo
from searchapp.vectors import Ids, Vectors, pack_vector, unpack_vectors
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.indexes import Indexes

FILTER_SHARES = (0.001, 0.01, 0.1, 0.5)  # of the vectors, that a filter leaves
MAX_HNSW_VECTORS = 200_000  # vectors: beyond, its graph takes too long to make and too much memory
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One kind of index; memory is what opening it and asking took, in megabytes.

    first_ms: the median of as many other queries, asked right after opening.
    """

    index: str
    recall_at_10: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_ms: float
    qps_1: float
    qps_all: float
    memory_mb: float
    build_s: float
    open_s: float
    disk_mb: float
    curve: tuple[tuple[float, float], ...] = ()  # (recall, p50 in ms), with less and more effort


@dataclass(frozen=True, slots=True)
class FilteredRow:
    """Queries among a share of the vectors, drawn at random; fewest: hits of 10, at worst."""

    index: str
    share: float
    recall_at_10: float
    p50_ms: float
    p95_ms: float
    fewest: int


@dataclass(frozen=True, slots=True)
class UpkeepRow:
    """Seconds until the index file was in step again after 1,000 vectors were added."""

    index: str
    add_1000_s: float


@dataclass(frozen=True, slots=True)
class BenchStage:
    """Event: what is being done."""

    what: str


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure: a collection of a library, or made vectors."""

    library: Path | None = None
    collection: str | None = None
    vectors: int | None = None  # to make; None: measure the collection
    dimensions: int = 768  # of made vectors
    shape: Shape = "clustered"  # of made vectors
    kinds: tuple[str, ...] = ()  # FAISS factory strings; by default those that make sense
    queries: int = 200
    filters: bool = False  # measure filtered queries as well
    upkeep: bool = False  # measure adding vectors as well, to made vectors only
    scratch: Path | None = None  # folder for temporary files


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured; vectors and dim describe the collection."""

    vectors: int
    dim: int
    rows: tuple[IndexRow, ...]
    filters: tuple[FilteredRow, ...]
    upkeep: tuple[UpkeepRow, ...]


def measure(options: Options) -> Iterator[BenchStage | Report]:
    """Measure kinds of index and yield events; the Report comes last.

    Errors: LibraryError, VectorsError (a kind that FAISS does not know).
    """
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-", dir=options.scratch) as name:
        folder = Path(name)
        if options.vectors is None:
            bench = make_library_bench(options.library, options.collection, folder, options.queries)
        else:
            for event in make_synthetic_bench(
                folder, options.shape, options.vectors, options.dimensions, options.queries
            ):
                if isinstance(event, IndexBench):
                    bench = event
                else:
                    yield event
        dimensions, count = bench.collection.dimensions, bench.count_vectors()
        for kind in options.kinds:
            choose_index.validate_kind(kind, dimensions)
        results = list[IndexRow | FilteredRow | UpkeepRow]()
        upkeep = bench.measure_upkeep() if options.upkeep and options.vectors is not None else ()
        for result in chain(bench.measure_kinds(options.kinds, filters=options.filters), upkeep):
            if isinstance(result, BenchStage):
                yield result
            else:
                results.append(result)
        yield Report(
            count,
            dimensions,
            tuple(each for each in results if isinstance(each, IndexRow)),
            tuple(each for each in results if isinstance(each, FilteredRow)),
            tuple(each for each in results if isinstance(each, UpkeepRow)),
        )


@dataclass(frozen=True, slots=True)
class IndexBench:
    """A collection in a catalogue, what to ask it, and a folder for the index files."""

    catalog_file: Path
    collection: Collection
    queries: Vectors
    warmup_queries: Vectors
    folder: Path
    query_ids: Ids | None = None  # where the queries are stored vectors: their ids, not to be found

    def count_vectors(self) -> int:
        """Return how many vectors there are."""
        return _call_with_catalog(
            self.catalog_file, lambda c: c.get_embeddings(self.collection).read_extent().count
        )

    def measure_kinds(
        self, chosen: tuple[str, ...] = (), *, filters: bool = False
    ) -> Iterator[BenchStage | IndexRow | FilteredRow | UpkeepRow]:
        """Measure the exact scan, and then each kind."""
        count = self.count_vectors()
        truth_ids: list[list[int]] = []
        selections = self._draw_filter_ids() if filters else ()
        truth_by_filter: list[list[list[int]]] = []
        for kind in (choose_index.EXACT, *(chosen or self.choose_kinds(count))):
            yield BenchStage(f"making {kind} of {count:,} vectors")
            file, build_s = _run_in_process(
                _build_index_file, self.catalog_file, self.collection, kind, self.folder
            )
            yield BenchStage(f"asking {kind}")
            exact = kind == choose_index.EXACT
            job = ProbeJob(
                file, kind, self.catalog_file, self.queries, self.warmup_queries,
                (1.0,) if exact else EFFORTS, selections,
            )  # fmt: skip
            result = _run_in_process(probe_index, job)
            disk = file.stat().st_size / 1e6
            file.unlink()
            timings = result.timings_by_effort[1.0]
            if exact:
                truth_ids = timings.found_ids
                truth_by_filter = [each.found_ids for each in result.timings_by_filter]
            yield self._make_row(kind, result, truth_ids, build_s, disk)
            for share, each, found in zip(
                FILTER_SHARES, result.timings_by_filter, truth_by_filter, strict=False
            ):
                p50, p95 = _percentiles_ms(each, 50, 95)
                recall = _compute_recall(each.found_ids, found)
                yield FilteredRow(kind, share, recall, p50, p95, min(map(len, each.found_ids)))

    def measure_upkeep(self) -> Iterator[BenchStage | UpkeepRow]:
        """Measure what it takes to save what auto takes after 1,000 vectors came."""
        kind = choose_index.choose_trained_kind(self.count_vectors())

        def measure(catalog: Catalog) -> float:
            catalog.get_embeddings(self.collection).set_requested_kind(kind)
            indexes = Indexes(self.folder, catalog)
            list(indexes.save_index(self.collection))
            add_vectors(
                catalog, self.collection, np.resize(self.queries, (1000, self.queries.shape[1]))
            )
            begun = time.perf_counter()
            list(indexes.save_index(self.collection))
            return time.perf_counter() - begun

        yield BenchStage(f"saving {kind}")
        yield UpkeepRow(kind, round(_call_with_catalog(self.catalog_file, measure), 3))

    def choose_kinds(self, count: int) -> tuple[str, ...]:
        """Return the kinds that make sense for so many vectors, the one that auto takes first."""
        auto = choose_index.choose_trained_kind(count)
        lists = auto.split(",")[1]
        dimensions = self.collection.dimensions
        parts = next(
            n for n in (dimensions // 8, dimensions // 4, dimensions) if dimensions % n == 0
        )
        kinds = [auto, f"RR,{lists},RaBitQfs", f"{lists},SQ8", f"{lists},PQ{parts}x4fs"]
        if count <= MAX_HNSW_VECTORS:
            kinds.append("HNSW32,SQ8")
        return tuple(kinds)

    def _make_row(
        self, kind: str, result: ProbeResult, truth: list[list[int]], build_s: float, disk_mb: float
    ) -> IndexRow:
        timings = result.timings_by_effort[1.0]
        curve = tuple(
            (_compute_recall(each.found_ids, truth, self.query_ids), _percentiles_ms(each, 50)[0])
            for each in result.timings_by_effort.values()
        )
        p50, p95, p99 = _percentiles_ms(timings, 50, 95, 99)
        return IndexRow(
            kind, _compute_recall(timings.found_ids, truth, self.query_ids), p50, p95, p99,
            _percentiles_ms(result.warmup, 50)[0],
            round(len(timings.latencies_s) / sum(timings.latencies_s), 1), round(result.qps_all, 1),
            round(result.memory_mb, 1), round(build_s, 1), round(result.open_s, 4),
            round(disk_mb, 1), curve,
        )  # fmt: skip

    def _draw_filter_ids(self) -> tuple[Ids, ...]:
        rng = np.random.default_rng(2)

        def list_ids(catalog: Catalog) -> Ids:
            embedded = catalog.get_embeddings(self.collection)
            return embedded.read_ids(embedded.read_extent().last_id)

        ids = _call_with_catalog(self.catalog_file, list_ids)
        return tuple(ids[rng.random(len(ids)) < share] for share in FILTER_SHARES)


def make_synthetic_bench(
    folder: Path, shape: Shape, count: int, dimensions: int, queries: int
) -> Iterator[BenchStage | IndexBench]:
    """Make a catalogue of made vectors, and what to ask it; the Bench comes last."""
    source = VectorSource(shape, dimensions)
    query_vectors, warmup_vectors = source.draw_vectors(queries), source.draw_vectors(queries)
    folder.mkdir(parents=True, exist_ok=True)
    catalog = Catalog.open(catalog_file(folder), create=True)
    try:
        collection = catalog.add_collection(shape, "made", "1", dimensions, "{}")
        done = 0
        for page in source.draw_pages(count):
            add_vectors(catalog, collection, page)
            done += len(page)
            yield BenchStage(f"writing vectors: {done:,} of {count:,}")
    finally:
        catalog.close()
    yield IndexBench(catalog_file(folder), collection, query_vectors, warmup_vectors, folder)


def add_vectors(catalog: Catalog, collection: Collection, vectors: Vectors) -> None:
    """Write made vectors, [n, dimensions], as an index run would."""
    first = catalog.get_embeddings(collection).read_extent().last_id
    with catalog.write_transaction():
        hashes = [f"{number:064x}" for number, _ in enumerate(vectors, first + 1)]
        info = PictureInfo(format="made", width=1, height=1)
        ids = catalog.writer.save_images(dict.fromkeys(hashes, info))
        packed = zip(hashes, map(pack_vector, vectors), strict=True)
        catalog.writer.save_embeddings(
            collection, {ids[sha256]: vector for sha256, vector in packed}
        )


def make_library_bench(
    library: Path | None, name: str | None, folder: Path, queries: int
) -> IndexBench:
    """Ask a collection with some of its own vectors, each of which is not to find itself."""
    file = catalog_file(resolve_library_folder(library))

    def build_bench(catalog: Catalog) -> IndexBench:
        collection = select_collection.get_collection(catalog, name)
        embedded = catalog.get_embeddings(collection)
        ids = embedded.read_ids(embedded.read_extent().last_id)
        drawn = np.random.default_rng(0).permutation(ids)[: 2 * queries]
        query_ids, warmup_ids = np.sort(drawn[: len(drawn) // 2]), drawn[len(drawn) // 2 :]

        def load_vectors(some: Ids) -> Vectors:
            blobs = [blob for _, page in catalog.read_vectors(some.tolist()) for blob in page]
            return unpack_vectors(blobs, collection.dimensions)

        return IndexBench(
            file, collection, load_vectors(query_ids), load_vectors(warmup_ids), folder, query_ids
        )

    return _call_with_catalog(file, build_bench)


def _build_index_file(
    catalog: Path, collection: Collection, kind: str, folder: Path
) -> tuple[Path, float]:
    begun = time.perf_counter()

    def build(opened: Catalog) -> Path:
        index, _ = Indexes(folder, opened).build_index(collection, kind)
        if (index.kind, index.is_exact) != (kind, kind == choose_index.EXACT):
            raise LibraryError(f"too few vectors to train {kind}; leave it out, or take more")
        return index.save(folder, "bench")

    return _call_with_catalog(catalog, build), time.perf_counter() - begun


def _run_in_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _call_with_catalog(file: Path, use: Callable[[Catalog], Result]) -> Result:
    catalog = Catalog.open(file)
    try:
        return use(catalog)
    finally:
        catalog.close()


def _compute_recall(
    found: list[list[int]], truth: list[list[int]], query_ids: Ids | None = None
) -> float:
    """Return which share of the right answers was found."""
    hits = expected_count = 0
    for number, (some, right) in enumerate(zip(found, truth, strict=True)):
        expected = set(right) - ({int(query_ids[number])} if query_ids is not None else set())
        hits += len(expected & set(some))
        expected_count += len(expected)
    return round(hits / expected_count, 4) if expected_count else 1.0


def _percentiles_ms(timings: QueryTimings, *percentiles: int) -> tuple[float, ...]:
    return tuple(
        round(float(value) * 1000, 3) for value in np.percentile(timings.latencies_s, percentiles)
    )
