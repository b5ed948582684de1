"""Vectors: how they are stored, and what a collection is searched with, a cache of them."""

from searchapp.vectors.faiss_files.index import CannotRemove, VectorIndex
from searchapp.vectors.packing import Ids, Vectors, are_whole, is_unit, pack, unpack
from searchapp.vectors.searchable import Searched, Selection

__all__ = [
    "CannotRemove", "Ids", "Searched", "Selection", "VectorIndex", "Vectors", "are_whole",
    "is_unit", "pack", "unpack",
]  # fmt: skip
