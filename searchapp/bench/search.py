"""Measure FAISS index types on a collection: the steps of `searchapp bench search`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from searchapp.bench.bench_collections import make_library_bench, make_synthetic_bench
from searchapp.bench.compare_peers import MissingPeer, PeerRow, compare_peers
from searchapp.bench.index_bench import BenchStage, FilteredRow, IndexBench, IndexRow, UpkeepRow
from searchapp.bench.synthetic_vectors import Shape
from searchapp.vectors.faiss_files import choose_index


@dataclass(frozen=True, slots=True)
class SearchBenchOptions:
    """What to measure: a collection of a library, or synthetic vectors."""

    library: Path | None = None
    collection: str | None = None
    vectors: int | None = None  # number of synthetic vectors; None: use the collection
    dimensions: int = 768  # of synthetic vectors
    shape: Shape = "clustered"  # of synthetic vectors
    kinds: tuple[str, ...] = ()  # FAISS factory strings; by default, suitable ones are chosen
    queries: int = 200
    filters: bool = False  # also measure filtered queries
    upkeep: bool = False  # also measure adding vectors; only for synthetic vectors
    scratch: Path | None = None  # folder for temporary files
    peers: bool = False  # also compare with indexes of other libraries


@dataclass(frozen=True, slots=True)
class SearchBenchReport:
    """Results of measure_search."""

    vectors: int  # in the collection
    dim: int
    rows: tuple[IndexRow, ...]  # the exact index first, if it fits in memory
    filters: tuple[FilteredRow, ...]
    upkeep: tuple[UpkeepRow, ...]
    peers: tuple[PeerRow, ...] = ()  # searchapp's index first
    missing_peers: tuple[MissingPeer, ...] = ()


def measure_search(options: SearchBenchOptions) -> Iterator[BenchStage | SearchBenchReport]:
    """Measure FAISS index types; yield progress events, then the SearchBenchReport.

    Errors: LibraryError if the library or the collection does not exist, or has too few vectors;
    VectorsError for an index type that FAISS does not know.
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
        results = list[IndexRow | FilteredRow | UpkeepRow | PeerRow | MissingPeer]()
        upkeep = bench.measure_upkeep() if options.upkeep and options.vectors is not None else ()
        kinds = options.kinds
        peers: Iterable[BenchStage | PeerRow | MissingPeer] = ()
        if options.peers:
            kinds = kinds or bench.choose_kinds(count)[:1]
            peers = compare_peers(bench, kinds[0])
        for result in chain(bench.measure_kinds(kinds, filters=options.filters), peers, upkeep):
            if isinstance(result, BenchStage):
                yield result
            else:
                results.append(result)
        yield SearchBenchReport(
            count,
            dimensions,
            tuple(row for row in results if isinstance(row, IndexRow)),
            tuple(row for row in results if isinstance(row, FilteredRow)),
            tuple(row for row in results if isinstance(row, UpkeepRow)),
            tuple(row for row in results if isinstance(row, PeerRow)),
            tuple(row for row in results if isinstance(row, MissingPeer)),
        )
