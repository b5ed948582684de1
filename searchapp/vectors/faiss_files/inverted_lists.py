"""Search the inverted lists of a FAISS IVF index: the nearest ones, or chosen ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchapp.vectors.faiss_files import packed_lists
from searchapp.vectors.faiss_files.scan_steps import ScanLists
from searchapp.vectors.packing import Ids, Vectors

# Measured: with fewer probes than this minimum, recall is lost in an index with few lists. Packed
# lists are scanned faster. So an index has fewer of them, and scans a larger part.
MIN_PROBES, PROBES_PER_ROOT = 112, 1.75  # per square root of the number of lists
MIN_PACKED_PROBES, PACKED_PROBES_PER_ROOT = 112, 3.5

ListMask: TypeAlias = NDArray[np.bool_]  # for each inverted list, whether a search may scan it


class InvertedLists:
    """The inverted lists of a FAISS IVF index. Queries are transformed as its vectors are."""

    def __init__(self, ivf: Any) -> None:
        """Wrap the lists of an IVF index."""
        import faiss

        self._faiss: Any = faiss  # its type stubs lack some classes
        self._ivf = ivf
        quantizer = self._faiss.downcast_index(ivf.quantizer)
        self._graph: Any = quantizer if isinstance(quantizer, faiss.IndexHNSWFlat) else None
        centroids = quantizer if self._graph is None else quantizer.storage
        self._centroids: Any = self._faiss.downcast_index(centroids)
        self._list_numbers: NDArray[np.unsignedinteger] | None = None  # see _get_list_numbers

    def __len__(self) -> int:
        """Return the number of lists."""
        return int(self._ivf.nlist)

    @cached_property
    def min_probes(self) -> int:
        """Return the minimum number of lists to search."""
        root = math.sqrt(len(self))
        if packed_lists.has_packed_lists(self._ivf):
            return max(MIN_PACKED_PROBES, round(PACKED_PROBES_PER_ROOT * root))
        return max(MIN_PROBES, round(PROBES_PER_ROOT * root))

    def read_ids(self) -> Iterator[Ids]:
        """Yield a copy of the ids of each list."""
        lists = self._ivf.invlists
        for number in range(len(self)):
            ids: Ids = np.empty(0, dtype=np.int64)
            if size := lists.list_size(number):
                pointer = lists.get_ids(number)
                ids = self._faiss.rev_swig_ptr(pointer, size).copy()
                lists.release_ids(number, pointer)
            yield ids

    def forget_ids(self) -> None:
        """Forget the ids of all lists, because they change."""
        self._list_numbers = None

    def find_lists(self, ids: Ids) -> ListMask:
        """Return which lists contain some of these ids: [lists].

        The first call reads all ids of the index.
        """
        numbers = self._get_list_numbers()
        mask = np.zeros(len(self) + 1, dtype=bool)
        mask[numbers[ids[ids < len(numbers)]]] = True
        return mask[:-1]

    def _get_list_numbers(self) -> NDArray[np.unsignedinteger]:
        """Return the number of the list of each id; for ids that no list has, len(self)."""
        if self._list_numbers is None:
            id_lists = list(self.read_ids())
            max_id = max((int(ids.max()) for ids in id_lists if len(ids)), default=-1)
            numbers = np.full(max_id + 1, len(self), np.min_scalar_type(len(self)))
            for number, ids in enumerate(id_lists):
                numbers[ids] = number
            self._list_numbers = numbers
        return self._list_numbers

    def search(
        self, queries: Vectors, count: int, selector: Any, probes: int
    ) -> tuple[Ids, Vectors]:
        """Return the ids and FAISS's scores of the best vectors in the nearest lists, [n, count].

        Missing results have the id -1. queries: [n, dimensions].
        """
        # To find many lists, comparing all centroids is faster than the HNSW graph.
        if self._graph is not None and probes * 4 >= len(self):
            distances, lists = self._centroids.search(queries, probes)
            return self.scan(queries, count, selector, distances, lists)
        scores, ids = self._ivf.search(
            queries, count, params=self._make_parameters(selector, probes)
        )
        return ids, scores

    def start_scan(
        self, queries: Vectors, count: int, selector: Any, mask: ListMask | None
    ) -> tuple[ScanLists, int]:
        """Return a function that scans lists, nearest first, and the number of lists.

        The function returns FAISS's scores in place of cosines. queries: [n, dimensions]. count:
        vectors to return for each query. mask: the lists to scan; None: all.
        """
        distances, lists = self._sort(queries)
        if mask is not None:
            shape, is_chosen = (len(queries), -1), mask[lists]  # In each row, as many are chosen.
            distances, lists = distances[is_chosen].reshape(shape), lists[is_chosen].reshape(shape)

        def scan(numbers: Ids, start: int, end: int) -> tuple[Ids, Vectors]:
            part = numbers, slice(start, end)
            return self.scan(
                queries[numbers], count, selector,
                np.ascontiguousarray(distances[part]), np.ascontiguousarray(lists[part]),
            )  # fmt: skip

        return scan, lists.shape[1]

    def scan(
        self, queries: Vectors, count: int, selector: Any, distances: Vectors, lists: Ids
    ) -> tuple[Ids, Vectors]:
        """Return what search() does, from the given lists: [n, lists], with their distances."""
        scores = np.empty((len(queries), count), np.float32)
        ids = np.full((len(queries), count), -1, np.int64)
        if lists.size and count:
            pointers = map(self._faiss.swig_ptr, (lists, distances, scores, ids))
            self._ivf.search_preassigned_c(
                len(queries), self._faiss.swig_ptr(queries), count, *pointers, False,
                self._make_parameters(selector, lists.shape[1]),
            )  # fmt: skip
        return ids, scores

    def _sort(self, queries: Vectors) -> tuple[Vectors, Ids]:
        """Return the distances of all lists and their numbers, nearest first: [n, lists]."""
        if not isinstance(self._centroids, self._faiss.IndexFlatL2):
            distances, lists = self._centroids.search(queries, len(self))
            return distances, lists
        # Half the time of a search in IndexFlatL2, whose heap is slow for so many results.
        all_distances = np.empty((len(queries), len(self)), np.float32)
        for query, row in zip(queries, all_distances, strict=True):
            self._faiss.fvec_L2sqr_ny(
                self._faiss.swig_ptr(row), self._faiss.swig_ptr(query),
                self._centroids.get_xb(), self._centroids.d, len(self),
            )  # fmt: skip
        numbers = np.argsort(all_distances, axis=1)
        return np.take_along_axis(all_distances, numbers, 1), numbers

    def _make_parameters(self, selector: Any, probes: int) -> Any:
        faiss = self._faiss
        arguments = {"sel": selector} if selector is not None else {}
        if self._graph is not None:
            arguments["quantizer_params"] = faiss.SearchParametersHNSW(efSearch=max(64, probes))
        if isinstance(self._ivf, faiss.IndexIVFRaBitQ):
            return faiss.IVFRaBitQSearchParameters(nprobe=probes, qb=8, **arguments)
        return faiss.SearchParametersIVF(nprobe=probes, **arguments)
