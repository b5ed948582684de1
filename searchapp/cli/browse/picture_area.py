"""Widgets that show one picture: in the details, and with a caption in the grid."""

from __future__ import annotations

from rich.cells import chop_cells, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from searchapp.cli.browse.drawing import Drawing, Painter, add_sequence

CAPTION_STYLE = Style(dim=True)
CURSOR_STYLE = Style(reverse=True, bold=True)


class PictureArea(Widget):
    """Shows one picture, or a message in its place."""

    CAPTION_ROWS = 0
    GAP_COLUMNS = 0  # empty cells to the right of the picture

    def __init__(self, painter: Painter, slot: int) -> None:
        """Create an empty area; slot: its number, which differs among the areas of the program."""
        super().__init__()
        self.slot = slot
        self.drawing: Drawing | None = None
        self.message = ""
        self._painter = painter

    @property
    def picture_size(self) -> tuple[int, int]:
        """Return the columns and rows of cells for the picture."""
        return self.size.width - self.GAP_COLUMNS, self.size.height - self.CAPTION_ROWS

    def show(self, drawing: Drawing | None, message: str = "") -> None:
        """Show a picture of picture_size; None: a message, which can be empty."""
        if drawing is self.drawing and message == self.message:
            return
        self.drawing, self.message = drawing, message
        self.refresh()

    def render_caption(self, width: int) -> list[Strip]:
        """Return the lines below the picture."""
        return []

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of the picture and of the caption."""
        columns, rows = self.picture_size
        if rows < 1 or columns < 1:
            return [Strip.blank(crop.width)] * crop.height
        drawing = self.drawing
        if drawing is not None and (drawing.columns, drawing.rows) != (columns, rows):
            drawing = None  # It was drawn before the terminal got another size.
        if drawing is not None and drawing.lines:
            strips = [strip.adjust_cell_length(self.size.width) for strip in drawing.lines]
        else:
            strips = self._render_message(columns, rows)
            if self.screen.is_active:
                region = self.region
                sequence = self._painter.place(drawing, self.slot, region.x, region.y)
                end = region.right, region.y + rows - 1
                strips[-1] = add_sequence(strips[-1], sequence, *end)
        strips += self.render_caption(columns)
        shown = strips[crop.y : crop.bottom]
        if (crop.x, crop.width) == (0, self.size.width):
            return shown
        return [strip.crop(crop.x, crop.right) for strip in shown]

    def _render_message(self, columns: int, rows: int) -> list[Strip]:
        lines = chop_cells(self.message, columns)[:rows] if self.message else []
        width = self.size.width
        strips = [Strip([Segment(set_cell_size(line, width), CAPTION_STYLE)]) for line in lines]
        return strips + [Strip.blank(width)] * (rows - len(lines))


class Tile(PictureArea):
    """A picture of the grid, with its name below it."""

    CAPTION_ROWS = 1
    GAP_COLUMNS = 1

    class Clicked(Message):
        """The user clicked a tile."""

        def __init__(self, slot: int, *, is_double: bool) -> None:
            """Store the number of the tile."""
            super().__init__()
            self.slot, self.is_double = slot, is_double

    def __init__(self, painter: Painter, slot: int) -> None:
        """Create an empty tile."""
        super().__init__(painter, slot)
        self._caption, self._has_cursor = "", False

    @property
    def caption(self) -> str:
        """Return the text below the picture."""
        return self._caption

    @property
    def has_cursor(self) -> bool:
        """Return whether the caption is highlighted."""
        return self._has_cursor

    def set_caption(self, caption: str, *, has_cursor: bool) -> None:
        """Show a text below the picture; the picture itself is not drawn again."""
        if (caption, has_cursor) != (self._caption, self._has_cursor):
            self._caption, self._has_cursor = caption, has_cursor
            self.refresh(Region(0, self.size.height - 1, self.size.width, 1))

    def render_caption(self, width: int) -> list[Strip]:
        """Return the caption, which is as wide as the picture."""
        style = CURSOR_STYLE if self._has_cursor else CAPTION_STYLE
        strip = Strip([Segment(set_cell_size(self._caption, width), style)], width)
        return [strip.adjust_cell_length(self.size.width)]

    def on_click(self, event: events.Click) -> None:
        """Tell the grid."""
        self.post_message(self.Clicked(self.slot, is_double=event.chain > 1))
