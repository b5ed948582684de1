"""Rotate vectors at random, in blocks of dimensions, so that rotating a query takes little time.

A random matrix of 768 x 768 floats fills the cache of a processor core. To multiply a query with
it takes a fifth of the time of a search. Blocks are as good for product quantization, which needs
about the same variance in all dimensions. A block mixes BLOCK_SIZE dimensions that are evenly
spread. FAISS stores and applies the rotation as any other, so its files need nothing new.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from searchapp.vectors.packing import Vectors

BLOCK_SIZE = 64
MAX_QUERIES = 16  # For more, FAISS is faster.


def set_block_rotation(transform: Any) -> None:
    """Replace the matrix of a trained RandomRotationMatrix by one of blocks, if they fit."""
    faiss: Any = import_module("faiss")
    dimensions = transform.d_in
    if dimensions % BLOCK_SIZE or transform.d_out != dimensions:
        return
    rng = np.random.default_rng(0)
    matrix = np.zeros((dimensions, dimensions), np.float32)
    for block in _view_blocks(matrix):
        block[:] = np.linalg.qr(rng.standard_normal((BLOCK_SIZE, BLOCK_SIZE)))[0]
    faiss.copy_array_to_vector(matrix.ravel(), transform.A)


def read_blocks(transform: Any) -> Vectors | None:
    """Return the blocks of a rotation, [n, BLOCK_SIZE, BLOCK_SIZE]; None: it has no blocks."""
    faiss: Any = import_module("faiss")
    dimensions = transform.d_in
    if not isinstance(transform, faiss.RandomRotationMatrix) or dimensions % BLOCK_SIZE:
        return None
    if transform.d_out != dimensions or transform.A.size() != dimensions**2:
        return None
    matrix = faiss.rev_swig_ptr(transform.A.data(), dimensions**2).reshape(dimensions, dimensions)
    blocks = np.stack(_view_blocks(matrix))
    return blocks if np.count_nonzero(blocks) == np.count_nonzero(matrix) else None


def rotate(queries: Vectors, blocks: Vectors) -> Vectors:
    """Return rotated queries, [n, dimensions]. Each is rotated alone, so n does not change it."""
    rotated = np.empty(queries.shape, np.float32)
    for query, result in zip(queries, rotated, strict=True):
        parts = np.ascontiguousarray(query.reshape(BLOCK_SIZE, len(blocks)).T)
        # A matrix product would start threads, which take longer on a busy machine.
        np.einsum("nij,nj->ni", blocks, parts, out=result.reshape(parts.shape))
    return rotated


def _view_blocks(matrix: Vectors) -> list[Vectors]:
    count = len(matrix) // BLOCK_SIZE
    return [
        matrix[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE, number::count]
        for number in range(count)
    ]
