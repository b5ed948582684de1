"""Vectors: how they are stored, and what a collection is searched with, a cache of them."""

from searchapp.vectors.index import CannotRemove, VectorIndex
from searchapp.vectors.searched import Searched, Selection
from searchapp.vectors.stored import Ids, Vectors, are_whole, is_unit, pack, unpack

__all__ = [
    "CannotRemove", "Ids", "Searched", "Selection", "VectorIndex", "Vectors", "are_whole",
    "is_unit", "pack", "unpack",
]  # fmt: skip
