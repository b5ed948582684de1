"""Decoded JPEGs are reduced as libjpeg does; tests/pictures/test_jpeg_decoder.py compares both."""

from __future__ import annotations

import numpy as np
import pytest
from support.jpeg_decoders import make_job

from searchapp.engines.reduce_jpegs import reduce_pictures


def test_pixels_are_reduced_to_the_mean_of_their_square() -> None:
    """Each picture of a batch by its own factor."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    sizes, factors = ((21, 34), (40, 8), (17, 17), (40, 8), (21, 34)), (2, 4, 8, 4, 2)
    pictures = [rng.integers(0, 256, (3, *size), dtype=np.uint8) for size in sizes]
    jobs = [make_job(factor=factor) for factor in factors]
    made = reduce_pictures([torch.from_numpy(each) for each in pictures], jobs)
    for reduced, values, (height, width), factor in zip(
        made, pictures, sizes, factors, strict=True
    ):
        assert reduced.shape == (-(-height // factor), -(-width // factor), 3)
        assert reduced.flags.c_contiguous
        for row, column in ((0, 0), (reduced.shape[0] - 1, reduced.shape[1] - 1)):
            square = values[:, row * factor :, column * factor :][:, :factor, :factor]
            assert np.abs(reduced[row, column] - square.mean(axis=(1, 2))).max() <= 0.51
