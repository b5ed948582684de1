"""A vector as the catalogue stores it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ids = NDArray[np.int64]
    Vectors = NDArray[np.float32]
else:
    Ids = Vectors = np.ndarray


def pack(vector: Vectors) -> bytes:
    """Return a vector as the catalogue stores it: little-endian float16."""
    return vector.astype("<f2").tobytes()


def unpack(blobs: Iterable[bytes], dimensions: int) -> Vectors:
    """Return stored vectors as float32, [n, dimensions], of length one again."""
    joined = np.frombuffer(b"".join(blobs), dtype="<f2").astype(np.float32)
    vectors = joined.reshape(-1, dimensions)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: Vectors = vectors / lengths
    return normalised
