"""The FAISS index of a collection: a cache of its vectors, keyed by embedding id."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.files.atomic import write_atomically
from searchapp.vectors.exact_cosines import FetchVectors, compute_cosines, select_best
from searchapp.vectors.faiss_files.choose_index import EXACT, IndexPolicy
from searchapp.vectors.faiss_files.faiss_index import FaissIndex, RemovalUnsupportedError
from searchapp.vectors.faiss_files.training import TooFewVectorsError
from searchapp.vectors.packing import Ids, Vectors, unpack_vectors
from searchapp.vectors.searchable import SearchScope, scope_to_ids

__all__ = ["RemovalUnsupportedError", "VectorIndex"]

MAX_EXACT_COMPARISONS = 2000  # so many selected vectors are compared one by one


class VectorIndex:
    """Vectors of length one, searched by cosine.

    What an index that is not exact finds is ranked by the vectors themselves, which fetch brings.
    One that was opened to be read stays as it is on disk: what is added is kept beside it, and
    what is removed is left out of the answers.
    """

    def __init__(
        self,
        dimensions: int,
        base: FaissIndex | None = None,
        fetch: FetchVectors | None = None,
        kind: str = EXACT,
    ) -> None:
        """Make an empty exact index, or take over a base of some kind that can be changed."""
        self.dimensions = dimensions
        self.kind = kind
        # Not `base or ...`: a trained base that holds nothing yet is empty, and so false.
        self._base = FaissIndex.create_empty(EXACT, dimensions) if base is None else base
        self._fetch = fetch
        self.search_effort = (
            1.0  # more looks into more lists, and compares more of what is found there
        )
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
    ) -> VectorIndex:
        """Open an index file; a missing, broken or foreign one gives an empty index.

        Without writable the file is mapped into memory, and adding is for some thousands.
        """
        base = FaissIndex.read(file, dimensions, writable=writable) if file is not None else None
        index = cls(dimensions, base, fetch, EXACT if base is None else kind)
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
        """Make an empty index of a kind, trained with some of the vectors that have the ids.

        Where there are too few to train it, it is exact. tick is called every few seconds.
        """
        if kind == EXACT:
            return cls(dimensions, None, fetch)
        base = FaissIndex.create_empty(kind, dimensions)
        if size := min(base.compute_sample_size(policy), len(ids)):
            chosen = np.sort(np.random.default_rng(0).choice(ids, size, replace=False))
            sample = np.empty((size, dimensions), dtype=np.float32)
            filled = 0
            for _, blobs in fetch(chosen.tolist()):
                tick()
                sample[filled : filled + len(blobs)] = unpack_vectors(blobs, dimensions)
                filled += len(blobs)
            try:
                base.train(sample[:filled], tick)
            except TooFewVectorsError:
                return cls(dimensions, None, fetch)
        return cls(dimensions, base, fetch, kind)

    @property
    def ids(self) -> Ids:
        """Return the ids held, in no order, as a copy."""
        held = self._base.ids
        if len(self._removed_ids):
            held = np.setdiff1d(held, self._removed_ids)
        return np.concatenate([held, self._added.ids])

    def __len__(self) -> int:
        """Count the vectors."""
        return len(self._base) - len(self._removed_ids) + len(self._added)

    @property
    def is_exact(self) -> bool:
        """Tell whether every vector is looked at."""
        return self._base.is_exact

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, [n, dimensions], under ids, [n], that the index never held."""
        if len(ids):
            (self._added if self._is_read_only else self._base).add(ids, vectors)

    def remove(self, ids: Ids) -> None:
        """Remove vectors; ids that are not there do no harm. Errors: CannotRemove."""
        if not len(ids):
            return
        if not self._is_read_only:
            self._base.remove(ids)
            return
        self._added.remove(ids)
        self._removed_ids = np.union1d(self._removed_ids, np.intersect1d(ids, self._base.ids))

    def count_matches(self, scope: SearchScope) -> int:
        """Count the vectors among some."""
        ids = scope_to_ids(scope)
        return len(self) if ids is None else len(ids)

    def estimate_max_matches(self, scope: SearchScope) -> int:
        """Count the vectors among some."""
        return self.count_matches(scope)

    def search(
        self, vector: Vectors, count: int, scope: SearchScope = None
    ) -> list[tuple[int, float]]:
        """Return the count nearest of all vectors, or of those among some: (id, cosine).

        among: where ids, int64, sorted. There are fewer only where fewer match.
        """
        return self._search_ids(vector, count, scope_to_ids(scope))

    def _search_ids(
        self, vector: Vectors, count: int, allowed_ids: Ids | None
    ) -> list[tuple[int, float]]:
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        if allowed_ids is not None and len(self._removed_ids):
            allowed_ids = np.setdiff1d(allowed_ids, self._removed_ids, assume_unique=True)
        count = min(count, len(self) if allowed_ids is None else len(allowed_ids))
        if count <= 0:
            return []
        if (
            allowed_ids is not None
            and not self.is_exact
            and self._fetch
            and len(allowed_ids) <= MAX_EXACT_COMPARISONS
        ):
            return select_best(*self._compute_cosines(query, allowed_ids), count)
        ids, scores = self._search_base(query, count, allowed_ids)
        if len(ids) < count and allowed_ids is not None and self._fetch:
            ids, scores = self._compute_cosines(query, allowed_ids)
        return select_best(ids, scores, count)

    def find_neighbors(self, vectors: Vectors, count: int, probes: int) -> tuple[Ids, Vectors]:
        """Return the ids nearest to many vectors at once, and their cosines, [n, count] both.

        Of an index that is not exact neither is more than near enough, and only so many lists are
        looked into. What is missing has the id -1.
        """
        parts = [base.search_many(vectors, count, probes) for base in (self._base, self._added)]
        ids, scores = (np.hstack(part) for part in zip(*parts, strict=True))
        ids[np.isin(ids, self._removed_ids)] = -1
        return ids, scores

    def _search_base(
        self, query: Vectors, count: int, allowed_ids: Ids | None
    ) -> tuple[Ids, Vectors]:
        """Return the nearest in the base, ranked, and the nearest of what is beside it."""
        selector, selector_data = _make_selector(allowed_ids, self._removed_ids)
        ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        if len(self._added):
            ids, scores = self._added.search(query, min(count, len(self._added)), selector, 0)
        if len(self._base) == 0:
            return ids, scores
        exact = self._base.is_exact
        candidate_count = (
            count if exact else max(count, round(self.search_effort * (3 * count + 30)))
        )
        candidate_count = min(candidate_count, len(self._base))
        share = 1.0 if allowed_ids is None else max(len(allowed_ids), 1) / len(self)
        # Where a filter leaves few, the nearest of them lie in more lists.
        probe_factor = max(1.0, 0.75 / share)
        probes = max(1, round(self.search_effort * probe_factor * self._base.min_probes))
        probes = min(probes, self._base.list_count)
        while True:
            near, cosines = self._base.search(query, candidate_count, selector, probes)
            if len(near) + len(ids) >= count or probes >= self._base.list_count:
                break
            probes = min(self._base.list_count, 4 * probes)
        del selector_data
        if not exact and self._fetch:
            near, cosines = self._compute_cosines(query, near)
        return np.concatenate([ids, near]), np.concatenate([scores, cosines])

    def _compute_cosines(self, query: Vectors, ids: Ids) -> tuple[Ids, Vectors]:
        assert self._fetch is not None
        return compute_cosines(query, ids, self._fetch, self.dimensions)

    def save(self, folder: Path, name: str) -> Path:
        """Write the index to a new file NAME-TOKEN.faiss, durably, and return its path.

        Of an index that was opened to be read, what was changed since is not in it.
        """
        file = folder / f"{name}-{secrets.token_hex(4)}.faiss"
        with write_atomically(file) as temporary:
            self._base.write(temporary)
        return file


def _make_selector(allowed_ids: Ids | None, removed_ids: Ids) -> tuple[Any, Any]:
    """Return a FAISS selector of ids, None where all count, and what must live as long as it."""
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
