"""Collections, and where their vectors are kept and told of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Between:
    """A condition: a field's number lies from low to high, both included."""

    field: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """A condition: a field's text is one of some."""

    field: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """The images embedded in one space."""

    id: int
    name: str
    model: str  # a model's name, or the absolute path of its folder
    revision: str
    dimensions: int
    settings: str  # JSON: what else the vectors depend on


@dataclass(frozen=True, slots=True)
class EmbeddingExtent:
    """Which embeddings a collection has: equal extents are equal sets of ids.

    Ids only grow and are never used twice, and every deletion is counted.
    """

    count: int = 0
    last_id: int = 0  # the highest id there ever was
    deletions: int = 0  # of all times


@dataclass(frozen=True, slots=True)
class SavedIndex:
    """What the catalogue knows of a collection's index file, or of its collection in Milvus."""

    file: str | None = None  # below the library, or a name in Milvus; None until the first save
    size: int = 0  # bytes
    count: int = 0  # with last_id and deletions: the Extent that it holds
    last_id: int = 0
    deletions: int = 0
    kind: str = "exact"  # or a FAISS factory string
    made_for: str = "auto"  # the kind that the user wanted then
    trained: int = 0  # how many embeddings there were when it was made

    @property
    def extent(self) -> EmbeddingExtent:
        """Return which embeddings it holds."""
        return EmbeddingExtent(self.count, self.last_id, self.deletions)


@dataclass(frozen=True, slots=True)
class MilvusCollection:
    """A collection in Milvus that holds a collection's vectors, or is to."""

    name: str  # in Milvus
    place: str  # the server or file, and how the index is made; without secrets
    fields: tuple[str, ...]  # of the images, that it knows beside the vectors
