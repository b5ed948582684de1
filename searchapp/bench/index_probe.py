"""Measure one FAISS index file in a new process, where no part of the file is in memory yet."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchapp.catalog import Catalog
from searchapp.vectors import VectorIndex, Vectors
from searchapp.vectors.faiss_files.faiss_index import FaissIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

HITS_PER_QUERY = 10
EFFORTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
ALL_THREADS_DURATION_S = 2.0


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """An index file, and the queries to measure it with."""

    file: Path
    kind: str
    catalog: Path  # SQLite file with the vectors, to compute exact scores
    last_id: int  # of the embeddings in the index
    queries: Vectors  # [n, dimensions]
    warmup_queries: Vectors  # [m, dimensions]; other queries that run first
    efforts: tuple[float, ...] = (1.0,)
    filter_ids: tuple[NDArray[np.int64], ...] = ()  # for each filter, the ids that match


@dataclass(frozen=True, slots=True)
class QueryTimings:
    """The ids that each query found, and the latency of each query."""

    found_ids: list[list[int]]
    latencies_s: list[float]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Measurements of one FAISS index file."""

    open_s: float
    memory_mb: float  # growth of resident memory by opening and querying
    warmup: QueryTimings  # of the warmup queries, right after opening
    qps_all: float  # queries per second with one thread per core
    timings_by_effort: dict[float, QueryTimings]
    timings_by_filter: list[QueryTimings] = field(default_factory=list)


def probe_index(job: ProbeJob) -> ProbeResult:
    """Open the index file of a job, run the queries of the job, and return the measurements."""
    FaissIndex.set_thread_count(1)
    thread_local = threading.local()

    def fetch(ids: list[int]) -> Iterable[tuple[list[int], list[bytes]]]:
        if not hasattr(thread_local, "catalog"):
            thread_local.catalog = Catalog.open(job.catalog)
        catalog: Catalog = thread_local.catalog
        return catalog.read_vectors(ids)

    list(fetch([1]))
    memory_before_mb, started_at = read_resident_memory_mb(), time.perf_counter()
    index = VectorIndex.open(
        job.file, job.queries.shape[1], fetch=fetch, kind=job.kind, last_id=job.last_id
    )
    open_s = time.perf_counter() - started_at
    warmup = _run_queries(index, job.warmup_queries, None)
    by_effort = {}
    # The default effort runs first: higher efforts would load more of the file into memory.
    for effort in sorted(job.efforts, key=lambda effort: effort != 1.0):
        index.search_effort = effort
        by_effort[effort] = _run_queries(index, job.queries, None)
        if effort == 1.0:
            memory_mb = read_resident_memory_mb() - memory_before_mb
    by_effort = dict(sorted(by_effort.items()))
    index.search_effort = 1.0
    by_filter = [_run_queries(index, job.queries, allowed) for allowed in job.filter_ids]
    qps_all = _measure_all_threads_qps(index, job.queries)
    return ProbeResult(open_s, memory_mb, warmup, qps_all, by_effort, by_filter)


def _run_queries(
    index: VectorIndex, queries: Vectors, allowed_ids: NDArray[np.int64] | None
) -> QueryTimings:
    found_ids, latencies_s = [], []
    for query in queries:
        started_at = time.perf_counter()
        hits = index.search(query, HITS_PER_QUERY, allowed_ids)
        latencies_s.append(time.perf_counter() - started_at)
        found_ids.append([id for id, _ in hits])
    return QueryTimings(found_ids, latencies_s)


def _measure_all_threads_qps(index: VectorIndex, queries: Vectors) -> float:
    """Return the queries per second with one thread per core."""
    started_at = time.perf_counter()

    def run_queries(first: int) -> int:
        count = 0
        while time.perf_counter() - started_at < ALL_THREADS_DURATION_S:
            index.search(queries[(first + count) % len(queries)], HITS_PER_QUERY)
            count += 1
        return count

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        # Each thread begins with another query.
        count = sum(pool.map(run_queries, range(0, threads * 17, 17)))
    return count / (time.perf_counter() - started_at)


def read_resident_memory_mb() -> float:
    """Return the resident memory of this process in MB; without /proc, the peak value."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
