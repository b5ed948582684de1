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

from searchapp.bench.index_probe import EFFORTS, Asked, Job, Probed, probe
from searchapp.bench.synthetic_vectors import Made, Shape
from searchapp.catalog import Catalog
from searchapp.errors import LibraryError
from searchapp.files.library_folder import catalog_file, library_folder
from searchapp.models import select_collection
from searchapp.types import Collection, PictureInfo
from searchapp.vectors import Ids, Vectors, pack, unpack
from searchapp.vectors.faiss_files import choose_index
from searchapp.vectors.indexes import Indexes

SHARES = (0.001, 0.01, 0.1, 0.5)  # of the vectors, that a filter leaves
LARGEST_HNSW = 200_000  # vectors: beyond, its graph takes too long to make and too much memory
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
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
class Filtered:
    """Queries among a share of the vectors, drawn at random; fewest: hits of 10, at worst."""

    index: str
    share: float
    recall_at_10: float
    p50_ms: float
    p95_ms: float
    fewest: int


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Seconds until the index file was in step again after 1,000 vectors were added."""

    index: str
    add_1000_s: float


@dataclass(frozen=True, slots=True)
class Stage:
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
    rows: tuple[Row, ...]
    filters: tuple[Filtered, ...]
    upkeep: tuple[Upkeep, ...]


def measure(options: Options) -> Iterator[Stage | Report]:
    """Measure kinds of index and yield events; the Report comes last.

    Errors: LibraryError, VectorsError (a kind that FAISS does not know).
    """
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-", dir=options.scratch) as name:
        folder = Path(name)
        if options.vectors is None:
            bench = of_library(options.library, options.collection, folder, options.queries)
        else:
            for event in fill(
                folder, options.shape, options.vectors, options.dimensions, options.queries
            ):
                if isinstance(event, Bench):
                    bench = event
                else:
                    yield event
        dimensions, count = bench.collection.dimensions, bench.count()
        for kind in options.kinds:
            choose_index.check(kind, dimensions)
        results = list[Row | Filtered | Upkeep]()
        upkeep = bench.upkeep() if options.upkeep and options.vectors is not None else ()
        for result in chain(bench.run(options.kinds, filters=options.filters), upkeep):
            if isinstance(result, Stage):
                yield result
            else:
                results.append(result)
        yield Report(
            count,
            dimensions,
            tuple(each for each in results if isinstance(each, Row)),
            tuple(each for each in results if isinstance(each, Filtered)),
            tuple(each for each in results if isinstance(each, Upkeep)),
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """A collection in a catalogue, what to ask it, and a folder for the index files."""

    catalog: Path
    collection: Collection
    queries: Vectors
    warming: Vectors
    folder: Path
    own: Ids | None = None  # where the queries are stored vectors: their ids, not to be found

    def count(self) -> int:
        """Return how many vectors there are."""
        return _with(self.catalog, lambda c: c.embedded(self.collection).extent().count)

    def run(
        self, chosen: tuple[str, ...] = (), *, filters: bool = False
    ) -> Iterator[Stage | Row | Filtered | Upkeep]:
        """Measure the exact scan, and then each kind."""
        count = self.count()
        truth: list[list[int]] = []
        selections = self._selections() if filters else ()
        right: list[list[list[int]]] = []
        for kind in (choose_index.EXACT, *(chosen or self.sensible(count))):
            yield Stage(f"making {kind} of {count:,} vectors")
            file, build_s = _apart(_build, self.catalog, self.collection, kind, self.folder)
            yield Stage(f"asking {kind}")
            exact = kind == choose_index.EXACT
            job = Job(
                file, kind, self.catalog, self.queries, self.warming,
                (1.0,) if exact else EFFORTS, selections,
            )  # fmt: skip
            probed = _apart(probe, job)
            disk = file.stat().st_size / 1e6
            file.unlink()
            asked = probed.by_effort[1.0]
            if exact:
                truth = asked.found
                right = [each.found for each in probed.by_filter]
            yield self._row(kind, probed, truth, build_s, disk)
            for share, each, found in zip(SHARES, probed.by_filter, right, strict=False):
                p50, p95 = _milliseconds(each, 50, 95)
                recall = _recall(each.found, found)
                yield Filtered(kind, share, recall, p50, p95, min(map(len, each.found)))

    def upkeep(self) -> Iterator[Stage | Upkeep]:
        """Measure what it takes to save what auto takes after 1,000 vectors came."""
        kind = choose_index.trained(self.count())

        def measure(catalog: Catalog) -> float:
            catalog.embedded(self.collection).want(kind)
            indexes = Indexes(self.folder, catalog)
            list(indexes.save(self.collection))
            add(catalog, self.collection, np.resize(self.queries, (1000, self.queries.shape[1])))
            begun = time.perf_counter()
            list(indexes.save(self.collection))
            return time.perf_counter() - begun

        yield Stage(f"saving {kind}")
        yield Upkeep(kind, round(_with(self.catalog, measure), 3))

    def sensible(self, count: int) -> tuple[str, ...]:
        """Return the kinds that make sense for so many vectors, the one that auto takes first."""
        auto = choose_index.trained(count)
        lists = auto.split(",")[1]
        dimensions = self.collection.dimensions
        parts = next(
            n for n in (dimensions // 8, dimensions // 4, dimensions) if dimensions % n == 0
        )
        found = [auto, f"RR,{lists},RaBitQfs", f"{lists},SQ8", f"{lists},PQ{parts}x4fs"]
        if count <= LARGEST_HNSW:
            found.append("HNSW32,SQ8")
        return tuple(found)

    def _row(
        self, kind: str, probed: Probed, truth: list[list[int]], build_s: float, disk_mb: float
    ) -> Row:
        asked = probed.by_effort[1.0]
        curve = tuple(
            (_recall(each.found, truth, self.own), _milliseconds(each, 50)[0])
            for each in probed.by_effort.values()
        )
        p50, p95, p99 = _milliseconds(asked, 50, 95, 99)
        return Row(
            kind, _recall(asked.found, truth, self.own), p50, p95, p99,
            _milliseconds(probed.first, 50)[0],
            round(len(asked.seconds) / sum(asked.seconds), 1), round(probed.qps_all, 1),
            round(probed.memory_mb, 1), round(build_s, 1), round(probed.open_s, 4),
            round(disk_mb, 1), curve,
        )  # fmt: skip

    def _selections(self) -> tuple[Ids, ...]:
        rng = np.random.default_rng(2)

        def every(catalog: Catalog) -> Ids:
            embedded = catalog.embedded(self.collection)
            return embedded.ids(embedded.extent().last_id)

        ids = _with(self.catalog, every)
        return tuple(ids[rng.random(len(ids)) < share] for share in SHARES)


def fill(
    folder: Path, shape: Shape, count: int, dimensions: int, queries: int
) -> Iterator[Stage | Bench]:
    """Make a catalogue of made vectors, and what to ask it; the Bench comes last."""
    made = Made(shape, dimensions)
    asked, warming = made.take(queries), made.take(queries)
    folder.mkdir(parents=True, exist_ok=True)
    catalog = Catalog.open(catalog_file(folder), create=True)
    try:
        collection = catalog.add_collection(shape, "made", "1", dimensions, "{}")
        done = 0
        for page in made.pages(count):
            add(catalog, collection, page)
            done += len(page)
            yield Stage(f"writing vectors: {done:,} of {count:,}")
    finally:
        catalog.close()
    yield Bench(catalog_file(folder), collection, asked, warming, folder)


def add(catalog: Catalog, collection: Collection, vectors: Vectors) -> None:
    """Write made vectors, [n, dimensions], as an index run would."""
    first = catalog.embedded(collection).extent().last_id
    with catalog.atomic():
        hashes = [f"{number:064x}" for number, _ in enumerate(vectors, first + 1)]
        info = PictureInfo(format="made", width=1, height=1)
        ids = catalog.writer.save_images(dict.fromkeys(hashes, info))
        packed = zip(hashes, map(pack, vectors), strict=True)
        catalog.writer.save_embeddings(
            collection, {ids[sha256]: vector for sha256, vector in packed}
        )


def of_library(library: Path | None, name: str | None, folder: Path, queries: int) -> Bench:
    """Ask a collection with some of its own vectors, each of which is not to find itself."""
    file = catalog_file(library_folder(library))

    def bench(catalog: Catalog) -> Bench:
        collection = select_collection.chosen(catalog, name)
        embedded = catalog.embedded(collection)
        ids = embedded.ids(embedded.extent().last_id)
        drawn = np.random.default_rng(0).permutation(ids)[: 2 * queries]
        chosen, others = np.sort(drawn[: len(drawn) // 2]), drawn[len(drawn) // 2 :]

        def stored(some: Ids) -> Vectors:
            blobs = [blob for _, page in catalog.vectors(some.tolist()) for blob in page]
            return unpack(blobs, collection.dimensions)

        return Bench(file, collection, stored(chosen), stored(others), folder, chosen)

    return _with(file, bench)


def _build(catalog: Path, collection: Collection, kind: str, folder: Path) -> tuple[Path, float]:
    begun = time.perf_counter()

    def build(opened: Catalog) -> Path:
        index, _ = Indexes(folder, opened).make(collection, kind)
        if (index.kind, index.exact) != (kind, kind == choose_index.EXACT):
            raise LibraryError(f"too few vectors to train {kind}; leave it out, or take more")
        return index.save(folder, "bench")

    return _with(catalog, build), time.perf_counter() - begun


def _apart(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a new process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _with(file: Path, use: Callable[[Catalog], T]) -> T:
    catalog = Catalog.open(file)
    try:
        return use(catalog)
    finally:
        catalog.close()


def _recall(found: list[list[int]], truth: list[list[int]], own: Ids | None = None) -> float:
    """Return which share of the right answers was found."""
    hits = wanted = 0
    for number, (some, right) in enumerate(zip(found, truth, strict=True)):
        expected = set(right) - ({int(own[number])} if own is not None else set())
        hits += len(expected & set(some))
        wanted += len(expected)
    return round(hits / wanted, 4) if wanted else 1.0


def _milliseconds(asked: Asked, *percentiles: int) -> tuple[float, ...]:
    return tuple(
        round(float(value) * 1000, 3) for value in np.percentile(asked.seconds, percentiles)
    )
