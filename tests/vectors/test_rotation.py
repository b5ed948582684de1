"""Rotations in blocks keep distances, and a query is rotated as FAISS rotates the vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchapp.vectors.faiss_files import rotation
from searchapp.vectors.faiss_files.faiss_index import FaissIndex


def draw(count: int, dimensions: int) -> np.ndarray:
    vectors = np.random.default_rng(0).standard_normal((count, dimensions), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "dimensions", "has_blocks"),
    [
        ("RR,IVF2,PQ48x4fs", 192, True),
        ("RR,IVF2,PQ16x4fs", 64, True),
        ("RR,IVF2,PQ4x4fs", 16, False),
        ("RR,IVF2,RaBitQ", 192, False),
    ],
)
def test_rotation_keeps_cosines(
    tmp_path: Path, kind: str, dimensions: int, has_blocks: bool
) -> None:
    vectors, file = draw(100, dimensions), tmp_path / "index.faiss"
    index = FaissIndex.create_empty(kind, dimensions)
    index.train(vectors, lambda: None)
    index.add(np.arange(100), vectors)
    index.write(file)
    for opened in (index, FaissIndex.read(file, dimensions, writable=False)):
        assert opened is not None
        (transform,) = opened._transforms
        blocks = rotation.read_blocks(transform)
        assert (blocks is not None) == has_blocks == (opened._rotation_blocks is not None)
        rotated = transform.apply(vectors)
        assert np.allclose(rotated @ rotated.T, vectors @ vectors.T, atol=1e-5)
        assert not np.allclose(rotated, vectors, atol=0.1)
        if blocks is not None:
            assert np.allclose(rotation.rotate(vectors, blocks), rotated, atol=1e-5)
