"""Turn bytes and pictures into torch tensors, and back, with as few copies as possible."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def bytes_to_tensor(data: bytes) -> Any:
    """Return a uint8 tensor that shares the memory of bytes. Nothing may write to it."""
    import torch

    _silence_warning()
    return torch.frombuffer(data, dtype=torch.uint8)


@cache
def _silence_warning() -> None:
    """Make torch's warning now: once in a process, it warns that it cannot protect the memory."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.frombuffer(b"\0", dtype=torch.uint8)


def picture_to_pixels(image: Picture) -> Any:
    """Return the pixels of an RGB picture: uint8, [height, width, 3]. Nothing may write to them."""
    return bytes_to_tensor(image.tobytes()).view(image.height, image.width, 3)


def picture_to_channels(image: Picture) -> Any:
    """Return the channels of an RGB picture: uint8, [3, height, width], in this memory order."""
    if isinstance(image, ChannelPicture):
        return image.channels
    channels = b"".join(channel.tobytes() for channel in image.split())
    return bytes_to_tensor(channels).view(3, image.height, image.width)


class ChannelPicture(Image.Image):
    """An RGB picture made of a tensor. Pillow gets the pixels only when it needs them."""

    def __init__(self, channels: Any) -> None:
        """channels: uint8, [3, height, width]. Nothing may write to them."""
        super().__init__()
        self.channels = channels
        _, height, width = channels.shape
        self._mode, self._size = "RGB", (width, height)

    def load(self) -> Any:
        """Give the pixels to Pillow, which calls this method before it uses them."""
        if self._im is None:
            # Pillow merges the channels in a sixth of the time that torch takes to reorder them.
            parts = [Image.fromarray(channel) for channel in self.channels.numpy()]
            self._im = Image.merge("RGB", parts).im
        return super().load()
