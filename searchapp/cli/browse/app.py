"""The terminal app of `searchapp browse`: a search field, filters, and a grid of pictures."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input

from searchapp.cli.browse.details import DetailsScreen
from searchapp.cli.browse.drawing import Painter
from searchapp.cli.browse.grid import PictureGrid
from searchapp.cli.browse.picture_loader import PictureLoader
from searchapp.cli.browse.picture_source import OutdatedSearchError, PictureSource
from searchapp.cli.browse.question import Question, find_answer
from searchapp.cli.browse.search_fields import FieldName, SearchFields
from searchapp.cli.browse.shown_images import Marks
from searchapp.cli.browse.status_line import StatusLine
from searchapp.cli.open_viewer import start_viewer
from searchapp.errors import SearchAppError
from searchapp.files.copy_hits import local_file
from searchapp.files.display_path import is_utf8
from searchapp.types import Hit, format_count

if TYPE_CHECKING:
    from textual.driver import Driver

TYPING_PAUSE_S = 0.3  # A search starts when the user has not typed for this time.


class BrowseApp(App[list[str]]):
    """Shows the pictures of a library; its result is the list of the selected paths."""

    TITLE = "searchapp"
    ENABLE_COMMAND_PALETTE = False
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
        self._source, self.painter, self._question = source, painter, question
        self.loader = PictureLoader(source, painter)
        self._fields = SearchFields(question.text, question.filter_line)
        self._grid, self._status = PictureGrid(painter), StatusLine()
        self._details: DetailsScreen | None = None
        self._order = ""
        self._asked = ("", "")  # the texts of the two fields at the last search

    def compose(self) -> ComposeResult:
        """Yield the fields, the grid, a line of numbers and messages, and the keys."""
        yield self._fields
        yield self._grid
        yield self._status
        yield Footer()

    def on_mount(self) -> None:
        """Show the first pictures."""
        if sys.platform != "win32":  # By default, this signal leaves the terminal unusable.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.action_cancel)
        self._grid.focus()
        self.reload(0)

    def _start_worker(self, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine, and cancel the one of its group that runs."""
        # A function, because a coroutine that is canceled before its start gives a warning.
        self.run_worker(work, exclusive=True, group=group)  # type: ignore[arg-type]

    # Searching

    def reload(self, pause_s: float) -> None:
        """Search for what the fields say, after a pause in which the user may type on."""
        self._asked = self._fields.texts
        self._start_worker("search", partial(self._search, pause_s))

    async def _search(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        text, filter_line = self._asked
        question = replace(
            self._question, text=text, filter_line=filter_line, examples=self.marks.examples
        )
        try:
            answer = await find_answer(self._source, question, self._report)
        except OutdatedSearchError:
            return
        except SearchAppError as error:
            self._report(str(error))
            return
        self._order = answer.order
        self.loader.forget_images(answer.hits)
        self._report("; ".join(answer.warnings))
        self._grid.show_images(answer.image_ids)

    # Showing

    def on_picture_grid_changed(self) -> None:
        """Show the pictures that are visible now; forget those that were scrolled away."""
        self._update_captions()
        self._start_worker("pictures", self._load_visible)

    async def _load_visible(self) -> None:
        await self.loader.show_pictures(self._grid.visible_tiles, self._update_captions)

    def _update_captions(self) -> None:
        self._grid.show_captions(self._make_caption)
        self._update_status()

    def _make_caption(self, image_id: int) -> str:
        image = self.loader.find_image(image_id)
        return "" if image is None else self.marks.make_caption(image)

    def _update_status(self) -> None:
        count = len(self._grid.image_ids)
        position = f"{self._grid.cursor + 1:,} of {format_count(count, 'picture')}"
        self._status.show_facts(
            [*([position, self._order] if count else ()), *self.marks.summarize()]
        )

    def _report(self, message: str) -> None:
        """Show a message below the pictures, and in the details."""
        self._status.show_message(message)
        if self._details is not None:
            self._details.status.show_message(message)

    # Details

    def on_picture_grid_opened(self) -> None:
        """Show the details."""
        self.action_open_details()

    def action_open_details(self) -> None:
        """Show the picture at the cursor with its metadata and its text."""
        if self._details is None and (image_id := self._grid.current_id) is not None:
            self._write(self.painter.clear_all())
            self._details = DetailsScreen(self.painter, image_id)
            self.push_screen(self._details, lambda _: self._leave_details())

    def _leave_details(self) -> None:
        self._details = None
        self._write(self.painter.clear_all())
        self._grid.move_cursor(self._grid.cursor)

    def on_details_screen_stepped(self, event: DetailsScreen.Stepped) -> None:
        """Show another picture; the first of a result that arrived behind the details."""
        if self._current_id == self._grid.current_id:
            self._grid.move_cursor(self._grid.cursor + event.step)
        if self._details is not None and self._grid.current_id is not None:
            self._details.image_id = self._grid.current_id
        self.on_details_screen_changed()

    def on_details_screen_changed(self) -> None:
        """Load the picture of the details."""
        self._start_worker("details", self._load_details)

    async def _load_details(self) -> None:
        if (details := self._details) is None:
            return
        image = await self.loader.get_image(details.image_id)
        text = "" if image is None else await self._source.read_text(details.image_id)
        details.describe(image, self.marks.describe(details.image_id), text)
        await self.loader.show_pictures([(details.area, details.image_id)])

    @property
    def _current_id(self) -> int | None:
        """Return the id of the image of the details, or else at the cursor."""
        return self._grid.current_id if self._details is None else self._details.image_id

    # Keys

    def on_input_changed(self) -> None:
        """Search again when the user types; the text that a field starts with is no change."""
        if self._fields.texts != self._asked:
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

    async def action_focus_field(self, field: FieldName) -> None:
        """Go to the search field or to the filter line."""
        if self._details is not None:
            await self.pop_screen()
            self._leave_details()
        self.screen_stack[0].set_focus(self._fields.get_field(field))

    def action_reload(self) -> None:
        """Search again: the library may have new pictures."""
        self.reload(0)

    async def action_select(self) -> None:
        """Select the picture at the cursor, or take it out of the selection."""
        if hit := await self._get_current():
            self.marks.toggle_selected(hit)
            self._show_marks()

    def action_like(self, is_liked: bool) -> None:
        """Search for pictures that are more, or less, like the one at the cursor."""
        if (image_id := self._current_id) is not None:
            self.marks.toggle_like(image_id, is_liked=is_liked)
            self._show_marks()
            self.reload(0)

    def _show_marks(self) -> None:
        self._update_captions()
        self.on_details_screen_changed()

    async def action_open(self) -> None:
        """Open the picture at the cursor in the user's viewer."""
        hit = await self._get_current()
        if hit is None:
            return
        try:
            problem = await self._source.run_blocking(lambda: start_viewer(local_file(hit)))
        except SearchAppError as error:
            problem = str(error)
        self._report(problem or f"opened {hit.path}")

    async def action_copy(self) -> None:
        """Copy the path of the picture at the cursor to the clipboard, by OSC 52."""
        if hit := await self._get_current():
            path = hit.path
            if is_utf8(path):
                self.copy_to_clipboard(path)
                self._report(f"copied {path}")
            else:
                self._report(f"did not copy {path}: it is not valid UTF-8")

    async def _get_current(self) -> Hit | None:
        """Return the picture that the user sees or points at; report if it has no file."""
        image = await self.loader.get_image(self._current_id)
        if image is not None and image.hit is None:
            self._report(f"the file does not exist: {image.path}")
        return None if image is None else image.hit

    def action_finish(self) -> None:
        """Leave, and print the selected paths."""
        self._write(self.painter.clear_all())
        self.exit([hit.path for hit in self.marks.selected.values()])

    def action_cancel(self) -> None:
        """Leave, and print nothing."""
        self._write(self.painter.clear_all())
        self.exit(None)

    def _write(self, sequence: str) -> None:
        if sequence and self._driver is not None:
            self._driver.write(sequence)
