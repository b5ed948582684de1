"""Nearest-vector search: indexes in FAISS files or Milvus, kept in step with the catalog."""

from searchapp.vectors.faiss_files.index import RemovalUnsupportedError, VectorIndex
from searchapp.vectors.packing import Ids, Vectors, are_valid, is_unit, pack_vector, unpack_vectors
from searchapp.vectors.searchable import SearchIndex, Selection

__all__ = [
    "Ids",
    "RemovalUnsupportedError",
    "SearchIndex",
    "Selection",
    "VectorIndex",
    "Vectors",
    "are_valid",
    "is_unit",
    "pack_vector",
    "unpack_vectors",
]  # fmt: skip
