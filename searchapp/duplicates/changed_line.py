"""A line of changes between two registered pictures, that may be a text in one of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from searchapp.duplicates.registration import Floats, Mask


class Part(NamedTuple):
    """The rows and columns of changes that may be a text, in pixels."""

    top: int
    end: int
    left: int
    right: int


class ChangedLine(NamedTuple):
    """The box around a line of changes, with as much above and below it as it is high."""

    carrier: Floats  # [h, w, 3], the picture that may have the text
    plain: Floats  # [h, w, 3], the other picture
    is_changed: Mask
    height: int  # of the line, in pixels
    rows: slice  # of the line
    columns: slice


def cut_line(carrier: Floats, plain: Floats, is_changed: Mask, part: Part) -> ChangedLine:
    """Return a part of the changes of two pictures, [h, w, 3], with its surroundings."""
    height = part.end - part.top
    reach = max(4, height)
    first_row, first_column = max(0, part.top - reach), max(0, part.left - reach)
    box = slice(first_row, part.end + reach), slice(first_column, part.right + reach)
    changes = np.zeros_like(is_changed)
    inside = slice(part.top, part.end), slice(part.left, part.right)
    changes[inside] = is_changed[inside]
    return ChangedLine(
        carrier[box],
        plain[box],
        changes[box],
        height,
        slice(part.top - first_row, part.end - first_row),
        slice(part.left - first_column, part.right - first_column),
    )


def find_tones(pixels: Floats, count: int, reach: int) -> list[int]:
    """Return the most frequent gray tones of pixels, [n]. reach: levels around a tone."""
    frequencies = np.bincount(pixels.astype(np.int64), minlength=256)
    tones = list[int]()
    for _ in range(count):
        tone = int(np.convolve(frequencies, np.ones(2 * reach + 1), "same").argmax())
        frequencies[max(0, tone - reach) : tone + reach + 1] = 0
        tones.append(tone)
    return tones


def measure_steepness(picture: Floats) -> Floats:
    """Return the length of the gradient of all colors, in levels for each pixel, [h, w]."""
    down, across = np.gradient(picture, axis=(0, 1))
    steepness: Floats = np.sqrt((down**2 + across**2).sum(axis=2))
    return steepness
