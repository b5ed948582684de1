"""Resize pictures to the size that a model takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_QWEN_ASPECT = 200  # Qwen-VL's processor refuses longer pictures.
MAX_CROP_ASPECT = 2.0  # A center crop of a longer picture loses more than it keeps.

Fit = Literal["crop", "squash", "bound", "tiles"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The picture size that a model takes, and the way to resize a picture to this size.

    fit: "crop" makes the short side `side` pixels long, then crops the center. "squash" makes both
    sides `side` pixels long. "bound" keeps the aspect ratio, with at most `max_pixels`. With
    `multiple`, its sides are multiples of a number, as Qwen-VL needs them. "tiles" keeps the aspect
    ratio and covers as many of `tile_count` squares of `side` pixels as possible, as Phi-3-vision
    does: the long side consists of whole squares.
    """

    fit: Fit
    side: int = 0  # pixels
    max_pixels: int = 0  # width times height
    min_pixels: int = 0  # if there is a multiple
    multiple: int = 1  # pixels
    tile_count: int = 0
    fill: tuple[int, int, int] = (
        122,
        116,
        104,
    )  # the processor's mean color: zero after normalization
    resample: int = 3  # Pillow's resampling filter; 3 is bicubic

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown `fit`, or if a number is missing for it."""
        if self.fit not in get_args(Fit):
            raise ValueError(f"fit must be one of {', '.join(get_args(Fit))}")
        required = {"bound": "max_pixels", "tiles": "tile_count"}.get(self.fit, "side")
        if getattr(self, required) <= 0:
            raise ValueError(f"fit {self.fit} needs {required}")

    def compute_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size in pixels that a picture of this width and height is resized to."""
        short, long = sorted((width, height))
        if self.fit == "squash" or (self.fit == "crop" and long > MAX_CROP_ASPECT * short):
            return self.side, self.side
        if self.fit == "crop":
            scaled = int(self.side * long / short)  # transformers rounds down, too.
            return (self.side, scaled) if width <= height else (scaled, self.side)
        if self.fit == "tiles":
            tiles = count_tiles(long / short, self.tile_count) * self.side
            other = max(1, int(tiles * short / long))
            return (tiles, other) if width >= height else (other, tiles)
        if self.multiple > 1 and long <= MAX_QWEN_ASPECT * short:
            return self._round_sides(width, height)
        scale = min(1.0, math.sqrt(self.max_pixels / (width * height)))
        return max(1, int(width * scale)), max(1, int(height * scale))

    def _round_sides(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that smart_resize of transformers' Qwen2VLImageProcessor computes.

        This size of this size is the same, so the processor does not resize the picture again.
        """
        unit = self.multiple
        rounded = round(width / unit) * unit, round(height / unit) * unit
        if rounded[0] * rounded[1] > self.max_pixels:
            scale = math.sqrt(width * height / self.max_pixels)
            across, down = (math.floor(side / scale / unit) for side in (width, height))
            return max(1, across) * unit, max(1, down) * unit
        if rounded[0] * rounded[1] < self.min_pixels:
            scale = math.sqrt(self.min_pixels / (width * height))
            return math.ceil(width * scale / unit) * unit, math.ceil(height * scale / unit) * unit
        return rounded


def count_tiles(ratio: float, maximum: int) -> int:
    """Return how many squares the long side of a picture covers if it covers at most `maximum`.

    ratio: of the long side to the short one. Phi-3-vision's processor computes this number.
    """
    count = 1
    while (count + 1) * math.ceil((count + 1) / ratio) <= maximum:
        count += 1
    return count


def fit_to_model(image: Picture, target: ImageInput) -> Picture:
    """Resize a picture as the model's processor does, but never crop an elongated picture.

    A center crop would lose much of a picture whose aspect ratio exceeds MAX_CROP_ASPECT. It is
    padded to a square instead, with the processor's mean color.
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
    """Replace the function that resizes RGB pictures in this process.

    The function must return the same pixels as Pillow; it exists because it is faster.
    function: takes an RGB picture, a size in pixels, and Pillow's resampling filter.
    """
    global _resize_function
    _resize_function = function


def make_blank_picture(target: ImageInput) -> Picture:
    """Return a picture of the fill color, in the size that a model takes."""
    from PIL import Image

    picture: Picture = Image.new("RGB", (64, 64), target.fill)
    return fit_to_model(picture, target)
