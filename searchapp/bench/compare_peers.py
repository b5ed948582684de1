"""Measure searchapp's index and indexes of other libraries, query by query in turn."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from searchapp.bench.index_bench import (
    BenchStage,
    IndexBench,
    build_index_file,
    call_with_catalog,
    compute_percentiles_ms,
    compute_recall,
    run_in_process,
)
from searchapp.bench.index_probe import (
    HITS_PER_QUERY,
    QueryTimings,
    read_resident_memory_mb,
)
from searchapp.bench.peers import PEER_EFFORTS, PEERS, FindNearest, Pages, Peer
from searchapp.catalog import Catalog
from searchapp.types import Collection, format_count
from searchapp.vectors import VectorIndex, Vectors, unpack_vectors
from searchapp.vectors.faiss_files.faiss_index import FaissIndex

MIN_RECALL = 0.98  # Each index is searched at its smallest effort with this recall.
OWN_EFFORTS = tuple(2 ** (n / 4) for n in range(-12, 9))  # 1/8 to 4
ROUNDS = 3
QUERIES_PER_TURN = 10  # few, so that a disturbance of the machine hits all indexes


@dataclass(frozen=True, slots=True)
class PeerRow:
    """Measured figures of one index, and their ratios to those of searchapp's index."""

    index: str
    effort: float  # of searchapp's index a factor, of the others the candidates of a query
    recall_at_10: float  # below MIN_RECALL if no effort reaches it
    qps: float  # queries per second with one thread
    p50_ms: float
    build_s: float
    memory_mb: float  # growth of resident memory by opening and querying
    qps_ratio: float
    p50_ratio: float
    build_ratio: float
    memory_ratio: float


@dataclass(frozen=True, slots=True)
class MissingPeer:
    """Index that was not measured, because its library is not installed."""

    index: str
    package: str


@dataclass(frozen=True, slots=True)
class ComparedIndex:
    """An index to compare. peer: None for searchapp's index."""

    name: str
    peer: Peer | None
    file: Path
    build_s: float
    last_id: int  # of the embeddings
    effort: float = 1.0
    recall: float = 0.0
    memory_mb: float = 0.0

    def open(self, catalog_file: Path, dimensions: int) -> FindNearest:
        """Open the index file, to search on one thread."""
        FaissIndex.set_thread_count(1)
        if self.peer is not None:
            return self.peer.open(self.file, dimensions)
        catalog = Catalog.open(catalog_file)
        list(catalog.read_vectors([1]))
        index = VectorIndex.open(
            self.file, dimensions, fetch=catalog.read_vectors, kind=self.name, last_id=self.last_id
        )

        def find(query: Vectors, count: int, effort: float) -> list[int]:
            index.search_effort = effort
            return [id for id, _ in index.search(query, count)]

        return find


def compare_peers(bench: IndexBench, kind: str) -> Iterator[BenchStage | PeerRow | MissingPeer]:
    """Measure searchapp's index of a kind, then each peer; yield stages, rows, missing peers.

    Errors: LibraryError if there are too few vectors to train the index.
    """
    extent = bench.read_extent()
    count = format_count(extent.count, "vector")
    missing = [peer for peer in PEERS if not peer.is_installed]
    indexes = []
    for peer in (None, *(peer for peer in PEERS if peer.is_installed)):
        name = kind if peer is None else peer.name
        yield BenchStage(f"building the index {name} from {count}")
        if peer is None:
            file, build_s = run_in_process(
                build_index_file, bench.catalog_file, bench.collection, kind, bench.folder
            )
        else:
            file = bench.folder / f"{peer.module}.index"
            build_s = run_in_process(build_peer, peer, bench.catalog_file, bench.collection, file)
        indexes.append(ComparedIndex(name, peer, file, build_s, extent.last_id))
    yield BenchStage("comparing all vectors, to know the nearest ones")
    truth = call_with_catalog(
        bench.catalog_file, lambda catalog: find_nearest_exactly(catalog, bench)
    )
    for number, index in enumerate(indexes):
        yield BenchStage(f"choosing the effort of {index.name}")
        indexes[number] = run_in_process(choose_effort, index, bench, truth)
    yield BenchStage("querying all of them in turn")
    timings = run_in_process(query_in_turn, indexes, bench)
    yield from _make_rows(indexes, timings)
    yield from (MissingPeer(peer.name, peer.package) for peer in missing)


def _read_pages(catalog: Catalog, collection: Collection) -> Pages:
    embedded = catalog.get_embeddings(collection)
    for ids, blobs in embedded.read_vectors_after(0, embedded.read_extent().last_id):
        yield np.array(ids, np.int64), unpack_vectors(blobs, collection.dimensions)


def build_peer(peer: Peer, catalog_file: Path, collection: Collection, file: Path) -> float:
    """Build the index of a peer from the stored vectors; return the time in seconds."""
    started_at = time.perf_counter()

    def build(catalog: Catalog) -> None:
        count = catalog.get_embeddings(collection).read_extent().count
        peer.build(_read_pages(catalog, collection), count, collection.dimensions, file)

    call_with_catalog(catalog_file, build)
    return time.perf_counter() - started_at


def find_nearest_exactly(catalog: Catalog, bench: IndexBench) -> list[list[int]]:
    """Return the ids of the nearest stored vectors of each query, best first."""
    queries = bench.queries
    best_ids = np.empty((len(queries), 0), np.int64)
    best_scores = np.empty((len(queries), 0), np.float32)
    for ids, vectors in _read_pages(catalog, bench.collection):
        all_ids = np.hstack([best_ids, np.broadcast_to(ids, (len(queries), len(ids)))])
        scores = np.hstack([best_scores, queries @ vectors.T])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :HITS_PER_QUERY]
        best_ids = np.take_along_axis(all_ids, order, 1)
        best_scores = np.take_along_axis(scores, order, 1)
    return best_ids.tolist()


def choose_effort(index: ComparedIndex, bench: IndexBench, truth: list[list[int]]) -> ComparedIndex:
    """Return an index with its smallest effort that reaches MIN_RECALL, and with its memory."""
    dimensions = bench.collection.dimensions
    # The memory that the import of the library takes is not that of the index.
    if index.peer is not None:
        import_module(index.peer.module)
    before_mb = read_resident_memory_mb()
    find = index.open(bench.catalog_file, dimensions)
    efforts = OWN_EFFORTS if index.peer is None else PEER_EFFORTS
    recalls = dict[float, float]()

    def is_enough(effort: float) -> bool:
        found = [find(query, HITS_PER_QUERY, effort) for query in bench.queries]
        recalls[effort] = compute_recall(found, truth, bench.query_ids)
        return recalls[effort] >= MIN_RECALL

    chosen = efforts[min(bisect_left(efforts, True, key=is_enough), len(efforts) - 1)]
    memory_mb = read_resident_memory_mb() - before_mb
    return replace(index, effort=chosen, recall=recalls[chosen], memory_mb=memory_mb)


def query_in_turn(indexes: list[ComparedIndex], bench: IndexBench) -> list[QueryTimings]:
    """Run all queries on each index, a few at a time in turn; return the latencies of each."""
    dimensions = bench.collection.dimensions
    finds = [index.open(bench.catalog_file, dimensions) for index in indexes]
    timings = [QueryTimings([], []) for _ in indexes]
    for find, index in zip(finds, indexes, strict=True):
        _run_queries(find, index.effort, bench.warmup_queries)
    for _ in range(ROUNDS):
        for start in range(0, len(bench.queries), QUERIES_PER_TURN):
            turn = bench.queries[start : start + QUERIES_PER_TURN]
            for find, index, timing in zip(finds, indexes, timings, strict=True):
                timing.latencies_s.extend(_run_queries(find, index.effort, turn))
    return timings


def _run_queries(find: FindNearest, effort: float, queries: Vectors) -> list[float]:
    latencies_s = []
    for query in queries:
        started_at = time.perf_counter()
        find(query, HITS_PER_QUERY, effort)
        latencies_s.append(time.perf_counter() - started_at)
    return latencies_s


def _make_rows(indexes: list[ComparedIndex], timings: list[QueryTimings]) -> Iterator[PeerRow]:
    """Yield the row of each index; searchapp's index, with which all are compared, is the first."""
    figures = [
        (
            len(timing.latencies_s) / sum(timing.latencies_s),
            compute_percentiles_ms(timing, 50)[0],
            index.build_s,
            index.memory_mb,
        )
        for index, timing in zip(indexes, timings, strict=True)
    ]
    for index, values in zip(indexes, figures, strict=True):
        ratios = [
            round(value / base, 3) if base > 0 else 0.0
            for value, base in zip(values, figures[0], strict=True)
        ]
        yield PeerRow(
            index.name, index.effort, index.recall, *(round(value, 3) for value in values),
            *ratios,
        )  # fmt: skip
