"""The question of a search, as search.search() takes it."""

from __future__ import annotations

from dataclasses import dataclass

from searchapp.types import Example, Query, SearchOptions, Term


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One term of a search: a text, a picture, both, or an image of the library.

    data: the bytes of the picture, if the caller has read them. image_id: id of an image in the
    library. Its stored vector is used, unless the query has a text or a region.
    """

    query: Query
    data: bytes | None = None
    image_id: int | None = None
    weight: float = 1.0

    @classmethod
    def from_term(cls, term: Term) -> QueryPart:
        """Convert a term, whose picture can be an image of the library."""
        image = term.query.image
        return cls(
            term.query, image_id=image if isinstance(image, int) else None, weight=term.weight
        )


@dataclass(frozen=True, slots=True)
class PreparedSearch:
    """A search for search.search(): its question, its examples and its options."""

    parts: list[QueryPart]
    examples: list[Example]
    options: SearchOptions
    one_prompt: bool = False
