"""Pictures become tensors and come back unchanged, and torch prints no warning about it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from searchapp.engines.tensors import (
    bytes_to_tensor,
    channels_to_picture,
    picture_to_channels,
    picture_to_pixels,
)

VALUES = np.random.default_rng(0).integers(0, 256, (7, 11, 3), np.uint8)
PICTURE = Image.fromarray(VALUES)


def test_pixels_and_channels_are_those_of_the_picture() -> None:
    assert np.array_equal(picture_to_pixels(PICTURE).numpy(), VALUES)
    channels = picture_to_channels(PICTURE)
    assert np.array_equal(channels.numpy(), VALUES.transpose(2, 0, 1))
    assert channels.is_contiguous()
    assert channels_to_picture(channels).tobytes() == PICTURE.tobytes()


def test_read_only_bytes_cause_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bytes_to_tensor(b"abc").tolist() == [97, 98, 99]
