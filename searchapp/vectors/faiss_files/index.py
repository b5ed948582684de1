"""Search the FAISS index of a collection, which caches its vectors by embedding id."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.files.atomic import write_atomically
from searchapp.vectors.exact_cosines import FetchVectors, compute_cosines, select_best
from searchapp.vectors.faiss_files.choose_index import EXACT, IndexPolicy
from searchapp.vectors.faiss_files.faiss_index import (
    FaissIndex,
    RemovalUnsupportedError,
    split_found,
)
from searchapp.vectors.faiss_files.inverted_lists import ListMask
from searchapp.vectors.faiss_files.scan_steps import scan_in_steps
from searchapp.vectors.faiss_files.training import TooFewVectorsError
from searchapp.vectors.faiss_files.vector_file import VectorFile, get_vector_file
from searchapp.vectors.packing import Ids, Vectors, unpack_vectors
from searchapp.vectors.searchable import SearchScope, scope_to_ids

__all__ = ["RemovalUnsupportedError", "VectorIndex"]

# A selection up to this size is compared without the index. A larger one is, too, if its vectors
# are mapped and that is expected to be faster.
MAX_EXACT_COMPARISONS = 2000
# The cost of comparing a mapped vector, and of a search in steps beside scanning, as multiples of
# scanning a code of the index. Measured with PQ192x4fs and 768 dimensions: a code takes 7.5 ns. But
# if the file of the vectors is not in memory yet, each comparison reads the disk.
COMPARISON_COST, STEPS_COST = 60, 40_000
# More vectors need more effort for the same recall. Measured with `hard` vectors and PQ192x4fs: a
# million have a recall of .98, and ten million .959, or .991 with twice the effort.
MAX_EASY_VECTORS, EFFORT_EXPONENT = 1_000_000, 0.18
# A filter that leaves fewer can leave many lists empty. Finding them takes time.
MAX_MASKED_SHARE = 0.05
# How many lists a search with a filter is expected to scan, by the share of vectors that the filter
# leaves: the number of lists without a filter, times this power of the share.
STEPS_EXPONENT = -0.4
# From 20 queries on, FAISS multiplies matrices (distance_compute_blas_threshold). Then a query has
# other scores than alone, in the last bits, so that pages of a result would not fit together.
QUERIES_PER_SEARCH = 16
NOTHING = np.empty(0, np.int64), np.empty(0, np.float32)  # no ids and no cosines

logger = logging.getLogger(__name__)


class VectorIndex:
    """Index of vectors with norm 1, searched by cosine.

    An index that is not exact finds candidates; fetch reads their vectors to rank them exactly.
    The FAISS index of a read-only file never changes. Added vectors are kept in a second index in
    memory, and removed ids are filtered out of the results.
    """

    def __init__(
        self,
        dimensions: int,
        base: FaissIndex | None = None,
        fetch: FetchVectors | None = None,
        kind: str = EXACT,
        vectors: VectorFile | None = None,
    ) -> None:
        """Create an empty exact index, or use the writable FAISS index base of the given kind.

        vectors: the stored vectors; those that it lacks are read with fetch.
        """
        self.dimensions = dimensions
        self.kind = kind
        # Not `base or ...`: a trained index without vectors has length 0 and so is false.
        self._base = FaissIndex.create_empty(EXACT, dimensions) if base is None else base
        self._fetch, self._vectors = fetch, vectors
        # A factor: higher values scan more lists and rank more candidates.
        self.search_effort = 1.0
        self._is_read_only = False
        self._added = FaissIndex.create_empty(EXACT, dimensions)
        self._removed_ids: Ids = np.empty(0, dtype=np.int64)

    @classmethod
    def open(
        cls,
        file: Path | None,
        dimensions: int,
        *,
        fetch: FetchVectors | None = None,
        kind: str = EXACT,
        writable: bool = False,
        last_id: int | None = None,
    ) -> VectorIndex:
        """Open an index file; return an empty index if the file is missing or unusable.

        A read-only file is mapped into memory; add at most a few thousand vectors to its index.
        last_id: of the embeddings in the file; None: its vector file is not used.
        """
        base = FaissIndex.read(file, dimensions, writable=writable) if file is not None else None
        vectors = None
        if file and base is not None and not base.is_exact and last_id is not None:
            vectors = VectorFile.open(get_vector_file(file), dimensions, last_id)
        index = cls(dimensions, base, fetch, EXACT if base is None else kind, vectors)
        index._is_read_only = base is not None and not writable
        return index

    @classmethod
    def train(
        cls,
        kind: str,
        dimensions: int,
        ids: Ids,
        fetch: FetchVectors,
        policy: IndexPolicy = IndexPolicy(),
        tick: Callable[[], None] = lambda: None,
    ) -> VectorIndex:
        """Create an empty index of this kind, trained with a sample of the vectors with these ids.

        If there are too few vectors to train it, the index is exact. Calls tick every few
        seconds.
        """
        if kind == EXACT:
            return cls(dimensions, None, fetch)
        base = FaissIndex.create_empty(kind, dimensions)
        if size := min(base.compute_sample_size(policy), len(ids)):
            logger.info("Training the index %s with %d of %d vectors", kind, size, len(ids))
            chosen = np.sort(np.random.default_rng(0).choice(ids, size, replace=False))
            sample = np.empty((size, dimensions), dtype=np.float32)
            filled = 0
            for _, blobs in fetch(chosen.tolist()):
                tick()
                sample[filled : filled + len(blobs)] = unpack_vectors(blobs, dimensions)
                filled += len(blobs)
            try:
                base.train(sample[:filled], tick)
            except TooFewVectorsError as error:
                logger.info("Using an exact index instead of the index %s: %s", kind, error)
                return cls(dimensions, None, fetch)
        return cls(dimensions, base, fetch, kind)

    @property
    def ids(self) -> Ids:
        """Return a copy of the ids of all vectors, in no particular order."""
        base_ids = self._base.ids
        if len(self._removed_ids):
            base_ids = np.setdiff1d(base_ids, self._removed_ids)
        return np.concatenate([base_ids, self._added.ids])

    def __len__(self) -> int:
        """Return the number of vectors in the index."""
        return len(self._base) - len(self._removed_ids) + len(self._added)

    @property
    def is_exact(self) -> bool:
        """Return whether a search compares every vector."""
        return self._base.is_exact

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, [n, dimensions], with ids, [n], that the index never contained."""
        if len(ids):
            (self._added if self._is_read_only else self._base).add(ids, vectors)

    def remove(self, ids: Ids) -> None:
        """Remove vectors by id; unknown ids are ignored. Raises RemovalUnsupportedError."""
        if not len(ids):
            return
        if not self._is_read_only:
            self._base.remove(ids)
            return
        self._added.remove(ids)
        self._removed_ids = np.union1d(self._removed_ids, np.intersect1d(ids, self._base.ids))

    def count_matches(self, scope: SearchScope) -> int:
        """Return the number of vectors in a scope."""
        ids = scope_to_ids(scope)
        return len(self) if ids is None else len(ids)

    def estimate_max_matches(self, scope: SearchScope) -> int:
        """Return the number of vectors in a scope. The count is exact, because it is cheap."""
        return self.count_matches(scope)

    def search(
        self, vector: Vectors, count: int, scope: SearchScope = None
    ) -> list[tuple[int, float]]:
        """Return the count vectors of a scope nearest to a vector, as (id, cosine), best first.

        The result is shorter than count only if the scope holds fewer vectors.
        """
        (found,) = self.search_many(vector.reshape(1, -1), count, scope)
        return found

    def search_many(
        self, vectors: Vectors, count: int, scope: SearchScope = None
    ) -> list[list[tuple[int, float]]]:
        """Return the result of search() for each of many vectors, [n, dimensions]."""
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        allowed_ids = scope_to_ids(scope)
        if allowed_ids is not None and len(self._removed_ids):
            allowed_ids = np.setdiff1d(allowed_ids, self._removed_ids, assume_unique=True)
        count = min(count, len(self) if allowed_ids is None else len(allowed_ids))
        if count <= 0:
            return [[] for _ in queries]
        return [
            found
            for start in range(0, len(queries), QUERIES_PER_SEARCH)
            for found in self._search_ids(
                queries[start : start + QUERIES_PER_SEARCH], count, allowed_ids
            )
        ]

    def _search_ids(
        self, queries: Vectors, count: int, allowed_ids: Ids | None
    ) -> list[list[tuple[int, float]]]:
        if allowed_ids is not None and self._should_compare(len(allowed_ids)):
            return self._compare_all(queries, count, allowed_ids)
        results = []
        for query, (ids, scores) in zip(
            _split_rows(queries),
            self._search_base(queries, count, allowed_ids),
            strict=True,
        ):
            if len(ids) < count and allowed_ids is not None and self._fetch:
                ids, scores = self._compute_cosines(query, allowed_ids, count)
            results.append(select_best(ids, scores, count))
        return results

    @property
    def _effort(self) -> float:
        """Return the search effort for the size of this index."""
        size = len(self._base) / MAX_EASY_VECTORS
        return self.search_effort * max(1.0, float(size**EFFORT_EXPONENT))

    @property
    def _probes(self) -> int:
        """Return the number of inverted lists that a search without a filter scans."""
        return max(1, min(round(self._effort * self._base.min_probes), self._base.list_count))

    def _should_compare(self, allowed_count: int) -> bool:
        """Return whether to compare all vectors of a filter, without the index.

        allowed_count: vectors that the filter leaves.
        """
        if self.is_exact or self._fetch is None:
            return False
        if allowed_count <= MAX_EXACT_COMPARISONS:
            return True
        if self._vectors is None:
            return False
        cost = float(len(self._base))  # of the index, in scanned codes
        if self._base.list_count:
            factor = math.pow(allowed_count / max(1, len(self)), STEPS_EXPONENT)
            share = min(1.0, factor * self._probes / self._base.list_count)
            cost = STEPS_COST + share * len(self._base)
        return COMPARISON_COST * allowed_count <= cost

    def _compare_all(
        self, queries: Vectors, count: int, allowed_ids: Ids
    ) -> list[list[tuple[int, float]]]:
        """Return the best of all allowed vectors for each query, without the index."""
        return [
            select_best(*self._compute_cosines(query, allowed_ids, count), count)
            for query in _split_rows(queries)
        ]

    def find_neighbors(self, vectors: Vectors, count: int, probes: int) -> tuple[Ids, Vectors]:
        """Return the ids nearest to each of many vectors and their cosines, both [n, count].

        If the index is not exact, ids and cosines are approximate, and each search scans only
        probes inverted lists. The id -1 marks missing results.
        """
        results = [index.search_many(vectors, count, probes) for index in (self._base, self._added)]
        ids, scores = (np.hstack(part) for part in zip(*results, strict=True))
        ids[np.isin(ids, self._removed_ids)] = -1
        return ids, scores

    def _search_base(
        self, queries: Vectors, count: int, allowed_ids: Ids | None
    ) -> Iterator[tuple[Ids, Vectors]]:
        """Yield candidates of each query, from base and added vectors, with exact cosines."""
        selector, selector_data = _make_selector(allowed_ids, self._removed_ids)
        exact = self._base.is_exact
        # Measured with 250,000 vectors, PQ192x4fs, 112 lists and 2,000 queries: 120 candidates for
        # ten hits give a recall of .982, and 100 give .980.
        ranked_count = round(self._effort * (6 * count + 60))
        candidate_count = count if exact else max(count, ranked_count)
        candidate_count = min(candidate_count, len(self._base))
        added_count = min(count, len(self._added))
        added = [NOTHING] * len(queries)
        if added_count:
            added = self._added.search_each(queries, added_count, selector, 0)
        mask = self._find_lists(allowed_ids)
        if allowed_ids is not None and self._base.list_count:
            based = self._scan_in_steps(queries, count, candidate_count, selector, mask)
        else:
            based = self._base.search_each(queries, candidate_count, selector, self._probes)
        can_scan_more = allowed_ids is None and self._probes < self._base.list_count
        for query, (ids, scores), (near, cosines) in zip(
            _split_rows(queries), added, based, strict=True
        ):
            if can_scan_more and len(near) + len(ids) < count:
                ((near, cosines),) = self._scan_in_steps(
                    query, count, candidate_count, selector, mask
                )
            if not exact and self._fetch:
                near, cosines = self._compute_cosines(query, near, count)
            if added_count:
                near, cosines = np.concatenate([ids, near]), np.concatenate([scores, cosines])
            yield near, cosines
        del selector_data

    def _find_lists(self, allowed_ids: Ids | None) -> ListMask | None:
        """Return the inverted lists with vectors of a filter; None: scan all."""
        if allowed_ids is None or len(allowed_ids) > MAX_MASKED_SHARE * len(self):
            return None
        return self._base.find_lists(allowed_ids)

    def _scan_in_steps(
        self, queries: Vectors, count: int, keep: int, selector: Any, mask: ListMask | None
    ) -> list[tuple[Ids, Vectors]]:
        """Return at most `keep` candidates of each query, with approximate cosines.

        count: hits that a query needs.
        """
        scan, list_count = self._base.start_scan(queries, keep, selector, mask)
        found = scan_in_steps(scan, len(queries), list_count, self._probes, keep=keep, wanted=count)
        return split_found(*found)

    def _compute_cosines(self, query: Vectors, ids: Ids, count: int) -> tuple[Ids, Vectors]:
        """Return exact cosines, at least of the count nearest ids."""
        assert self._fetch is not None
        if self._vectors is None:
            return compute_cosines(query, ids, self._fetch, self.dimensions)
        (near, cosines), missing = self._vectors.select_nearest(query, ids, count)
        if not len(missing):
            return near, cosines
        others = compute_cosines(query, missing, self._fetch, self.dimensions)
        return np.concatenate([near, others[0]]), np.concatenate([cosines, others[1]])

    def save(self, folder: Path, name: str) -> Path:
        """Write the index durably to a new file NAME-TOKEN.faiss, and return its path.

        For a read-only index, the new file lacks all changes since the index was opened.
        """
        file = folder / f"{name}-{secrets.token_hex(4)}.faiss"
        with write_atomically(file) as temporary:
            self._base.write(temporary)
        return file


def _split_rows(queries: Vectors) -> list[Vectors]:
    """Return the rows of queries, each [1, dimensions]. np.split takes several times as long."""
    return [queries[number : number + 1] for number in range(len(queries))]


def _make_selector(allowed_ids: Ids | None, removed_ids: Ids) -> tuple[Any, Any]:
    """Return a FAISS selector of ids (None: select all ids), and the arrays that it points to.

    FAISS does not copy the arrays, so the caller must keep them until the search ends.
    """
    import faiss

    if allowed_ids is not None:
        chosen = np.zeros(int(allowed_ids.max()) // 8 * 8 + 8, dtype=bool)
        chosen[allowed_ids] = True
        bits = np.packbits(chosen, bitorder="little")
        return faiss.IDSelectorBitmap(bits), bits  # type: ignore[call-arg, arg-type]
    if len(removed_ids):
        inner = faiss.IDSelectorBatch(removed_ids)
        return faiss.IDSelectorNot(inner), inner
    return None, None
