"""Draw pictures into the cells of a Textual widget: as half blocks, or in a graphics protocol.

Textual composes lines of text. So a picture in a graphics protocol is a sequence without a width in
the last of its lines, which the terminal reads after it has cleared all cells of the picture. The
widgets of textual-image send such sequences to stdout, which can be a pipe here, and the package
needs Python 3.12: https://github.com/lnqs/textual-image
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.strip import Strip

from searchapp.cli import terminal_picture

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from searchapp.cli.terminal_protocol import Protocol, Screen

KITTY_NUMBER = 0x5EA20000  # The pictures of a program in kitty have numbers from here on.
DELETE_ALL = "\x1b_Ga=d,d=A,q=2\x1b\\"
NO_WIDTH = ((ControlType.CURSOR_FORWARD, 0),)  # Textual and Rich count no cells for a control.


@dataclass(frozen=True, slots=True)
class Drawing:
    """Picture in a number of cells: lines of half blocks, or a sequence of a protocol."""

    columns: int
    rows: int
    lines: tuple[Strip, ...] = ()
    sequence: str = ""
    left: int = 0  # cells before the picture, which is centered
    top: int = 0


@dataclass(frozen=True, slots=True)
class Painter:
    """Draws pictures for one terminal."""

    protocol: Protocol
    screen: Screen

    def draw(self, image: Picture, columns: int, rows: int) -> Drawing:
        """Draw a picture in the middle of columns x rows cells."""
        if self.protocol == "blocks":
            return self._draw_blocks(image, columns, rows)
        used = terminal_picture.count_cells(image, columns, rows, self.screen)
        sequence = terminal_picture.encode_picture(image, self.protocol, *used, self.screen)
        left, top = (columns - used[0]) // 2, (rows - used[1]) // 2
        return Drawing(columns, rows, (), sequence, left, top)

    def count_pixels(self, columns: int, rows: int) -> int:
        """Return the longest side in pixels that a picture in columns x rows cells can show."""
        if self.protocol == "blocks":
            return max(columns, 2 * rows)
        return max(columns * self.screen.cell_width, rows * self.screen.cell_height)

    def count_rows(self, columns: int) -> int:
        """Return the rows of a box of this many columns that has the shape of most photos: 4:3."""
        return max(1, round(columns * self.screen.cell_width * 0.75 / self.screen.cell_height))

    def clear_all(self) -> str:
        """Return a sequence that removes pictures that text does not overwrite: those of kitty."""
        return DELETE_ALL if self.protocol == "kitty" else ""

    def place(self, drawing: Drawing | None, slot: int, x: int, y: int) -> str:
        """Return the sequence that draws at cell x, y of the screen; it ends at any cell.

        slot: the number of the place. In kitty, it also removes the last picture of this place.
        """
        number = KITTY_NUMBER + slot
        if drawing is None or not drawing.sequence:
            return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\" if self.protocol == "kitty" else ""
        sequence = drawing.sequence
        if self.protocol == "kitty":
            sequence = terminal_picture.number_kitty_picture(sequence, number)
        return _move_cursor(x + drawing.left, y + drawing.top) + sequence

    def _draw_blocks(self, image: Picture, columns: int, rows: int) -> Drawing:
        small = terminal_picture.shrink_to_blocks(image, columns, rows, self.screen)
        if self.screen.colors == "none":
            lines = [[Segment(line)] for line in terminal_picture.shade_blocks(small)]
        else:
            lines = [_color_line(small, y) for y in range(0, small.height, 2)]
        top, left = (rows - len(lines)) // 2, (columns - small.width) // 2
        above = [Strip.blank(columns)] * top
        strips = [
            Strip([Segment(" " * left), *line], left + small.width).adjust_cell_length(columns)
            for line in lines
        ]
        below = [Strip.blank(columns)] * (rows - top - len(lines))
        return Drawing(columns, rows, (*above, *strips, *below))


def add_sequence(strip: Strip, sequence: str, x: int, y: int) -> Strip:
    """Return a strip that ends with a sequence; x, y: the cell of the screen after the strip."""
    if not sequence:
        return strip
    control = Segment(sequence + _move_cursor(x, y), None, NO_WIDTH)
    return Strip([*strip, control], strip.cell_length)


def _move_cursor(x: int, y: int) -> str:
    return f"\x1b[{y + 1};{x + 1}H"


def _color_line(small: Picture, y: int) -> list[Segment]:
    pixels = small.load()
    assert pixels is not None
    segments = []
    for x in range(small.width):
        upper = _make_color(pixels[x, y])
        lower = _make_color(pixels[x, y + 1]) if y + 1 < small.height else None
        segments.append(Segment(terminal_picture.UPPER_HALF, Style(color=upper, bgcolor=lower)))
    return list(Segment.simplify(segments))


def _make_color(pixel: object) -> Color:
    assert isinstance(pixel, tuple)
    return Color.from_rgb(*pixel)
