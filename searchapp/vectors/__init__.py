"""Vectors: how they are stored, and the FAISS index of a collection, which is a cache of them."""

from searchapp.vectors.index import CannotRemove, VectorIndex
from searchapp.vectors.stored import Ids, Vectors, are_whole, is_unit, pack, unpack

__all__ = [
    "CannotRemove", "Ids", "VectorIndex", "Vectors", "are_whole", "is_unit", "pack", "unpack",
]  # fmt: skip
