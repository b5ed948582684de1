"""Decoded JPEGs are reduced as libjpeg does; tests/pictures/test_jpeg_decoder.py compares both."""

from __future__ import annotations

import numpy as np
import pytest
from support.jpeg_decoders import make_job

from searchapp.engines.reduce_jpegs import reduce_pictures


@pytest.mark.parametrize(
    ("size", "factor"), [((21, 34), 2), ((40, 8), 4), ((17, 17), 8), ((40, 8), 8)]
)
def test_pixels_are_reduced_to_the_mean_of_their_square(size: tuple[int, int], factor: int) -> None:
    torch = pytest.importorskip("torch")
    height, width = size
    pictures = np.random.default_rng(0).integers(0, 256, (3, 3, *size), dtype=np.uint8)
    made = reduce_pictures(torch.from_numpy(pictures), make_job(factor=factor).shape)
    for reduced, values in zip(made, pictures, strict=True):
        assert reduced.shape == (-(-height // factor), -(-width // factor), 3)
        assert reduced.flags.c_contiguous
        for row, column in ((0, 0), (reduced.shape[0] - 1, reduced.shape[1] - 1)):
            square = values[:, row * factor :, column * factor :][:, :factor, :factor]
            assert np.abs(reduced[row, column] - square.mean(axis=(1, 2))).max() <= 0.51
