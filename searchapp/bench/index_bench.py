"""Measure FAISS index types on one collection: recall, latency, memory, build time, upkeep."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from searchapp.bench.index_probe import (
    EFFORTS,
    HITS_PER_QUERY,
    ProbeJob,
    ProbeResult,
    QueryTimings,
    probe_index,
)
from searchapp.bench.true_neighbors import TrueNeighbors, find_true_neighbors
from searchapp.catalog import Catalog
from searchapp.engines import machine
from searchapp.errors import LibraryError
from searchapp.types import Collection, EmbeddingExtent, PictureInfo, SavedIndex, format_count
from searchapp.vectors import Ids, Vectors, pack_vector
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.faiss_files.save_vectors import save_vector_file
from searchapp.vectors.faiss_files.vector_file import get_vector_file
from searchapp.vectors.indexes import Indexes

FILTER_SHARES = (0.001, 0.01, 0.1, 0.5)  # of the vectors that a filter leaves
MAX_HNSW_VECTORS = 200_000  # a larger HNSW graph takes too much time and memory
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class IndexRow:
    """Measured recall, latency, memory and build time of one FAISS index type."""

    index: str  # FAISS factory string, or "exact"
    recall_at_10: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    first_ms: float  # median of other queries, run right after opening
    qps_1: float  # queries per second with one thread
    qps_all: float  # queries per second with one thread per core
    memory_mb: float  # growth of resident memory by opening and querying
    build_s: float
    open_s: float
    disk_mb: float
    curve: tuple[tuple[float, float], ...] = ()  # (recall, p50 in ms) for each search effort


@dataclass(frozen=True, slots=True)
class FilteredRow:
    """Measured recall and latency of queries with a filter.

    The filter matches a random share of the vectors.
    """

    index: str
    share: float
    recall_at_10: float
    p50_ms: float
    p95_ms: float
    fewest: int  # smallest number of hits of a query, of 10 that were requested


@dataclass(frozen=True, slots=True)
class UpkeepRow:
    """Measured time of updating a FAISS index file."""

    index: str
    add_1000_s: float  # seconds to update the file after 1,000 vectors were added


@dataclass(frozen=True, slots=True)
class BenchStage:
    """Event: a stage of the benchmark begins."""

    description: str


@dataclass(frozen=True, slots=True)
class IndexBench:
    """A collection, queries for it, and a folder for index files."""

    catalog_file: Path
    collection: Collection
    queries: Vectors
    warmup_queries: Vectors
    folder: Path
    query_ids: Ids | None = None  # ids of queries that are stored vectors: not counted as hits

    def count_vectors(self) -> int:
        """Return the number of vectors in the collection."""
        return self.read_extent().count

    def read_extent(self) -> EmbeddingExtent:
        """Return the extent of the embeddings of the collection."""
        return call_with_catalog(
            self.catalog_file, lambda c: c.get_embeddings(self.collection).read_extent()
        )

    def measure_kinds(
        self, chosen: tuple[str, ...] = (), *, filters: bool = False
    ) -> Iterator[BenchStage | IndexRow | FilteredRow | UpkeepRow]:
        """Measure exact search, then compare each index type with exact search; yield the rows.

        If an exact index would not fit in memory, it has no row.
        chosen: FAISS factory strings of the index types; if empty, choose_kinds chooses them.
        filters: also measure filtered queries.
        """
        extent = self.read_extent()
        count = extent.count
        selections = self._draw_filter_ids() if filters else ()
        kinds, truth = chosen or self.choose_kinds(count), TrueNeighbors([])
        if self._fits_in_memory(count):
            kinds = (choose_index.EXACT, *kinds)
        else:
            yield BenchStage(f"comparing the queries with {format_count(count, 'vector')}")
            truth = self._find_true_neighbors(selections)
        for kind in kinds:
            yield BenchStage(f"building the index {kind} from {format_count(count, 'vector')}")
            file, build_s = run_in_process(
                build_index_file, self.catalog_file, self.collection, kind, self.folder
            )
            yield BenchStage(f"querying {kind}")
            is_exact = kind == choose_index.EXACT
            job = ProbeJob(
                file, kind, self.catalog_file, extent.last_id, self.queries, self.warmup_queries,
                (1.0,) if is_exact else EFFORTS, selections,
            )  # fmt: skip
            result = run_in_process(probe_index, job)
            files = [each for each in (file, get_vector_file(file)) if each.exists()]
            disk_mb = sum(each.stat().st_size for each in files) / 1e6
            for each in files:
                each.unlink()
            if is_exact:
                truth = TrueNeighbors(
                    result.timings_by_effort[1.0].found_ids,
                    [timings.found_ids for timings in result.timings_by_filter],
                )
            yield self._make_row(kind, result, truth.ids, build_s, disk_mb)
            for share, timings, true_ids in zip(
                FILTER_SHARES, result.timings_by_filter, truth.ids_by_filter, strict=False
            ):
                p50, p95 = compute_percentiles_ms(timings, 50, 95)
                recall = compute_recall(timings.found_ids, true_ids)
                yield FilteredRow(kind, share, recall, p50, p95, min(map(len, timings.found_ids)))

    def _fits_in_memory(self, count: int) -> bool:
        """Return whether an exact index of `count` vectors takes at most half of the free memory.

        To build it, its vectors are in memory twice for a moment.
        """
        free_mib = machine.read_free_memory_mib()
        return free_mib is None or 4 * count * self.collection.dimensions <= (free_mib << 20) // 2

    def _find_true_neighbors(self, filter_ids: tuple[Ids, ...]) -> TrueNeighbors:
        def find(catalog: Catalog) -> TrueNeighbors:
            pages = catalog.get_embeddings(self.collection).read_vectors_after(0)
            return find_true_neighbors(pages, self.queries, filter_ids, HITS_PER_QUERY)

        return call_with_catalog(self.catalog_file, find)

    def measure_upkeep(self) -> Iterator[BenchStage | UpkeepRow]:
        """Measure how long the automatically chosen index takes to add 1,000 new vectors."""
        kind = choose_index.choose_trained_kind(self.count_vectors(), self.collection.dimensions)

        def measure(catalog: Catalog) -> float:
            catalog.get_embeddings(self.collection).set_requested_kind(kind)
            indexes = Indexes(self.folder, catalog)
            list(indexes.save_index(self.collection))
            add_vectors(
                catalog, self.collection, np.resize(self.queries, (1000, self.queries.shape[1]))
            )
            started_at = time.perf_counter()
            list(indexes.save_index(self.collection))
            return time.perf_counter() - started_at

        yield BenchStage(f"updating {kind}")
        yield UpkeepRow(kind, round(call_with_catalog(self.catalog_file, measure), 3))

    def choose_kinds(self, count: int) -> tuple[str, ...]:
        """Return the index types that suit `count` vectors; the automatic choice comes first."""
        dimensions = self.collection.dimensions
        auto = choose_index.choose_trained_kind(count, dimensions)
        lists = next(part for part in auto.split(",") if part.startswith("IVF"))
        pq_parts = next(n for n in (dimensions // 8, dimensions) if dimensions % n == 0)
        kinds = [auto, f"RR,{lists},RaBitQ", f"{lists},SQ8", f"RR,{lists},PQ{pq_parts}x4fs"]
        if count <= MAX_HNSW_VECTORS:
            kinds.append("HNSW32,SQ8")
        return tuple(dict.fromkeys(kinds))

    def _make_row(
        self, kind: str, result: ProbeResult, truth: list[list[int]], build_s: float, disk_mb: float
    ) -> IndexRow:
        timings = result.timings_by_effort[1.0]
        curve = tuple(
            (
                compute_recall(effort_timings.found_ids, truth, self.query_ids),
                compute_percentiles_ms(effort_timings, 50)[0],
            )
            for effort_timings in result.timings_by_effort.values()
        )
        p50, p95, p99 = compute_percentiles_ms(timings, 50, 95, 99)
        return IndexRow(
            kind, compute_recall(timings.found_ids, truth, self.query_ids), p50, p95, p99,
            compute_percentiles_ms(result.warmup, 50)[0],
            round(len(timings.latencies_s) / sum(timings.latencies_s), 1), round(result.qps_all, 1),
            round(result.memory_mb, 1), round(build_s, 1), round(result.open_s, 4),
            round(disk_mb, 1), curve,
        )  # fmt: skip

    def _draw_filter_ids(self) -> tuple[Ids, ...]:
        rng = np.random.default_rng(2)

        def list_ids(catalog: Catalog) -> Ids:
            embedded = catalog.get_embeddings(self.collection)
            return embedded.read_ids(embedded.read_extent().last_id)

        ids = call_with_catalog(self.catalog_file, list_ids)
        return tuple(ids[rng.random(len(ids)) < share] for share in FILTER_SHARES)


def add_vectors(catalog: Catalog, collection: Collection, vectors: Vectors) -> None:
    """Save synthetic vectors, [n, dimensions], in a catalog, as an index run does."""
    first = catalog.get_embeddings(collection).read_extent().last_id
    with catalog.write_transaction():
        hashes = [f"{number:064x}" for number, _ in enumerate(vectors, first + 1)]
        info = PictureInfo(format="made", width=1, height=1)
        ids = catalog.writer.save_images(dict.fromkeys(hashes, info))
        packed = zip(hashes, map(pack_vector, vectors), strict=True)
        catalog.writer.save_embeddings(
            collection, {ids[sha256]: vector for sha256, vector in packed}
        )


def build_index_file(
    catalog: Path, collection: Collection, kind: str, folder: Path
) -> tuple[Path, float]:
    """Build an index file; return the path of the file, and the build time in seconds.

    Errors: LibraryError if there are too few vectors to train an index of this kind.
    """
    started_at = time.perf_counter()

    def build(opened: Catalog) -> Path:
        index, _ = Indexes(folder, opened).build_index(collection, kind)
        if (index.kind, index.is_exact) != (kind, kind == choose_index.EXACT):
            raise LibraryError(
                f"too few vectors to train the index {kind}; leave this index out, "
                "or use more vectors"
            )
        file = index.save(folder, "bench")
        if not index.is_exact:
            embedded = opened.get_embeddings(collection)
            save_vector_file(
                file, SavedIndex(), embedded.read_extent(), embedded, collection.dimensions
            )
        return file

    return call_with_catalog(catalog, build), time.perf_counter() - started_at


def run_in_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new process, to measure the memory of this call separately."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def call_with_catalog(file: Path, use: Callable[[Catalog], Result]) -> Result:
    """Open the catalog in a file, pass it to `use`, close it, and return the result of `use`."""
    catalog = Catalog.open(file)
    try:
        return use(catalog)
    finally:
        catalog.close()


def compute_recall(
    found: list[list[int]], truth: list[list[int]], query_ids: Ids | None = None
) -> float:
    """Return the share of the true neighbors that were found, over all queries."""
    hit_count = expected_count = 0
    for number, (found_ids, true_ids) in enumerate(zip(found, truth, strict=True)):
        expected = set(true_ids) - ({int(query_ids[number])} if query_ids is not None else set())
        hit_count += len(expected & set(found_ids))
        expected_count += len(expected)
    return round(hit_count / expected_count, 4) if expected_count else 1.0


def compute_percentiles_ms(timings: QueryTimings, *percentiles: int) -> tuple[float, ...]:
    """Return percentiles of the latencies in milliseconds."""
    return tuple(
        round(float(value) * 1000, 3) for value in np.percentile(timings.latencies_s, percentiles)
    )
