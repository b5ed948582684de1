"""Search a Milvus collection, together with the vectors embedded since the last sync."""

from __future__ import annotations

import json
import logging
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

MAX_EXACT_COMPARISONS = 2000  # a selection up to this size is compared without Milvus
# If this process applies a filter, it requests this factor more rows than needed on average.
OVERSAMPLING = 1.5
MAX_EXPRESSION_IDS = 20_000  # ids in one Milvus expression

logger = logging.getLogger(__name__)


def format_expression(parts: Iterable[Between | OneOf]) -> str:
    """Convert conditions to a Milvus filter expression.

    https://milvus.io/docs/boolean.md
    """
    clauses = []
    for part in parts:
        match part:
            case Between(field, low, high):
                clauses.append(f"{field} >= {low} and {field} <= {high}")
            case OneOf(field, ()):
                clauses.append(f'{field} == "" and {field} != ""')  # matches no row
            case OneOf(field, texts):
                clauses.append(f"{field} in {json.dumps(list(texts))}")
    return " and ".join(clauses)


class MilvusIndex:
    """Search vectors with norm 1 in Milvus by cosine.

    The catalog's copies of the vectors give exact cosines: for small selections, for results
    beyond the row limit of Milvus, and to rank the hits of a compressed index.
    """

    def __init__(
        self,
        milvus: MilvusConnection,
        store: MilvusCollection,
        dimensions: int,
        fetch: FetchVectors,
        read_all_ids: Callable[[], Ids],
    ) -> None:
        """Search a Milvus collection. read_all_ids: returns all embedding ids, sorted."""
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
        """Return the address of the Milvus server or file."""
        return self._milvus.address

    @property
    def is_exact(self) -> bool:
        """Return whether a search always finds the nearest vectors."""
        return self.address.is_exact

    def __len__(self) -> int:
        """Return the number of vectors in the index."""
        return self._count

    def update_state(
        self,
        count: int,
        *,
        has_deleted: bool,
        has_current_fields: bool,
        read_all_ids: Callable[[], Ids],
    ) -> None:
        """Update what the index knows about the catalog, and how Milvus differs from it.

        count: the number of vectors in the catalog. has_deleted: Milvus may contain deleted
        vectors. has_current_fields: the fields in Milvus that filters use are up to date.
        read_all_ids: returns all embedding ids, sorted.
        """
        self._count = count
        self._has_deleted = has_deleted
        self._has_current_fields = has_current_fields
        self._read_all_ids = read_all_ids

    def clear_added(self) -> None:
        """Remove the vectors that add() keeps in memory."""
        self._added = FaissIndex.create_empty(EXACT, self.dimensions)

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Keep vectors, [n, dimensions], in memory; a search includes them and Milvus."""
        self._added.add(ids, vectors)

    def estimate_max_matches(self, scope: SearchScope) -> int:
        """Return a cheap upper bound on the number of vectors in a scope."""
        return len(self) if isinstance(scope, Selection) else self.count_matches(scope)

    def count_matches(self, scope: SearchScope) -> int:
        """Return the number of vectors in a scope."""
        if scope is None:
            return len(self)
        if (
            isinstance(scope, Selection)
            and self._is_expressible(scope)
            and not self.address.is_lite
        ):
            return self._milvus.count_matching_rows(self._name, format_expression(scope.conditions))
        ids = scope_to_ids(scope)  # Milvus Lite would count row by row.
        assert ids is not None
        return len(ids)

    def search(
        self, vector: Vectors, count: int, scope: SearchScope = None
    ) -> list[tuple[int, float]]:
        """Return the count vectors of a scope nearest to a vector, as (id, cosine), best first."""
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        conditions, ids = self._split_scope(scope)
        if ids is not None and len(ids) <= MAX_EXACT_COMPARISONS:
            return select_best(*self._compute_cosines(query, ids), count)
        match_count = len(self) if ids is None else len(ids)
        result_count = min(count, match_count)
        if result_count <= 0:
            return []
        if self._compute_candidate_count(result_count) <= MAX_RESULT_ROWS:
            found, scores = self._search_all(
                query, result_count, format_expression(conditions), ids
            )
            if len(found) >= result_count or (
                self.is_exact and ids is None and not self._has_deleted
            ):
                return select_best(found, scores, count)
        scope_ids = scope_to_ids(scope)
        searched_ids = self._read_all_ids() if scope_ids is None else scope_ids
        logger.debug(
            "Milvus cannot return the best %d of %d matches; comparing the vectors in the catalog",
            result_count, match_count,
        )  # fmt: skip
        return select_best(*self._compute_cosines(query, searched_ids), count)

    def search_many(
        self, vectors: Vectors, count: int, scope: SearchScope = None
    ) -> list[list[tuple[int, float]]]:
        """Return the result of search() for each of many vectors, [n, dimensions]."""
        return [self.search(vector, count, scope) for vector in vectors]

    def _split_scope(self, scope: SearchScope) -> tuple[Conditions, Ids | None]:
        """Return the Milvus conditions of a scope and, if they do not define it, its sorted ids.

        The ids are None if the conditions alone define the scope.
        """
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
        """Return the number of rows to request from Milvus, enough to rerank them."""
        return 3 * result_count + 30 if self._is_reranked else result_count

    def _search_all(
        self, query: Vectors, result_count: int, expression: str, ids: Ids | None
    ) -> tuple[Ids, Vectors]:
        """Return (ids, cosines) of the nearest vectors in Milvus and in memory, each id once."""
        candidate_count = self._compute_candidate_count(result_count)
        if ids is None:
            near, scores = self._search_milvus(query, candidate_count, expression)
        else:
            near, scores = self._search_ids(query, candidate_count, expression, ids)
        if self._is_reranked:
            near, scores = self._compute_cosines(query, near)
        if len(self._added):
            ((added_ids, added_scores),) = self._added.search_each(query, len(self._added), None, 0)
            new = ~np.isin(added_ids, near)
            if ids is not None:
                new &= np.isin(added_ids, ids)
            near, scores = np.append(near, added_ids[new]), np.append(scores, added_scores[new])
        return near, scores

    def _search_ids(
        self, query: Vectors, candidate_count: int, expression: str, ids: Ids
    ) -> tuple[Ids, Vectors]:
        """Return (ids, cosines) of the nearest vectors in Milvus with one of the given ids.

        First filters a larger result of Milvus; if it has too few matches, sends Milvus the ids.
        """
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
