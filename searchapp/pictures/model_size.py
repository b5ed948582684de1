"""How large a model takes its pictures, and how they are brought to that size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_CROP_ASPECT = 2.0  # a centre crop of a longer picture loses more than it keeps

Fit = Literal["crop", "squash", "bound"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How large a model takes its pictures, as its own processor makes them.

    crop: the short side becomes `side`, then the processor cuts the middle. squash: both sides
    become `side`. bound: the shape is kept, and the processor takes up to `max_pixels` of it.
    """

    fit: Fit
    side: int = 0  # pixels
    max_pixels: int = 0
    fill: tuple[int, int, int] = (122, 116, 104)  # the processor's mean: nothing, to it
    resample: int = 3  # Pillow's number of the filter; 3 is bicubic

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.fit not in get_args(Fit):
            raise ValueError(f"fit is one of {', '.join(get_args(Fit))}")
        if (self.max_pixels if self.fit == "bound" else self.side) <= 0:
            raise ValueError("needs " + ("max_pixels" if self.fit == "bound" else "side"))

    def compute_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that a picture is resized to."""
        short, long = sorted((width, height))
        if self.fit == "squash" or (self.fit == "crop" and long > MAX_CROP_ASPECT * short):
            return self.side, self.side
        if self.fit == "crop":
            scaled = int(self.side * long / short)  # rounded as transformers rounds
            return (self.side, scaled) if width <= height else (scaled, self.side)
        scale = min(1.0, math.sqrt(self.max_pixels / (width * height)))
        return max(1, int(width * scale)), max(1, int(height * scale))


def fit_to_model(image: Picture, target: ImageInput) -> Picture:
    """Resize as the model's own processor does, but show an elongated picture whole.

    What a centre crop would lose of a picture longer than ELONGATED to 1 counts as well: such a
    picture is put whole on a square of the processor's mean colour.
    """
    from PIL import Image, ImageOps

    resample = Image.Resampling(target.resample)
    size = target.compute_size(*image.size)
    if target.fit == "crop" and max(image.size) > MAX_CROP_ASPECT * min(image.size):
        return ImageOps.pad(image, size, resample, color=target.fill)
    return image if image.size == size else _resize_function(image, size, target.resample)


ResizeFunction: TypeAlias = "Callable[[Picture, tuple[int, int], int], Picture]"


def _resize_with_pillow(image: Picture, size: tuple[int, int], resample: int) -> Picture:
    from PIL import Image

    return image.resize(size, Image.Resampling(resample))


_resize_function: ResizeFunction = _resize_with_pillow


def set_resize_function(function: ResizeFunction) -> None:
    """Resize with another function from now on, which gives what Pillow gives, and faster.

    function: of an RGB picture, a size in pixels, and Pillow's number of a filter.
    """
    global _resize_function
    _resize_function = function


def make_blank_picture(target: ImageInput) -> Picture:
    """Return a small picture of nothing, in a model's form."""
    from PIL import Image

    picture: Picture = Image.new("RGB", (64, 64), target.fill)
    return fit_to_model(picture, target)
