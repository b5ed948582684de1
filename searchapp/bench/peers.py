"""Build and open vector indexes of other libraries, to compare searchapp's index with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from searchapp.vectors import Ids, Vectors

LINKS = 32  # of a node in the graph (M)
BUILD_EFFORT = 200  # candidates while a node is added (efConstruction)
# Candidates of a query (ef), 16 to 1024.
PEER_EFFORTS = tuple(float(round(2 ** (n / 4))) for n in range(16, 41))

Pages: TypeAlias = "Iterable[tuple[Ids, Vectors]]"
# Returns the ids nearest to a query, from query, [dimensions], count and effort.
FindNearest: TypeAlias = "Callable[[Vectors, int, float], list[int]]"


@dataclass(frozen=True, slots=True)
class Peer:
    """Index of another library: how to build its file, and how to search in it."""

    name: str
    module: str
    package: str  # to install
    build: Callable[[Pages, int, int, Path], None]  # vectors, their number, dimensions, file
    open: Callable[[Path, int], FindNearest]  # file, dimensions; searches on one thread

    @property
    def is_installed(self) -> bool:
        """Return whether the library can be imported; an incomplete one cannot."""
        try:
            import_module(self.module)
        except ImportError:
            return False
        return True


def _build_hnswlib(pages: Pages, count: int, dimensions: int, file: Path) -> None:
    index = import_module("hnswlib").Index("ip", dimensions)
    index.init_index(count, M=LINKS, ef_construction=BUILD_EFFORT)
    for ids, vectors in pages:
        index.add_items(vectors, ids)
    index.save_index(str(file))


def _open_hnswlib(file: Path, dimensions: int) -> FindNearest:
    index = import_module("hnswlib").Index("ip", dimensions)
    index.load_index(str(file))
    index.set_num_threads(1)

    def find(query: Vectors, count: int, effort: float) -> list[int]:
        index.set_ef(max(count, int(effort)))
        return [int(id) for id in index.knn_query(query[None], count)[0][0]]

    return find


def _make_usearch(dimensions: int) -> Any:
    return import_module("usearch.index").Index(
        ndim=dimensions, metric="ip", dtype="f16", connectivity=LINKS, expansion_add=BUILD_EFFORT
    )


def _build_usearch(pages: Pages, count: int, dimensions: int, file: Path) -> None:
    index = _make_usearch(dimensions)
    for ids, vectors in pages:
        index.add(ids, vectors)
    index.save(str(file))


def _open_usearch(file: Path, dimensions: int) -> FindNearest:
    index = _make_usearch(dimensions)
    index.load(str(file))

    def find(query: Vectors, count: int, effort: float) -> list[int]:
        index.expansion_search = max(count, int(effort))
        return [int(id) for id in index.search(query, count, threads=1).keys]

    return find


def _build_faiss(pages: Pages, count: int, dimensions: int, file: Path) -> None:
    faiss: Any = import_module("faiss")
    graph = faiss.IndexHNSWFlat(dimensions, LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = BUILD_EFFORT
    index = faiss.IndexIDMap(graph)
    for ids, vectors in pages:
        index.add_with_ids(vectors, ids)
    faiss.write_index(index, str(file))


def _open_faiss(file: Path, dimensions: int) -> FindNearest:
    faiss: Any = import_module("faiss")
    faiss.omp_set_num_threads(1)
    index = faiss.read_index(str(file))

    def find(query: Vectors, count: int, effort: float) -> list[int]:
        parameters = faiss.SearchParametersHNSW(efSearch=max(count, int(effort)))
        return [int(id) for id in index.search(query[None], count, params=parameters)[1][0]]

    return find


PEERS = (
    Peer(f"hnswlib M{LINKS}", "hnswlib", "hnswlib", _build_hnswlib, _open_hnswlib),
    Peer(f"usearch f16 M{LINKS}", "usearch", "usearch", _build_usearch, _open_usearch),
    Peer(f"faiss HNSW{LINKS}", "faiss", "faiss-cpu", _build_faiss, _open_faiss),
)
