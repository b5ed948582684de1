"""What a collection is searched with, whatever keeps its vectors; and what a search is bound to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol, TypeAlias

from searchapp.types import Between, OneOf
from searchapp.vectors.packing import Ids, Vectors

Parts: TypeAlias = "tuple[Between | OneOf, ...]"


class Selection:
    """The embeddings that a filter leaves, as what asks for them and, once asked, as their ids."""

    def __init__(
        self,
        find: Callable[[], Ids],
        tell: Callable[[], tuple[Parts, bool]] = lambda: ((), False),
    ) -> None:
        """Select by what find returns: int64, sorted.

        tell: returns conditions on fields, which all of them fulfil, and whether those say all
        there is to say. Both are called when they are needed, and once.
        """
        self._find = find
        self._tell = tell

    @cached_property
    def ids(self) -> Ids:
        """Return their ids, int64, sorted."""
        return self._find()

    @cached_property
    def _told(self) -> tuple[Parts, bool]:
        return self._tell()

    @property
    def parts(self) -> Parts:
        """Return conditions that all of them fulfil."""
        return self._told[0]

    @property
    def whole(self) -> bool:
        """Tell whether the conditions say all there is to say."""
        return self._told[1]


Among: TypeAlias = "Ids | Selection | None"


class Searched(Protocol):
    """The vectors of a collection, to be searched by cosine."""

    kind: str  # exact, a FAISS factory string, or the type of an index of Milvus

    @property
    def exact(self) -> bool:
        """Tell whether the nearest are always found."""

    def __len__(self) -> int:
        """Count the vectors."""

    def count(self, among: Among) -> int:
        """Count those among some."""

    def most(self, among: Among) -> int:
        """Return a number that is told at once, and that no more are among some than."""

    def search(self, vector: Vectors, count: int, among: Among = None) -> list[tuple[int, float]]:
        """Return the count nearest of all, or of those among some: (id, cosine), best first.

        vector: [dimensions], of length one. There are fewer only where fewer match.
        """


def ids_of(among: Among) -> Ids | None:
    """Return what is selected as ids; None where all are."""
    return among.ids if isinstance(among, Selection) else among
