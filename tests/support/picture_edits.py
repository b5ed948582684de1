"""Edit pictures as people do: a perspective, a caption, a border."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.Image import Image as Picture


def tilt_picture(image: Picture) -> Picture:
    """Return the picture in a slight perspective, as a photo of a print has it."""
    return warp_corners(image, [(0.02, 0.01), (0.99, 0.03), (0.97, 0.98), (0.01, 0.99)])


def warp_corners(image: Picture, corners: Sequence[tuple[float, float]]) -> Picture:
    """Return the part of a picture between four corners, in the size of the picture.

    corners: from the upper left clockwise, as shares of width and height.
    """
    width, height = image.size
    rows, places = [], [(x * width, y * height) for x, y in corners]
    for (x, y), (u, v) in zip(
        ((0, 0), (width, 0), (width, height), (0, height)), places, strict=True
    ):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    factors = np.linalg.solve(np.array(rows, float), np.array(places).ravel())
    return image.transform(
        image.size, Image.Transform.PERSPECTIVE, factors.tolist(), Image.Resampling.BICUBIC
    )


def write_caption(image: Picture, text: str = "Summer holiday in Iceland") -> Picture:
    """Write a line of text into the lower part of a picture."""
    captioned = image.convert("RGB")
    draw, size = ImageDraw.Draw(captioned), max(14, round(image.height * 0.07))
    font = ImageFont.load_default(size)
    size = min(size, int(size * 0.9 * image.width / draw.textlength(text, font)))
    font = ImageFont.load_default(size)
    x = (image.width - draw.textlength(text, font)) / 2
    draw.text(
        (x, image.height - 1.6 * size), text, "white", font, stroke_width=2, stroke_fill="black"
    )
    return captioned


def add_border(image: Picture) -> Picture:
    """Add a white border."""
    return ImageOps.expand(image, round(0.06 * min(image.size)), "white")
