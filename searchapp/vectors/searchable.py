"""What a collection is searched with, whatever keeps its vectors; and what a search is bound to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol, TypeAlias

from searchapp.types import Between, OneOf
from searchapp.vectors.packing import Ids, Vectors

Conditions: TypeAlias = "tuple[Between | OneOf, ...]"


class Selection:
    """The embeddings that a filter leaves, as what asks for them and, once asked, as their ids."""

    def __init__(
        self,
        find_ids: Callable[[], Ids],
        find_conditions: Callable[[], tuple[Conditions, bool]] = lambda: ((), False),
    ) -> None:
        """Select by what find returns: int64, sorted.

        tell: returns conditions on fields, which all of them fulfil, and whether those say all
        there is to say. Both are called when they are needed, and once.
        """
        self._find_ids = find_ids
        self._find_conditions = find_conditions

    @cached_property
    def ids(self) -> Ids:
        """Return their ids, int64, sorted."""
        return self._find_ids()

    @cached_property
    def _conditions_found(self) -> tuple[Conditions, bool]:
        return self._find_conditions()

    @property
    def conditions(self) -> Conditions:
        """Return conditions that all of them fulfil."""
        return self._conditions_found[0]

    @property
    def is_complete(self) -> bool:
        """Tell whether the conditions say all there is to say."""
        return self._conditions_found[1]


SearchScope: TypeAlias = "Ids | Selection | None"


class SearchIndex(Protocol):
    """The vectors of a collection, to be searched by cosine."""

    kind: str  # exact, a FAISS factory string, or the type of an index of Milvus

    @property
    def is_exact(self) -> bool:
        """Tell whether the nearest are always found."""

    def __len__(self) -> int:
        """Count the vectors."""

    def count_matches(self, scope: SearchScope) -> int:
        """Count those among some."""

    def estimate_max_matches(self, scope: SearchScope) -> int:
        """Return a number that is told at once, and that no more are among some than."""

    def search(
        self, vector: Vectors, count: int, scope: SearchScope = None
    ) -> list[tuple[int, float]]:
        """Return the count nearest of all, or of those among some: (id, cosine), best first.

        vector: [dimensions], of length one. There are fewer only where fewer match.
        """


def scope_to_ids(scope: SearchScope) -> Ids | None:
    """Return what is selected as ids; None where all are."""
    return scope.ids if isinstance(scope, Selection) else scope
