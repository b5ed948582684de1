"""The details of a picture: large, with its metadata and the text in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from searchapp.cli.browse.drawing import Painter
from searchapp.cli.browse.picture_area import PictureArea
from searchapp.cli.browse.picture_loader import UNKNOWN
from searchapp.cli.browse.status_line import StatusLine
from searchapp.files.display_path import display_path
from searchapp.types import Hit, format_clock

if TYPE_CHECKING:
    from searchapp.cli.browse.picture_source import BrowsedImage

MISSING = "The file does not exist, or its drive is not connected."
DETAILS_SLOT = 0xFFFF  # No tile of the grid has this number.


class DetailsScreen(Screen[None]):
    """Shows one picture; its keys for likes, selection and files are those of the app."""

    DEFAULT_CSS = """
    DetailsScreen PictureArea { width: 2fr; height: 1fr; }
    DetailsScreen VerticalScroll { width: 1fr; height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "close", "Back"),
        Binding("left", "step(-1)", "Previous", show=False),
        Binding("right", "step(1)", "Next", show=False),
    ]

    class Changed(Message):
        """The screen needs its picture in its current size."""

    class Stepped(Message):
        """The user wants the previous or the next picture."""

        def __init__(self, step: int) -> None:
            """Store the step: -1 or 1."""
            super().__init__()
            self.step = step

    def __init__(self, painter: Painter, image_id: int) -> None:
        """Create a screen that shows nothing of its image yet."""
        super().__init__()
        self.image_id = image_id
        self.area, self.status = PictureArea(painter, DETAILS_SLOT), StatusLine()
        self._text = Static()

    def compose(self) -> ComposeResult:
        """Yield the picture, its description, a line for messages, and the keys."""
        with Horizontal():
            yield self.area
            with VerticalScroll():
                yield self._text
        yield self.status
        yield Footer()

    def on_resize(self, event: events.Resize) -> None:
        """Ask for the picture when the size of its area is known."""
        self.call_after_refresh(lambda: self.post_message(self.Changed()))

    def describe(self, image: BrowsedImage | None, marks: str, text: str) -> None:
        """Show what is known of a picture; None: the library does not have it any more."""
        description = UNKNOWN if image is None else describe_image(image, marks, text)
        self._text.update(Content(description))

    def action_step(self, step: int) -> None:
        """Go to another picture."""
        self.post_message(self.Stepped(step))

    def action_close(self) -> None:
        """Return to the grid."""
        self.dismiss()


def describe_image(image: BrowsedImage, marks: str, text: str) -> str:
    """Return the paths, the metadata and the recognized text of an image, as lines of text."""
    hit, info = image.hit, image.located.info
    if hit is None:
        paths = [display_path(path) for path in image.located.paths]
        return "\n".join([*paths, "", MISSING])
    fields = {
        "Marks": marks,
        "Time in the video": "" if hit.seconds is None else format_clock(hit.seconds),
        "Score": f"{hit.score:.3f}" if hit.match else "",
        "Found by": describe_matches(hit),
        "Date": (hit.date or "").replace("T", " "),
        "Size": f"{hit.width} × {hit.height}, {info.format}",
        "Camera": hit.camera,
        "Lens": hit.lens,
        "Rating": "rejected" if (hit.rating or 0) < 0 else "★" * (hit.rating or 0),
        "Title": hit.title,
        "Description": info.description,
        "Keywords": ", ".join(hit.keywords),
        "Place": ", ".join(hit.place_names),
        "Position": "" if hit.latitude is None else f"{hit.latitude:.5f}, {hit.longitude:.5f}",
    }
    lines = [display_path(path) for path in (hit.path, *hit.also, *hit.companions)]
    lines.append("")
    lines += [f"{name}: {display_path(value)}" for name, value in fields.items() if value]
    return "\n".join([*lines, *(["", "Text in the picture:", text] if text else [])])


def describe_matches(hit: Hit) -> str:
    """Return why a hit is in the result."""
    return ", ".join(
        match.by if match.snippet is None else f"{match.by} ({match.snippet})"
        for match in hit.match
    )
