"""Measure one index file in a process of its own, as a first query would find it."""

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
    """An index file, the catalogue beneath it, and what to ask: queries, [n, dimensions].

    The warming queries are asked first, and are others: what they touch is in memory then.
    """

    file: Path
    kind: str
    catalog: Path
    queries: Vectors
    warmup_queries: Vectors
    efforts: tuple[float, ...] = (1.0,)
    filter_ids: tuple[NDArray[np.int64], ...] = ()


@dataclass(frozen=True, slots=True)
class QueryTimings:
    """What some queries found, and how long each took, in seconds."""

    found_ids: list[list[int]]
    latencies_s: list[float]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was measured of one index file."""

    open_s: float
    memory_mb: float
    warmup: QueryTimings  # the warming queries, right after opening
    qps_all: float
    timings_by_effort: dict[float, QueryTimings]
    timings_by_filter: list[QueryTimings] = field(default_factory=list)


def probe_index(job: ProbeJob) -> ProbeResult:
    """Open an index and ask it."""
    FaissIndex.set_thread_count(1)
    thread_local = threading.local()

    def fetch(ids: list[int]) -> Iterable[tuple[list[int], list[bytes]]]:
        if not hasattr(thread_local, "catalog"):
            thread_local.catalog = Catalog.open(job.catalog)
        catalog: Catalog = thread_local.catalog
        return catalog.read_vectors(ids)

    list(fetch([1]))
    memory_before_mb, started_at = _resident_memory_mb(), time.perf_counter()
    index = VectorIndex.open(job.file, job.queries.shape[1], fetch=fetch, kind=job.kind)
    open_s = time.perf_counter() - started_at
    first = _run_queries(index, job.warmup_queries, None)
    by_effort = {}
    # The effort that counts comes first: no other has touched what it needs.
    for effort in sorted(job.efforts, key=lambda effort: effort != 1.0):
        index.search_effort = effort
        by_effort[effort] = _run_queries(index, job.queries, None)
        if effort == 1.0:
            memory = _resident_memory_mb() - memory_before_mb
    by_effort = dict(sorted(by_effort.items()))
    index.search_effort = 1.0
    by_filter = [_run_queries(index, job.queries, among) for among in job.filter_ids]
    rate = _measure_all_threads_qps(index, job.queries)
    return ProbeResult(open_s, memory, first, rate, by_effort, by_filter)


def _run_queries(
    index: VectorIndex, queries: Vectors, allowed_ids: NDArray[np.int64] | None
) -> QueryTimings:
    found_ids, seconds = [], []
    for query in queries:
        begun = time.perf_counter()
        hits = index.search(query, HITS_PER_QUERY, allowed_ids)
        seconds.append(time.perf_counter() - begun)
        found_ids.append([id for id, _ in hits])
    return QueryTimings(found_ids, seconds)


def _measure_all_threads_qps(index: VectorIndex, queries: Vectors) -> float:
    """Return how many queries a second are answered, one thread a core."""
    begun = time.perf_counter()

    def work(number: int) -> int:
        done = 0
        while time.perf_counter() - begun < ALL_THREADS_DURATION_S:
            index.search(queries[(number + done) % len(queries)], HITS_PER_QUERY)
            done += 1
        return done

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(0, threads * 17, 17)))
    return done / (time.perf_counter() - begun)


def _resident_memory_mb() -> float:
    """Return the resident memory in megabytes (where /proc does not tell: the most there was)."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
