"""The grid of pictures: as many tiles as fit on the screen, whatever the number of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from searchapp.cli.browse.drawing import Painter
from searchapp.cli.browse.picture_area import Tile

TILE_COLUMNS = 26  # approximate width of a tile


class PictureGrid(Widget, can_focus=True):
    """Shows the pictures around the cursor; it scrolls by complete rows of tiles."""

    DEFAULT_CSS = "PictureGrid { height: 1fr; } PictureGrid Tile { position: absolute; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Left", show=False),
        Binding("right", "move(1)", "Right", show=False),
        Binding("up", "move_rows(-1)", "Up", show=False),
        Binding("down", "move_rows(1)", "Down", show=False),
        Binding("pageup", "move_pages(-1)", "Page up", show=False),
        Binding("pagedown", "move_pages(1)", "Page down", show=False),
        Binding("home", "move_to(0)", "First", show=False),
        Binding("end", "move_to(-1)", "Last", show=False),
    ]

    class Changed(Message):
        """Other pictures are visible, or the cursor is on another picture."""

    class Opened(Message):
        """The user wants the details of the picture at the cursor."""

    def __init__(self, painter: Painter) -> None:
        """Create a grid without pictures."""
        super().__init__()
        self.image_ids: Sequence[int] = ()
        self.cursor = 0
        self._painter = painter
        self._first_row, self._columns, self._rows = 0, 1, 1
        self._tiles: list[Tile] = []

    @property
    def current_id(self) -> int | None:
        """Return the id of the image at the cursor; None if there are no pictures."""
        return self.image_ids[self.cursor] if self.image_ids else None

    @property
    def visible_tiles(self) -> list[tuple[Tile, int | None]]:
        """Return all tiles, each with the id of its image; None: the tile is empty."""
        first = self._first_row * self._columns
        ids = self.image_ids[first : first + len(self._tiles)]
        return [
            (tile, ids[number] if number < len(ids) else None)
            for number, tile in enumerate(self._tiles)
        ]

    def show_captions(self, make_caption: Callable[[int], str]) -> None:
        """Show a text below each picture, and the cursor; make_caption: returns it for an id."""
        for tile, image_id in self.visible_tiles:
            caption = "" if image_id is None else make_caption(image_id)
            has_cursor = image_id is not None and image_id == self.current_id
            tile.set_caption(caption, has_cursor=has_cursor)

    def show_images(self, image_ids: Sequence[int], cursor: int = 0) -> None:
        """Show other images, with the cursor on one of them."""
        self.image_ids = image_ids
        self._first_row = 0
        self.move_cursor(cursor)

    def move_cursor(self, position: int) -> None:
        """Put the cursor on the image at a position of image_ids, or on the first or last one."""
        self.cursor = max(0, min(position, len(self.image_ids) - 1))
        row = self.cursor // self._columns
        self._first_row = max(row - self._rows + 1, min(self._first_row, row))
        self.post_message(self.Changed())

    def action_move(self, step: int) -> None:
        """Move the cursor by a number of pictures."""
        self.move_cursor(self.cursor + step)

    def action_move_rows(self, step: int) -> None:
        """Move the cursor by a number of rows; it stays in its column."""
        position = self.cursor + step * self._columns
        last_row = (len(self.image_ids) - 1) // self._columns
        if position >= 0 and position // self._columns <= last_row:
            self.move_cursor(position)

    def action_move_pages(self, step: int) -> None:
        """Move the cursor by a number of screens."""
        self.move_cursor(self.cursor + step * self._rows * self._columns)

    def action_move_to(self, position: int) -> None:
        """Move the cursor to the first picture, or to the last one."""
        self.move_cursor(len(self.image_ids) - 1 if position < 0 else position)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move the cursor down."""
        self.action_move_rows(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move the cursor up."""
        self.action_move_rows(-1)

    def on_tile_clicked(self, event: Tile.Clicked) -> None:
        """Put the cursor on a tile; a double click opens the details."""
        position = self._first_row * self._columns + event.slot
        if position < len(self.image_ids):
            self.move_cursor(position)
            if event.is_double:
                self.post_message(self.Opened())

    async def on_resize(self, event: events.Resize) -> None:
        """Make as many tiles as fit; the cursor stays on its picture."""
        width, height = event.size
        self._columns = max(1, width // TILE_COLUMNS)
        tile_width = max(1, width // self._columns)
        # About the shape of a photo, but so that no row of the screen stays empty.
        self._rows = max(1, round(height / (self._painter.count_rows(tile_width) + 1)))
        tile_height = max(2, height // self._rows)
        needed = self._columns * self._rows
        for tile in self._tiles[needed:]:
            await tile.remove()
        self._tiles = self._tiles[:needed]
        new = [Tile(self._painter, slot) for slot in range(len(self._tiles), needed)]
        self._tiles += new
        await self.mount_all(new)
        for number, tile in enumerate(self._tiles):
            row, column = divmod(number, self._columns)
            tile.styles.width, tile.styles.height = tile_width, tile_height
            tile.styles.offset = (column * tile_width, row * tile_height)
        self.call_after_refresh(self.move_cursor, self.cursor)
