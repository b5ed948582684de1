"""Collections of embeddings, and where their vectors are stored: FAISS files and Milvus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Between:
    """Condition on a numeric field: low <= value <= high."""

    field: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """Condition on a text field: the value is one of the texts."""

    field: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of images, embedded by one model with one set of settings."""

    id: int
    name: str
    model: str  # name, or absolute path of the model's folder
    revision: str
    dimensions: int
    settings: str  # JSON: the model options that the vectors depend on


@dataclass(frozen=True, slots=True)
class EmbeddingExtent:
    """Summary of a collection's embedding ids: equal extents mean equal sets of ids.

    Equal extents prove equal sets because new ids are always higher, and deletions are counted.
    """

    count: int = 0
    last_id: int = 0  # the highest id ever used, even if it is deleted now
    deletions: int = 0  # since the collection was created


@dataclass(frozen=True, slots=True)
class SavedIndex:
    """The catalog's record of a collection's vector index, in a FAISS file or in Milvus."""

    file: str | None = None  # path in the library, or a name in Milvus; None until the first save
    size: int = 0  # bytes
    count: int = 0  # count, last_id and deletions are the EmbeddingExtent that the index holds
    last_id: int = 0
    deletions: int = 0
    kind: str = "exact"  # or a FAISS factory string
    made_for: str = "auto"  # the kind that the user requested when the index was built
    trained: int = 0  # number of embeddings when the index was built

    @property
    def extent(self) -> EmbeddingExtent:
        """Return the extent of the embeddings that the index holds."""
        return EmbeddingExtent(self.count, self.last_id, self.deletions)


@dataclass(frozen=True, slots=True)
class MilvusCollection:
    """A Milvus collection that holds, or will hold, the vectors of one collection of embeddings."""

    name: str  # in Milvus
    place: str  # address of the server or file, and the index type; without secrets
    fields: tuple[str, ...]  # names of the image fields that are stored with each vector
