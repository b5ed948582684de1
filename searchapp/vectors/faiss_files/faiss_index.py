"""Uniform interface over FAISS index types: read, train, add, remove, search and write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np

from searchapp.files.display_path import is_utf8
from searchapp.vectors.faiss_files import choose_index, packed_lists, rotation
from searchapp.vectors.faiss_files.checksums import ChecksumWriter
from searchapp.vectors.faiss_files.inverted_lists import InvertedLists, ListMask
from searchapp.vectors.faiss_files.scan_steps import ScanLists
from searchapp.vectors.faiss_files.threads import limit_threads
from searchapp.vectors.faiss_files.training import compute_sample_size, train_index
from searchapp.vectors.packing import Ids, Vectors

# The first bytes of a file whose index is an IndexIDMap or IndexIDMap2, not an IVF index.
ID_MAP_MAGIC_BYTES = (b"IxMp", b"IxM2")

logger = logging.getLogger(__name__)


class RemovalUnsupportedError(Exception):
    """Report that this kind of index cannot remove vectors and must be rebuilt."""


class FaissIndex:
    """A FAISS index that stores each vector with an id."""

    def __init__(self, index: Any) -> None:
        """Wrap a FAISS index."""
        import faiss

        self._faiss: Any = faiss  # its type stubs lack some classes
        self._index = index
        self._ivf = choose_index.find_ivf(index)
        self._transforms = choose_index.list_transforms(index) if self._ivf is not None else []
        self._rotation_blocks = self._read_rotation()
        inner = None if self._ivf is not None else faiss.downcast_index(index.index)
        self._inner = inner
        self._lists = InvertedLists(self._ivf) if self._ivf is not None else None
        self.is_exact = isinstance(inner, faiss.IndexFlat)
        self._uses_inner_product = index.metric_type == faiss.METRIC_INNER_PRODUCT

    @classmethod
    def create_empty(cls, kind: str, dimensions: int) -> Self:
        """Create a FAISS index without vectors."""
        return cls(choose_index.make_index(kind, dimensions))

    @classmethod
    def read(cls, file: Path, dimensions: int, *, writable: bool) -> Self | None:
        """Read a FAISS index file; return None if it is missing, broken or has other dimensions.

        If not writable, the file is mapped into memory: FAISS reads each part on first use.
        """
        import faiss

        try:
            with file.open("rb") as opened:
                path = _get_utf8_path(file, opened.fileno())
                index = None if writable else packed_lists.read_mapped(opened, path)
                if index is None:
                    opened.seek(0)
                    with_lists = opened.read(4) not in ID_MAP_MAGIC_BYTES
                    flags = faiss.IO_FLAG_MMAP if with_lists else faiss.IO_FLAG_MMAP_IFC
                    index = faiss.read_index(path, 0 if writable else flags)
        except (RuntimeError, OSError) as error:  # FAISS raises RuntimeError for any bad file.
            logger.debug("FAISS cannot read the index file %s: %s", file, error)
            return None
        _disable_prefetch(choose_index.find_ivf(index))
        has_ids = choose_index.find_ivf(index) is not None or hasattr(index, "id_map")
        return cls(index) if has_ids and index.d == dimensions else None

    def __len__(self) -> int:
        """Return the number of vectors in the index."""
        return int(self._index.ntotal)

    @property
    def ids(self) -> Ids:
        """Return a copy of the ids of all vectors, in no particular order."""
        import faiss

        if self._lists is None:
            ids: Ids = faiss.vector_to_array(self._index.id_map)
            return ids
        return np.concatenate([np.empty(0, dtype=np.int64), *self._lists.read_ids()])

    def find_lists(self, ids: Ids) -> ListMask | None:
        """Return which inverted lists contain some of these ids, [lists]; None if it has no lists.

        The first call reads all ids of the index.
        """
        return None if self._lists is None else self._lists.find_lists(ids)

    def compute_sample_size(self, policy: choose_index.IndexPolicy) -> int:
        """Return the number of vectors to train the index with; 0 if it needs no training."""
        return 0 if self._index.is_trained else compute_sample_size(self._index, policy)

    def train(self, sample: Vectors, tick: Callable[[], None]) -> None:
        """Train the index with sample vectors, [n, dimensions]; see training.train_index."""
        train_index(self._index, sample, tick)
        self._rotation_blocks = self._read_rotation()

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, [n, dimensions], with new ids, [n]."""
        self._forget_ids()
        self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), ids)

    def remove(self, ids: Ids) -> None:
        """Remove vectors by id. Raises RemovalUnsupportedError if this kind cannot remove."""
        faiss = self._faiss
        self._forget_ids()
        try:
            if packed_lists.has_packed_lists(self._ivf):
                packed_lists.remove_ids(self._index, self._ivf, ids)
            elif isinstance(
                self._inner if self._ivf is None else self._ivf,
                faiss.IndexIVFFastScan | faiss.IndexFastScan,
            ):
                # Measured with FAISS 1.15: vectors that are added later get wrong codes.
                raise RemovalUnsupportedError("FAISS would mix the codes of vectors")
            else:
                self._index.remove_ids(faiss.IDSelectorBatch(ids))
        except RuntimeError as error:
            raise RemovalUnsupportedError(str(error)) from error

    def _forget_ids(self) -> None:
        if self._lists is not None:
            self._lists.forget_ids()

    def _read_rotation(self) -> Vectors | None:
        is_single = len(self._transforms) == 1
        return rotation.read_blocks(self._transforms[0]) if is_single else None

    @property
    def min_probes(self) -> int:
        """Return the minimum number of inverted lists to search; 0 if the index has no lists."""
        return 0 if self._lists is None else self._lists.min_probes

    @property
    def list_count(self) -> int:
        """Return the number of inverted lists; 0 if the index has no lists."""
        return 0 if self._lists is None else len(self._lists)

    def search_each(
        self, queries: Vectors, count: int, selector: Any, probes: int
    ) -> list[tuple[Ids, Vectors]]:
        """Return the ids nearest to each query, [n, dimensions], and their approximate cosines."""
        return split_found(*self.search_many(queries, count, probes, selector))

    def search_many(
        self, queries: Vectors, count: int, probes: int, selector: Any = None
    ) -> tuple[Ids, Vectors]:
        """Return the ids nearest to each query and approximate cosines, both [n, count].

        Scans the nearest `probes` inverted lists. FAISS marks missing results with the id -1.
        """
        if not len(self):
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        queries = self._transform(queries)
        if self._lists is not None:
            ids, scores = self._lists.search(
                queries, count, selector, min(probes, max(1, len(self._lists)))
            )
        else:
            with limit_threads(queries.size * len(self)) if self.is_exact else nullcontext():
                scores, ids = self._index.search(
                    queries, count, params=self._make_parameters(count, selector)
                )
        return ids, self._to_cosines(scores)

    def start_scan(
        self, queries: Vectors, count: int, selector: Any, mask: ListMask | None
    ) -> tuple[ScanLists, int]:
        """Return a function that scans inverted lists, nearest first, and the number of lists.

        The function returns approximate cosines. queries: [n, dimensions]. count: vectors to return
        for each query. mask: the lists to scan; None: all.
        """
        assert self._lists is not None
        scan, list_count = self._lists.start_scan(self._transform(queries), count, selector, mask)

        def scan_cosines(numbers: Ids, start: int, end: int) -> tuple[Ids, Vectors]:
            ids, scores = scan(numbers, start, end)
            return ids, self._to_cosines(scores)

        return scan_cosines, list_count

    def _transform(self, queries: Vectors) -> Vectors:
        """Return queries as the inverted lists have their vectors."""
        if self._rotation_blocks is not None and len(queries) <= rotation.MAX_QUERIES:
            return rotation.rotate(queries, self._rotation_blocks)
        for transform in self._transforms:
            queries = transform.apply(queries)
        return queries

    def _to_cosines(self, scores: Vectors) -> Vectors:
        return scores if self._uses_inner_product else np.float32(1) - scores / np.float32(2)

    def _make_parameters(self, count: int, selector: Any) -> Any:
        """Return the search parameters of an index without inverted lists."""
        arguments = {"sel": selector} if selector is not None else {}
        if isinstance(self._inner, self._faiss.IndexHNSW):
            return self._faiss.SearchParametersHNSW(efSearch=max(64, count), **arguments)
        return self._faiss.SearchParameters(**arguments) if arguments else None

    @staticmethod
    def set_thread_count(count: int) -> None:
        """Set the number of threads that FAISS uses in this process."""
        import faiss

        faiss.omp_set_num_threads(count)

    def write(self, file: Path) -> None:
        """Write the index to a file, with checksums; raise OSError if writing fails."""
        faiss = self._faiss
        # FAISS's own file writer ignores errors when it closes the file, so Python writes it.
        with file.open("wb") as opened:
            writer = ChecksumWriter(opened)
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(writer.write))
            if packed_lists.has_packed_lists(self._ivf):
                packed_lists.write_table(self._ivf, writer.write)
            writer.finish()


def split_found(ids: Ids, cosines: Vectors) -> list[tuple[Ids, Vectors]]:
    """Return the results of each query, without missing ones. ids: [n, count]; -1: missing."""
    if (ids >= 0).all():
        return list(zip(ids, cosines, strict=True))
    return [(row[row != -1], found[row != -1]) for row, found in zip(ids, cosines, strict=True)]


def _get_utf8_path(file: Path, descriptor: int) -> str:
    """Return a path of an open file that FAISS accepts; FAISS refuses paths that are not UTF-8."""
    return str(file) if is_utf8(str(file)) else f"/proc/self/fd/{descriptor}"


def _disable_prefetch(ivf: Any) -> None:
    """Stop a mapped index from starting 32 prefetch threads for every query."""
    faiss: Any = import_module("faiss")
    lists = faiss.downcast_InvertedLists(ivf.invlists) if ivf is not None else None
    if isinstance(lists, faiss.OnDiskInvertedLists):
        lists.prefetch_nthread = 0
