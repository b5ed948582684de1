"""QueryPart: one term of a search, with what its caller knows of its picture."""

from __future__ import annotations

from dataclasses import dataclass

from searchapp.types import Query, Term


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
