"""The FAISS index of a collection: a cache of its vectors, keyed by embedding id."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.files.atomic import complete
from searchapp.vectors.exact import Fetch, best, compared
from searchapp.vectors.faiss_files.choose_index import EXACT, Policy
from searchapp.vectors.faiss_files.index_types import Base, CannotRemove
from searchapp.vectors.faiss_files.training import TooFewVectors
from searchapp.vectors.packing import Ids, Vectors, unpack
from searchapp.vectors.searchable import Among, ids_of

__all__ = ["CannotRemove", "VectorIndex"]

FEW = 2000  # so many selected vectors are compared one by one


class VectorIndex:
    """Vectors of length one, searched by cosine.

    What an index that is not exact finds is ranked by the vectors themselves, which fetch brings.
    One that was opened to be read stays as it is on disk: what is added is kept beside it, and
    what is removed is left out of the answers.
    """

    def __init__(
        self,
        dimensions: int,
        base: Base | None = None,
        fetch: Fetch | None = None,
        kind: str = EXACT,
    ) -> None:
        """Make an empty exact index, or take over a base of some kind that can be changed."""
        self.dimensions = dimensions
        self.kind = kind
        # Not `base or ...`: a trained base that holds nothing yet is empty, and so false.
        self._base = Base.empty(EXACT, dimensions) if base is None else base
        self._fetch = fetch
        self.effort = 1.0  # more looks into more lists, and compares more of what is found there
        self._fixed = False
        self._fresh = Base.empty(EXACT, dimensions)
        self._gone: Ids = np.empty(0, dtype=np.int64)

    @classmethod
    def open(
        cls,
        file: Path | None,
        dimensions: int,
        *,
        fetch: Fetch | None = None,
        kind: str = EXACT,
        writable: bool = False,
    ) -> VectorIndex:
        """Open an index file; a missing, broken or foreign one gives an empty index.

        Without writable the file is mapped into memory, and adding is for some thousands.
        """
        base = Base.read(file, dimensions, writable=writable) if file is not None else None
        index = cls(dimensions, base, fetch, EXACT if base is None else kind)
        index._fixed = base is not None and not writable
        return index

    @classmethod
    def train(
        cls,
        kind: str,
        dimensions: int,
        ids: Ids,
        fetch: Fetch,
        policy: Policy = Policy(),
        tick: Callable[[], None] = lambda: None,
    ) -> VectorIndex:
        """Make an empty index of a kind, trained with some of the vectors that have the ids.

        Where there are too few to train it, it is exact. tick is called every few seconds.
        """
        if kind == EXACT:
            return cls(dimensions, None, fetch)
        base = Base.empty(kind, dimensions)
        if size := min(base.sample_size(policy), len(ids)):
            chosen = np.sort(np.random.default_rng(0).choice(ids, size, replace=False))
            sample = np.empty((size, dimensions), dtype=np.float32)
            filled = 0
            for _, blobs in fetch(chosen.tolist()):
                tick()
                sample[filled : filled + len(blobs)] = unpack(blobs, dimensions)
                filled += len(blobs)
            try:
                base.train(sample[:filled], tick)
            except TooFewVectors:
                return cls(dimensions, None, fetch)
        return cls(dimensions, base, fetch, kind)

    @property
    def ids(self) -> Ids:
        """Return the ids held, in no order, as a copy."""
        held = self._base.ids
        if len(self._gone):
            held = np.setdiff1d(held, self._gone)
        return np.concatenate([held, self._fresh.ids])

    def __len__(self) -> int:
        """Count the vectors."""
        return len(self._base) - len(self._gone) + len(self._fresh)

    @property
    def exact(self) -> bool:
        """Tell whether every vector is looked at."""
        return self._base.exact

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, [n, dimensions], under ids, [n], that the index never held."""
        if len(ids):
            (self._fresh if self._fixed else self._base).add(ids, vectors)

    def remove(self, ids: Ids) -> None:
        """Remove vectors; ids that are not there do no harm. Errors: CannotRemove."""
        if not len(ids):
            return
        if not self._fixed:
            self._base.remove(ids)
            return
        self._fresh.remove(ids)
        self._gone = np.union1d(self._gone, np.intersect1d(ids, self._base.ids))

    def count(self, among: Among) -> int:
        """Count the vectors among some."""
        ids = ids_of(among)
        return len(self) if ids is None else len(ids)

    def most(self, among: Among) -> int:
        """Count the vectors among some."""
        return self.count(among)

    def search(self, vector: Vectors, count: int, among: Among = None) -> list[tuple[int, float]]:
        """Return the count nearest of all vectors, or of those among some: (id, cosine).

        among: where ids, int64, sorted. There are fewer only where fewer match.
        """
        return self._search(vector, count, ids_of(among))

    def _search(self, vector: Vectors, count: int, among: Ids | None) -> list[tuple[int, float]]:
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        if among is not None and len(self._gone):
            among = np.setdiff1d(among, self._gone, assume_unique=True)
        count = min(count, len(self) if among is None else len(among))
        if count <= 0:
            return []
        if among is not None and not self.exact and self._fetch and len(among) <= FEW:
            return best(*self._compared(query, among), count)
        ids, scores = self._found(query, count, among)
        if len(ids) < count and among is not None and self._fetch:
            ids, scores = self._compared(query, among)
        return best(ids, scores, count)

    def neighbours(self, vectors: Vectors, count: int, probes: int) -> tuple[Ids, Vectors]:
        """Return the ids nearest to many vectors at once, and their cosines, [n, count] both.

        Of an index that is not exact neither is more than near enough, and only so many lists are
        looked into. What is missing has the id -1.
        """
        parts = [base.search_many(vectors, count, probes) for base in (self._base, self._fresh)]
        ids, scores = (np.hstack(part) for part in zip(*parts, strict=True))
        ids[np.isin(ids, self._gone)] = -1
        return ids, scores

    def _found(self, query: Vectors, count: int, among: Ids | None) -> tuple[Ids, Vectors]:
        """Return the nearest in the base, ranked, and the nearest of what is beside it."""
        selector, keep = _selector(among, self._gone)
        ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        if len(self._fresh):
            ids, scores = self._fresh.search(query, min(count, len(self._fresh)), selector, 0)
        if len(self._base) == 0:
            return ids, scores
        exact = self._base.exact
        wanted = count if exact else max(count, round(self.effort * (3 * count + 30)))
        wanted = min(wanted, len(self._base))
        share = 1.0 if among is None else max(len(among), 1) / len(self)
        # Where a filter leaves few, the nearest of them lie in more lists.
        wider = max(1.0, 0.75 / share)
        probes = max(1, round(self.effort * wider * self._base.fewest_probes))
        probes = min(probes, self._base.lists)
        while True:
            near, cosines = self._base.search(query, wanted, selector, probes)
            if len(near) + len(ids) >= count or probes >= self._base.lists:
                break
            probes = min(self._base.lists, 4 * probes)
        del keep
        if not exact and self._fetch:
            near, cosines = self._compared(query, near)
        return np.concatenate([ids, near]), np.concatenate([scores, cosines])

    def _compared(self, query: Vectors, ids: Ids) -> tuple[Ids, Vectors]:
        assert self._fetch is not None
        return compared(query, ids, self._fetch, self.dimensions)

    def save(self, folder: Path, name: str) -> Path:
        """Write the index to a new file NAME-TOKEN.faiss, durably, and return its path.

        Of an index that was opened to be read, what was changed since is not in it.
        """
        file = folder / f"{name}-{secrets.token_hex(4)}.faiss"
        with complete(file) as temporary:
            self._base.write(temporary)
        return file


def _selector(among: Ids | None, gone: Ids) -> tuple[Any, Any]:
    """Return a FAISS selector of ids, None where all count, and what must live as long as it."""
    import faiss

    if among is not None:
        chosen = np.zeros(int(among.max()) // 8 * 8 + 8, dtype=bool)
        chosen[among] = True
        bits = np.packbits(chosen, bitorder="little")
        return faiss.IDSelectorBitmap(bits), bits  # type: ignore[call-arg, arg-type]
    if len(gone):
        inner = faiss.IDSelectorBatch(gone)
        return faiss.IDSelectorNot(inner), inner
    return None, None
