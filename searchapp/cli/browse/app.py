"""The terminal app of `searchapp browse`: a search field, filters, and a grid of pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Footer, Input, Static

from searchapp.cli.browse.details import DetailsScreen
from searchapp.cli.browse.drawing import Drawing, Painter
from searchapp.cli.browse.filter_line import parse_filter_line
from searchapp.cli.browse.grid import PictureGrid
from searchapp.cli.browse.picture_area import PictureArea, Tile
from searchapp.cli.browse.picture_source import BrowsedImage, OutdatedSearchError, PictureSource
from searchapp.cli.browse.shown_images import Marks, RecentCache
from searchapp.cli.open_viewer import start_viewer
from searchapp.errors import PictureError, SearchAppError
from searchapp.files.copy_hits import local_file
from searchapp.files.display_path import display_path, is_utf8
from searchapp.types import SearchOptions, format_count

if TYPE_CHECKING:
    from textual.driver import Driver

TYPING_PAUSE_S = 0.3  # A search starts when the user has not typed for this time.
SCROLL_PAUSE_S = 0.03  # Pictures that are visible for a shorter time are not read.
KEPT_IMAGES, KEPT_DRAWINGS = 2000, 300


@dataclass(frozen=True, slots=True)
class Question:
    """What the browser shows at its start: a text, a filter line, and the options beside it."""

    text: str = ""
    filter_line: str = ""
    options: SearchOptions = SearchOptions(count=200)  # without a filter


class BrowseApp(App[list[str]]):
    """Shows the pictures of a library; its result is the list of the selected paths."""

    TITLE = "searchapp"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #fields { height: 1; }
    #fields Input { width: 1fr; margin-right: 1; }
    #status { height: 1; color: $text-muted; }
    """
    # Priority: the app handles these keys itself, before the next key. So no letter of a question
    # that is typed fast is taken for a command.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "focus_field('search')", "Search", key_display="/", priority=True),
        Binding("f", "focus_field('filter')", "Filter", priority=True),
        Binding("enter", "submit", "Search", priority=True),
        Binding("escape", "leave_field", "Pictures", priority=True),
        Binding("enter", "open_details", "Details"),
        Binding("space", "select", "Select", key_display="space"),
        Binding("plus,l", "like(True)", "Like", key_display="+"),
        Binding("minus,u", "like(False)", "Unlike", key_display="-"),
        Binding("o", "open", "Open"),
        Binding("y", "copy", "Copy path"),
        Binding("r", "reload", "Reload", show=False),
        Binding("q", "finish", "Quit"),
        Binding("ctrl+q", "finish", "Quit", show=False, priority=True),
        Binding("ctrl+c", "cancel", "Cancel", show=False, priority=True),
    ]
    FIELD_ACTIONS = frozenset({"submit", "leave_field"})
    PICTURE_ACTIONS = frozenset(
        {"focus_field", "open_details", "select", "like", "open", "copy", "reload"}
    )

    def __init__(
        self,
        source: PictureSource,
        painter: Painter,
        question: Question,
        driver: type[Driver] | None = None,
    ) -> None:
        """Create the app; the caller closes the source after it has run."""
        super().__init__(driver_class=driver)
        self.marks = Marks()
        self._source, self._painter, self._question = source, painter, question
        self._images: RecentCache[int, BrowsedImage] = RecentCache(KEPT_IMAGES)
        self._drawings: RecentCache[tuple[int, int, int], Drawing] = RecentCache(KEPT_DRAWINGS)
        self._grid = PictureGrid(painter)
        self._details: DetailsScreen | None = None
        self._order, self._note = "", ""
        self._asked = ("", "")  # the texts of the two fields at the last search

    def compose(self) -> ComposeResult:
        """Yield the fields, the grid, a line of numbers and messages, and the keys."""
        with Horizontal(id="fields"):
            yield Input(
                self._question.text, "Search (press /)", id="search", compact=True,
                select_on_focus=False,
            )  # fmt: skip
            yield Input(
                self._question.filter_line, "Filters (press f), such as --after 2021 --rating 4+",
                id="filter", compact=True, select_on_focus=False,
            )  # fmt: skip
        yield self._grid
        yield Static(id="status")
        yield Footer()

    def on_mount(self) -> None:
        """Show the first pictures."""
        self._grid.focus()
        self.reload(0)

    def _start_worker(self, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine, and cancel the one of its group that runs."""
        # A function, because a coroutine that is canceled before its start gives a warning.
        self.run_worker(work, exclusive=True, group=group)  # type: ignore[arg-type]

    # Searching

    def reload(self, pause_s: float) -> None:
        """Search for what the fields say, after a pause in which the user may type on."""
        self._asked = self._read_fields()
        self._start_worker("search", partial(self._search, pause_s))

    def _read_fields(self) -> tuple[str, str]:
        fields = (self.screen_stack[0].query_one(name, Input) for name in ("#search", "#filter"))
        text, filter_line = (field.value.strip() for field in fields)
        return text, filter_line

    async def _search(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        text, filter_line = self._asked
        try:
            fields = parse_filter_line(filter_line)
            options = replace(self._question.options, **fields)
            self._report("searching ...")
            if text or self.marks.likes:
                ids, warnings = await self._find(text, options)
            else:
                ids, warnings = await self._source.list_newest(options)
                self._order = "newest first"
        except OutdatedSearchError:
            return
        except SearchAppError as error:
            self._report(str(error))
            return
        self._report("; ".join(warnings) if warnings or ids else "no picture")
        self._grid.show_images(ids)

    async def _find(self, text: str, options: SearchOptions) -> tuple[Sequence[int], Sequence[str]]:
        """Return the ids of the hits of a search and its warnings; keep the hits."""
        result = await self._source.search(text, self.marks.examples, options, self._report)
        self._order = "newest first" if options.sort == "date" else "best first"
        ids = [hit.image_id for hit in result.hits]
        located = await self._source.read_images(ids)
        self._images.clear()
        for hit in result.hits:
            if image := located.get(hit.image_id):
                self._images.add(hit.image_id, BrowsedImage(image.located, hit))
        warnings = list(result.warnings)
        if result.hits and result.good is False:
            warnings.append("no hit is a good match, by its score")
        return ids, warnings

    # Showing

    def on_picture_grid_changed(self) -> None:
        """Show the pictures that are visible now; forget those that were scrolled away."""
        self._update_captions()
        self._start_worker("pictures", self._load_visible)

    async def _load_visible(self) -> None:
        tiles = self._grid.visible_tiles
        waiting = []
        for tile, image_id in tiles:
            drawing = None if image_id is None else self._find_drawing(image_id, tile)
            tile.show(drawing)
            if image_id is not None and drawing is None:
                waiting.append((tile, image_id))
        await asyncio.sleep(SCROLL_PAUSE_S)
        unknown = [each for _, each in tiles if each is not None and each not in self._images]
        if unknown:
            for image_id, image in (await self._source.read_images(unknown)).items():
                self._images.add(image_id, image)
            self._update_captions()
        await asyncio.gather(*(self._load_picture(area, id) for area, id in waiting))

    async def _load_picture(self, area: PictureArea, image_id: int) -> None:
        image, (columns, rows) = self._images.find(image_id), area.picture_size
        if image is None:
            area.show(None, "The file is gone.")
            return
        if (drawing := self._find_drawing(image_id, area)) is None and columns > 0 and rows > 0:
            side = self._painter.count_pixels(columns, rows)
            try:
                drawing = await self._source.render(
                    image.located, side, lambda picture: self._painter.draw(picture, columns, rows)
                )
            except PictureError as error:
                area.show(None, display_path(str(error)))
                return
            self._drawings.add((image_id, columns, rows), drawing)
        area.show(drawing)

    def _find_drawing(self, image_id: int, area: PictureArea) -> Drawing | None:
        return self._drawings.find((image_id, *area.picture_size))

    def _update_captions(self) -> None:
        for tile, image_id in self._grid.visible_tiles:
            self._update_caption(tile, image_id)
        self._update_status()

    def _update_caption(self, tile: Tile, image_id: int | None) -> None:
        image = None if image_id is None else self._images.find(image_id)
        caption = "" if image is None else self.marks.make_caption(image.hit)
        has_cursor = image_id is not None and image_id == self._grid.current_id
        tile.set_caption(caption, has_cursor=has_cursor)

    def _report(self, message: str) -> None:
        """Show a message in the status line."""
        self._note = display_path(message)
        self._update_status()

    def _update_status(self) -> None:
        count = len(self._grid.image_ids)
        position = f"{self._grid.cursor + 1:,} of {format_count(count, 'picture')}"
        parts = [position if count else "", self._order, *self.marks.summarize(), self._note]
        line = " · ".join(filter(None, parts))
        self.screen_stack[0].query_one("#status", Static).update(Content(line))

    # Details

    def on_picture_grid_opened(self) -> None:
        """Show the details."""
        self.action_open_details()

    def action_open_details(self) -> None:
        """Show the picture at the cursor with its metadata and its text."""
        if self._grid.current_id is None or self._details is not None:
            return
        self._write(self._painter.clear_all())
        self._details = DetailsScreen(self._painter)
        self.push_screen(self._details, lambda _: self._leave_details())

    def _leave_details(self) -> None:
        self._details = None
        self._write(self._painter.clear_all())
        self._grid.move_cursor(self._grid.cursor)

    def on_details_screen_stepped(self, event: DetailsScreen.Stepped) -> None:
        """Show another picture."""
        self._grid.move_cursor(self._grid.cursor + event.step)
        self.on_details_screen_changed()

    def on_details_screen_changed(self) -> None:
        """Load the picture at the cursor for the details."""
        self._start_worker("details", self._load_details)

    async def _load_details(self) -> None:
        details, image_id = self._details, self._grid.current_id
        if details is None or image_id is None:
            return
        image = await self._get_image(image_id)
        text = "" if image is None else await self._source.read_text(image_id)
        details.describe(image, self.marks.describe(image_id), text)
        await self._load_picture(details.area, image_id)

    async def _get_image(self, image_id: int) -> BrowsedImage | None:
        if image_id not in self._images:
            found = await self._source.read_images([image_id])
            if image_id not in found:
                return None
            self._images.add(image_id, found[image_id])
        return self._images.find(image_id)

    # Keys

    def on_input_changed(self) -> None:
        """Search again when the user types; the text that a field starts with is no change."""
        if self._read_fields() != self._asked:
            self.reload(TYPING_PAUSE_S)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether an action is possible in a field, or at a picture."""
        is_field = isinstance(self.focused, Input)
        if action in self.FIELD_ACTIONS:
            return is_field
        return not (is_field and action in self.PICTURE_ACTIONS)

    def action_submit(self) -> None:
        """Search at once, and go to the pictures."""
        self.reload(0)
        self.action_leave_field()

    def action_leave_field(self) -> None:
        """Go to the pictures."""
        self.screen_stack[0].set_focus(self._grid)  # at once; focus() waits for other messages

    async def action_focus_field(self, field: str) -> None:
        """Go to the search field or to the filter line."""
        if self._details is not None:
            await self.pop_screen()
            self._leave_details()
        self.screen_stack[0].set_focus(self.screen_stack[0].query_one(f"#{field}", Input))

    def action_reload(self) -> None:
        """Search again: the library may have new pictures."""
        self._images.clear()
        self.reload(0)

    async def action_select(self) -> None:
        """Select the picture at the cursor, or take it out of the selection."""
        if image := await self._get_current():
            self.marks.toggle_selected(image.hit)
            self._show_marks()

    def action_like(self, is_liked: bool) -> None:
        """Search for pictures that are more, or less, like the one at the cursor."""
        if (image_id := self._grid.current_id) is not None:
            self.marks.toggle_like(image_id, is_liked=is_liked)
            self._show_marks()
            self.reload(0)

    def _show_marks(self) -> None:
        self._update_captions()
        self.on_details_screen_changed()

    async def action_open(self) -> None:
        """Open the picture at the cursor in the user's viewer."""
        image = await self._get_current()
        if image is None:
            return
        hit = image.hit
        try:
            problem = await self._source.run_blocking(lambda: start_viewer(local_file(hit)))
        except SearchAppError as error:
            problem = str(error)
        self._report(problem or f"opened {hit.path}")

    async def action_copy(self) -> None:
        """Copy the path of the picture at the cursor to the clipboard, by OSC 52."""
        if image := await self._get_current():
            path = image.hit.path
            if is_utf8(path):
                self.copy_to_clipboard(path)
                self._report(f"copied {path}")
            else:
                self._report(f"did not copy {path}: it is not valid UTF-8")

    async def _get_current(self) -> BrowsedImage | None:
        image_id = self._grid.current_id
        return None if image_id is None else await self._get_image(image_id)

    def action_finish(self) -> None:
        """Leave, and print the selected paths."""
        self._write(self._painter.clear_all())
        self.exit([hit.path for hit in self.marks.selected.values()])

    def action_cancel(self) -> None:
        """Leave, and print nothing."""
        self._write(self._painter.clear_all())
        self.exit(None)

    def _write(self, sequence: str) -> None:
        if sequence and self._driver is not None:
            self._driver.write(sequence)
