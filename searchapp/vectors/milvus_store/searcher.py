"""A collection whose vectors are in Milvus, to be searched: with what has come since, beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import numpy as np

from searchapp.types import Between, OneOf, Store
from searchapp.vectors.address import Address
from searchapp.vectors.exact import Fetch, best, compared
from searchapp.vectors.faiss_files.choose_index import EXACT
from searchapp.vectors.faiss_files.index_types import Base
from searchapp.vectors.milvus_store.store import MOST, Milvus
from searchapp.vectors.packing import Ids, Vectors
from searchapp.vectors.searchable import Among, Parts, Selection, ids_of

FEW = 2000  # so many selected vectors are compared one by one
SPARE = 1.5  # times as many are asked for as will do on average, where a filter is ours to apply
PAGE = 20_000  # ids in an expression


def written(parts: Iterable[Between | OneOf]) -> str:
    """Return conditions as an expression of Milvus."""
    said = []
    for part in parts:
        match part:
            case Between(field, low, high):
                said.append(f"{field} >= {low} and {field} <= {high}")
            case OneOf(field, ()):
                said.append(f'{field} == "" and {field} != ""')  # nothing
            case OneOf(field, texts):
                said.append(f"{field} in {json.dumps(list(texts))}")
    return " and ".join(said)


class MilvusIndex:
    """Vectors of length one in Milvus, searched by cosine.

    The catalogue has all of them as well: it compares where few are selected, where Milvus goes
    only so deep, and where it keeps vectors coarsely.
    """

    def __init__(
        self,
        milvus: Milvus,
        store: Store,
        dimensions: int,
        fetch: Fetch,
        every: Callable[[], Ids],
    ) -> None:
        """Search a collection of Milvus. every: the ids of all that is embedded, sorted."""
        self._milvus = milvus
        self._name = store.name
        self._known = frozenset(store.fields)
        self.dimensions = dimensions
        self.kind = milvus.address.kind
        self._fetch = fetch
        self._every = every
        self._count = 0
        self._has_old = False
        self._tells = True
        self._fresh = Base.empty(EXACT, dimensions)

    @property
    def address(self) -> Address:
        """Return where it is."""
        return self._milvus.address

    @property
    def exact(self) -> bool:
        """Tell whether the nearest are always found."""
        return self.address.exact

    def __len__(self) -> int:
        """Count the vectors."""
        return self._count

    def follow(self, count: int, *, has_old: bool, tells: bool, every: Callable[[], Ids]) -> None:
        """Take note of the catalogue: how many are embedded, and what Milvus does not know of them.

        has_old: it may hold some that are embedded no more. tells: what it knows of images is so
        still. every: see above.
        """
        self._count, self._has_old, self._tells, self._every = count, has_old, tells, every

    def forget_fresh(self) -> None:
        """Keep nothing beside what is in Milvus."""
        self._fresh = Base.empty(EXACT, self.dimensions)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Keep vectors, [n, dimensions], beside what is in Milvus."""
        self._fresh.add(ids, vectors)

    def most(self, among: Among) -> int:
        """Return what no more than are among some; told at once."""
        return len(self) if isinstance(among, Selection) else self.count(among)

    def count(self, among: Among) -> int:
        """Count the vectors among some."""
        if among is None:
            return len(self)
        if isinstance(among, Selection) and self._says_all(among) and not self.address.is_lite:
            return self._milvus.counted(self._name, written(among.parts))
        ids = ids_of(among)  # which Milvus Lite would count one by one
        assert ids is not None
        return len(ids)

    def search(self, vector: Vectors, count: int, among: Among = None) -> list[tuple[int, float]]:
        """Return the count nearest of all vectors, or of those among some: (id, cosine)."""
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        parts, ids = self._bounds(among)
        if ids is not None and len(ids) <= FEW:
            return best(*self._compared(query, ids), count)
        most = len(self) if ids is None else len(ids)
        wanted = min(count, most)
        if wanted <= 0:
            return []
        if self._coarse(wanted) <= MOST:
            found, scores = self._found(query, wanted, written(parts), ids)
            if len(found) >= wanted or (self.exact and ids is None and not self._has_old):
                return best(found, scores, count)
        chosen = ids_of(among)
        return best(*self._compared(query, self._every() if chosen is None else chosen), count)

    def _bounds(self, among: Among) -> tuple[Parts, Ids | None]:
        """Return what Milvus can be told of a selection; and as ids, where that is not all."""
        if not isinstance(among, Selection):
            return (), among
        if self._says_all(among):
            return among.parts, None
        return (among.parts if self._understands(among) else ()), among.ids

    def _says_all(self, among: Selection) -> bool:
        return among.whole and self._understands(among) and not len(self._fresh)

    def _understands(self, among: Selection) -> bool:
        return self._tells and all(part.field in self._known for part in among.parts)

    @property
    def _reranks(self) -> bool:
        return self.address.reranks or self._has_old

    def _coarse(self, wanted: int) -> int:
        """Return how many to ask Milvus for, of which the wanted are the best."""
        return 3 * wanted + 30 if self._reranks else wanted

    def _found(
        self, query: Vectors, wanted: int, expression: str, ids: Ids | None
    ) -> tuple[Ids, Vectors]:
        """Return the nearest in Milvus and beside it, each once; all, where they are fewer."""
        asked = self._coarse(wanted)
        if ids is None:
            near, scores = self._asked(query, asked, expression)
        else:
            near, scores = self._picked(query, asked, expression, ids)
        if self._reranks:
            near, scores = self._compared(query, near)
        if len(self._fresh):
            more, theirs = self._fresh.search(query, len(self._fresh), None, 0)
            new = ~np.isin(more, near)
            if ids is not None:
                new &= np.isin(more, ids)
            near, scores = np.append(near, more[new]), np.append(scores, theirs[new])
        return near, scores

    def _picked(self, query: Vectors, asked: int, expression: str, ids: Ids) -> tuple[Ids, Vectors]:
        """Return the nearest of some ids: picked out of more, or asked for by their ids."""
        enough = min(asked, len(ids))
        more = max(asked, round(SPARE * asked * len(self) / len(ids)))
        if more <= MOST:
            near, scores = self._asked(query, more, expression)
            kept = np.isin(near, ids)
            if kept.sum() >= enough:
                return near[kept], scores[kept]
        pages = [
            self._asked(query, asked, f"id in {ids[start : start + PAGE].tolist()}")
            for start in range(0, len(ids), PAGE)
        ]
        return np.concatenate([page[0] for page in pages]), np.concatenate([p[1] for p in pages])

    def _asked(self, query: Vectors, count: int, expression: str) -> tuple[Ids, Vectors]:
        return self._milvus.nearest(self._name, query[0], min(count, MOST), expression)

    def _compared(self, query: Vectors, ids: Ids) -> tuple[Ids, Vectors]:
        return compared(query, ids, self._fetch, self.dimensions)
