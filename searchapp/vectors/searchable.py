"""The interface of all vector indexes, and the selection of vectors to search."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol, TypeAlias

from searchapp.types import Between, OneOf
from searchapp.vectors.packing import Ids, Vectors

Conditions: TypeAlias = "tuple[Between | OneOf, ...]"


class Selection:
    """The embeddings that match a filter, as conditions and as ids; computed on first use."""

    def __init__(
        self,
        find_ids: Callable[[], Ids],
        find_conditions: Callable[[], tuple[Conditions, bool]] = lambda: ((), False),
    ) -> None:
        """Create a selection from two functions, each called at most once.

        find_ids: returns the ids, int64, sorted. find_conditions: returns conditions on fields
        that every selected embedding meets, and whether they define the selection completely.
        """
        self._find_ids = find_ids
        self._find_conditions = find_conditions

    @cached_property
    def ids(self) -> Ids:
        """Return the ids of the selected embeddings, int64, sorted."""
        return self._find_ids()

    @cached_property
    def _conditions_found(self) -> tuple[Conditions, bool]:
        return self._find_conditions()

    @property
    def conditions(self) -> Conditions:
        """Return conditions that every selected embedding meets."""
        return self._conditions_found[0]

    @property
    def is_complete(self) -> bool:
        """Return whether the conditions alone define the selection, without its ids."""
        return self._conditions_found[1]


# The vectors that a search covers: given ids (int64, sorted), a selection, or None for all.
SearchScope: TypeAlias = "Ids | Selection | None"


class SearchIndex(Protocol):
    """Search the vectors of a collection by cosine."""

    kind: str  # exact, a FAISS factory string, or a Milvus index type

    @property
    def is_exact(self) -> bool:
        """Return whether a search always finds the nearest vectors."""

    def __len__(self) -> int:
        """Return the number of vectors in the index."""

    def count_matches(self, scope: SearchScope) -> int:
        """Return the number of vectors in a scope."""

    def estimate_max_matches(self, scope: SearchScope) -> int:
        """Return a cheap upper bound on the number of vectors in a scope."""

    def search(
        self, vector: Vectors, count: int, scope: SearchScope = None
    ) -> list[tuple[int, float]]:
        """Return the count vectors of a scope nearest to a vector, as (id, cosine), best first.

        vector has the shape [dimensions] and norm 1. The result is shorter than count only
        if the scope holds fewer vectors.
        """

    def search_many(
        self, vectors: Vectors, count: int, scope: SearchScope = None
    ) -> list[list[tuple[int, float]]]:
        """Return the result of search() for each of many vectors, [n, dimensions]."""


def scope_to_ids(scope: SearchScope) -> Ids | None:
    """Return the ids of a scope; None: all vectors."""
    return scope.ids if isinstance(scope, Selection) else scope
