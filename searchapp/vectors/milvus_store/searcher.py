"""A collection whose vectors are in Milvus, to be searched: with what has come since, beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import numpy as np

from searchapp.types import Between, MilvusCollection, OneOf
from searchapp.vectors.address import MilvusAddress
from searchapp.vectors.exact_cosines import FetchVectors, compute_cosines, select_best
from searchapp.vectors.faiss_files.choose_index import EXACT
from searchapp.vectors.faiss_files.faiss_index import FaissIndex
from searchapp.vectors.milvus_store.store import MAX_RESULT_ROWS, MilvusConnection
from searchapp.vectors.packing import Ids, Vectors
from searchapp.vectors.searchable import Conditions, SearchScope, Selection, scope_to_ids

MAX_EXACT_COMPARISONS = 2000  # so many selected vectors are compared one by one
OVERSAMPLING = (
    1.5  # times as many are asked for as will do on average, where a filter is ours to apply
)
MAX_EXPRESSION_IDS = 20_000  # ids in an expression


def format_expression(parts: Iterable[Between | OneOf]) -> str:
    """Return conditions as an expression of Milvus."""
    clauses = []
    for part in parts:
        match part:
            case Between(field, low, high):
                clauses.append(f"{field} >= {low} and {field} <= {high}")
            case OneOf(field, ()):
                clauses.append(f'{field} == "" and {field} != ""')  # nothing
            case OneOf(field, texts):
                clauses.append(f"{field} in {json.dumps(list(texts))}")
    return " and ".join(clauses)


class MilvusIndex:
    """Vectors of length one in Milvus, searched by cosine.

    The catalogue has all of them as well: it compares where few are selected, where Milvus goes
    only so deep, and where it keeps vectors coarsely.
    """

    def __init__(
        self,
        milvus: MilvusConnection,
        store: MilvusCollection,
        dimensions: int,
        fetch: FetchVectors,
        read_all_ids: Callable[[], Ids],
    ) -> None:
        """Search a collection of Milvus. every: the ids of all that is embedded, sorted."""
        self._milvus = milvus
        self._name = store.name
        self._known_fields = frozenset(store.fields)
        self.dimensions = dimensions
        self.kind = milvus.address.index_kind
        self._fetch = fetch
        self._read_all_ids = read_all_ids
        self._count = 0
        self._has_deleted = False
        self._has_current_fields = True
        self._added = FaissIndex.create_empty(EXACT, dimensions)

    @property
    def address(self) -> MilvusAddress:
        """Return where it is."""
        return self._milvus.address

    @property
    def is_exact(self) -> bool:
        """Tell whether the nearest are always found."""
        return self.address.is_exact

    def __len__(self) -> int:
        """Count the vectors."""
        return self._count

    def update_state(
        self,
        count: int,
        *,
        has_deleted: bool,
        has_current_fields: bool,
        read_all_ids: Callable[[], Ids],
    ) -> None:
        """Take note of the catalogue: how many are embedded, and what Milvus does not know of them.

        has_old: it may hold some that are embedded no more. tells: what it knows of images is so
        still. every: see above.
        """
        self._count, self._has_deleted, self._has_current_fields, self._read_all_ids = (
            count,
            has_deleted,
            has_current_fields,
            read_all_ids,
        )

    def clear_added(self) -> None:
        """Keep nothing beside what is in Milvus."""
        self._added = FaissIndex.create_empty(EXACT, self.dimensions)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Keep vectors, [n, dimensions], beside what is in Milvus."""
        self._added.add(ids, vectors)

    def estimate_max_matches(self, scope: SearchScope) -> int:
        """Return what no more than are among some; told at once."""
        return len(self) if isinstance(scope, Selection) else self.count_matches(scope)

    def count_matches(self, scope: SearchScope) -> int:
        """Count the vectors among some."""
        if scope is None:
            return len(self)
        if (
            isinstance(scope, Selection)
            and self._is_expressible(scope)
            and not self.address.is_lite
        ):
            return self._milvus.count_matching_rows(self._name, format_expression(scope.conditions))
        ids = scope_to_ids(scope)  # which Milvus Lite would count one by one
        assert ids is not None
        return len(ids)

    def search(
        self, vector: Vectors, count: int, scope: SearchScope = None
    ) -> list[tuple[int, float]]:
        """Return the count nearest of all vectors, or of those among some: (id, cosine)."""
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        parts, ids = self._split_scope(scope)
        if ids is not None and len(ids) <= MAX_EXACT_COMPARISONS:
            return select_best(*self._compute_cosines(query, ids), count)
        match_count = len(self) if ids is None else len(ids)
        result_count = min(count, match_count)
        if result_count <= 0:
            return []
        if self._compute_candidate_count(result_count) <= MAX_RESULT_ROWS:
            found, scores = self._search_all(query, result_count, format_expression(parts), ids)
            if len(found) >= result_count or (
                self.is_exact and ids is None and not self._has_deleted
            ):
                return select_best(found, scores, count)
        chosen = scope_to_ids(scope)
        return select_best(
            *self._compute_cosines(query, self._read_all_ids() if chosen is None else chosen), count
        )

    def _split_scope(self, scope: SearchScope) -> tuple[Conditions, Ids | None]:
        """Return what Milvus can be told of a selection; and as ids, where that is not all."""
        if not isinstance(scope, Selection):
            return (), scope
        if self._is_expressible(scope):
            return scope.conditions, None
        return (scope.conditions if self._has_fields(scope) else ()), scope.ids

    def _is_expressible(self, selection: Selection) -> bool:
        return selection.is_complete and self._has_fields(selection) and not len(self._added)

    def _has_fields(self, selection: Selection) -> bool:
        return self._has_current_fields and all(
            part.field in self._known_fields for part in selection.conditions
        )

    @property
    def _is_reranked(self) -> bool:
        return self.address.is_reranked or self._has_deleted

    def _compute_candidate_count(self, result_count: int) -> int:
        """Return how many to ask Milvus for, of which the wanted are the best."""
        return 3 * result_count + 30 if self._is_reranked else result_count

    def _search_all(
        self, query: Vectors, result_count: int, expression: str, ids: Ids | None
    ) -> tuple[Ids, Vectors]:
        """Return the nearest in Milvus and beside it, each once; all, where they are fewer."""
        candidate_count = self._compute_candidate_count(result_count)
        if ids is None:
            near, scores = self._search_milvus(query, candidate_count, expression)
        else:
            near, scores = self._search_ids(query, candidate_count, expression, ids)
        if self._is_reranked:
            near, scores = self._compute_cosines(query, near)
        if len(self._added):
            added_ids, added_scores = self._added.search(query, len(self._added), None, 0)
            new = ~np.isin(added_ids, near)
            if ids is not None:
                new &= np.isin(added_ids, ids)
            near, scores = np.append(near, added_ids[new]), np.append(scores, added_scores[new])
        return near, scores

    def _search_ids(
        self, query: Vectors, candidate_count: int, expression: str, ids: Ids
    ) -> tuple[Ids, Vectors]:
        """Return the nearest of some ids: picked out of more, or asked for by their ids."""
        enough = min(candidate_count, len(ids))
        oversampled_count = max(
            candidate_count, round(OVERSAMPLING * candidate_count * len(self) / len(ids))
        )
        if oversampled_count <= MAX_RESULT_ROWS:
            near, scores = self._search_milvus(query, oversampled_count, expression)
            is_selected = np.isin(near, ids)
            if is_selected.sum() >= enough:
                return near[is_selected], scores[is_selected]
        pages = [
            self._search_milvus(
                query, candidate_count, f"id in {ids[start : start + MAX_EXPRESSION_IDS].tolist()}"
            )
            for start in range(0, len(ids), MAX_EXPRESSION_IDS)
        ]
        return np.concatenate([page[0] for page in pages]), np.concatenate([p[1] for p in pages])

    def _search_milvus(self, query: Vectors, count: int, expression: str) -> tuple[Ids, Vectors]:
        return self._milvus.search_nearest(
            self._name, query[0], min(count, MAX_RESULT_ROWS), expression
        )

    def _compute_cosines(self, query: Vectors, ids: Ids) -> tuple[Ids, Vectors]:
        return compute_cosines(query, ids, self._fetch, self.dimensions)
