"""Pack vectors into the catalog's float16 bytes, unpack them, and check their norm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

MAX_NORM_ERROR = 0.01  # difference from norm 1; the rounding of float16 is smaller

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Vectors = NDArray[np.float32]
else:
    Ids = Vectors = np.ndarray


def pack_vector(vector: Vectors) -> bytes:
    """Return a vector as the catalog stores it: little-endian float16."""
    return vector.astype("<f2").tobytes()


def is_unit(vectors: Vectors) -> NDArray[np.bool_]:
    """Return which vectors, [..., dimensions], have norm 1, within float16 rounding."""
    # A comparison with NaN is false, so a vector with NaN is not valid.
    unit: NDArray[np.bool_] = np.abs(np.linalg.norm(vectors, axis=-1) - 1) <= MAX_NORM_ERROR
    return unit


def are_valid(blobs: Sequence[bytes], dimensions: int) -> NDArray[np.bool_]:
    """Return which stored vectors have the given number of dimensions and norm 1."""
    is_valid = np.array([len(blob) == 2 * dimensions for blob in blobs], dtype=bool)
    joined = b"".join(blob for blob, fits in zip(blobs, is_valid, strict=True) if fits)
    vectors = np.frombuffer(joined, "<f2").astype(np.float32).reshape(-1, dimensions)
    is_valid[is_valid] = is_unit(vectors)
    return is_valid


def unpack_vectors(blobs: Iterable[bytes], dimensions: int) -> Vectors:
    """Return stored vectors as float32, [n, dimensions], normalized to norm 1."""
    joined = np.frombuffer(b"".join(blobs), dtype="<f2").astype(np.float32)
    vectors = joined.reshape(-1, dimensions)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalized: Vectors = vectors / lengths
    return normalized
