"""Readers of text for tests: the text is in the pixels, or the process dies."""

from __future__ import annotations

import os
import time

from PIL.Image import Image as Picture

from searchapp.types import TextLine

BOX = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))
# By color in steps of 64, because JPEG changes colors a little.
WORDS = {
    (4, 0, 0): "red invoice 4711",
    (0, 2, 0): "green ticket",
    (0, 0, 4): "blue receipt",
}
FATAL_COLOR, RAISING_COLOR, HANGING_COLOR = (0, 4, 4), (4, 4, 0), (4, 0, 4)


class FakeReader:
    """Reads a word for each color of a picture; other colors have no text."""

    name = "fake 1"

    def start(self) -> None:
        pass

    def find_lines(self, picture: Picture) -> list[TextLine]:
        color = get_color(picture)
        if color == FATAL_COLOR:
            os._exit(7)
        if color == RAISING_COLOR:
            raise ValueError("the network is broken")
        if color == HANGING_COLOR:
            time.sleep(600)
        return [TextLine(WORDS[color], BOX, 0.9)] if color in WORDS else []

    def read_lines(self, picture: Picture) -> list[TextLine]:
        return self.find_lines(picture)


def get_color(picture: Picture) -> tuple[int, int, int]:
    """Return the color in the center of a picture, in steps of 64."""
    color = picture.getpixel((picture.width // 2, picture.height // 2))
    assert isinstance(color, tuple)
    red, green, blue = (round(part / 64) for part in color)
    return red, green, blue


class BrokenReader(FakeReader):
    """A reader whose models cannot be loaded."""

    def start(self) -> None:
        raise ImportError("libgomp.so.1 is missing")


class DyingReader(FakeReader):
    """A reader whose process ends while it starts."""

    def start(self) -> None:
        os._exit(9)


class NewerReader(FakeReader):
    """Another version of the reader."""

    name = "fake 2"
