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
from searchapp.vectors.faiss_files.index_types import Base

if TYPE_CHECKING:
    from numpy.typing import NDArray

COUNT = 10
EFFORTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
SECONDS_AT_ALL_THREADS = 2.0


@dataclass(frozen=True, slots=True)
class Job:
    """An index file, the catalogue beneath it, and what to ask: queries, [n, dimensions].

    The warming queries are asked first, and are others: what they touch is in memory then.
    """

    file: Path
    kind: str
    catalog: Path
    queries: Vectors
    warming: Vectors
    efforts: tuple[float, ...] = (1.0,)
    filters: tuple[NDArray[np.int64], ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What some queries found, and how long each took, in seconds."""

    found: list[list[int]]
    seconds: list[float]


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured of one index file."""

    open_s: float
    memory_mb: float
    first: Asked  # the warming queries, right after opening
    qps_all: float
    by_effort: dict[float, Asked]
    by_filter: list[Asked] = field(default_factory=list)


def probe(job: Job) -> Probed:
    """Open an index and ask it."""
    Base.use_threads(1)
    local = threading.local()

    def fetch(ids: list[int]) -> Iterable[tuple[list[int], list[bytes]]]:
        if not hasattr(local, "catalog"):
            local.catalog = Catalog.open(job.catalog)
        catalog: Catalog = local.catalog
        return catalog.vectors(ids)

    list(fetch([1]))
    before, begun = _memory(), time.perf_counter()
    index = VectorIndex.open(job.file, job.queries.shape[1], fetch=fetch, kind=job.kind)
    open_s = time.perf_counter() - begun
    first = _ask(index, job.warming, None)
    by_effort = {}
    # The effort that counts comes first: no other has touched what it needs.
    for effort in sorted(job.efforts, key=lambda effort: effort != 1.0):
        index.effort = effort
        by_effort[effort] = _ask(index, job.queries, None)
        if effort == 1.0:
            memory = _memory() - before
    by_effort = dict(sorted(by_effort.items()))
    index.effort = 1.0
    by_filter = [_ask(index, job.queries, among) for among in job.filters]
    rate = _at_all_threads(index, job.queries)
    return Probed(open_s, memory, first, rate, by_effort, by_filter)


def _ask(index: VectorIndex, queries: Vectors, among: NDArray[np.int64] | None) -> Asked:
    found, seconds = [], []
    for query in queries:
        begun = time.perf_counter()
        hits = index.search(query, COUNT, among)
        seconds.append(time.perf_counter() - begun)
        found.append([id for id, _ in hits])
    return Asked(found, seconds)


def _at_all_threads(index: VectorIndex, queries: Vectors) -> float:
    """Return how many queries a second are answered, one thread a core."""
    begun = time.perf_counter()

    def work(number: int) -> int:
        done = 0
        while time.perf_counter() - begun < SECONDS_AT_ALL_THREADS:
            index.search(queries[(number + done) % len(queries)], COUNT)
            done += 1
        return done

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, range(0, threads * 17, 17)))
    return done / (time.perf_counter() - begun)


def _memory() -> float:
    """Return the resident memory in megabytes (where /proc does not tell: the most there was)."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3
