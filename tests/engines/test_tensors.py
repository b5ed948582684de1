"""Pictures become tensors and come back unchanged, and torch prints no warning about it."""

from __future__ import annotations

import io
import pickle
import warnings

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from searchapp.engines.tensors import (
    ChannelPicture,
    bytes_to_tensor,
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


def test_a_picture_of_channels_is_one_of_pillow() -> None:
    """Pillow can do with it what it does with any picture; its channels are not copied."""
    channels = picture_to_channels(PICTURE)
    picture = ChannelPicture(channels)
    assert (picture.size, picture.mode) == (PICTURE.size, "RGB")
    assert picture_to_channels(picture) is channels
    assert np.array_equal(np.asarray(picture), VALUES)
    for edit in (
        lambda image: image.crop((1, 2, 5, 6)),
        lambda image: image.resize((4, 4)),
        lambda image: image.convert("L"),
        lambda image: image.copy(),
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
    ):
        assert edit(ChannelPicture(channels)).tobytes() == edit(PICTURE).tobytes()
    file = io.BytesIO()
    ChannelPicture(channels).save(file, "PNG")
    assert Image.open(file).tobytes() == PICTURE.tobytes()
    assert pickle.loads(pickle.dumps(ChannelPicture(channels))).tobytes() == PICTURE.tobytes()


def test_read_only_bytes_cause_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bytes_to_tensor(b"abc").tolist() == [97, 98, 99]
