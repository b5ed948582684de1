"""Define what a reader of text must do, and load the installed reader."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from searchapp.errors import SearchAppError
from searchapp.files.extras import install_hint
from searchapp.types import TextLine

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

EXTRA, MODULE = "ocr", "rapidocr"
DEFAULT_READER = "searchapp.pictures.recognition.rapidocr_reader:RapidOcrReader"


class TextReader(Protocol):
    """Recognizes text in pictures: upright RGB pictures that fit one call."""

    @property
    def name(self) -> str:
        """Return name and version; readers with different names can read different text."""

    def start(self) -> None:
        """Load the models; raise an exception if this is impossible."""

    def find_lines(self, picture: Picture) -> list[TextLine]:
        """Return lines of text quickly; may miss small text, and most lines of a full page."""

    def read_lines(self, picture: Picture) -> list[TextLine]:
        """Return the lines of text, as complete as possible.

        The corners of a box are in the order of its letters: the first corner is at the top left
        of the first letter, the second at the top right of the last letter.
        """


def load_reader(path: str) -> TextReader:
    """Create a reader. path: MODULE:CLASS."""
    module, name = path.split(":")
    reader: TextReader = getattr(import_module(module), name)()
    return reader


def check_reader_installed() -> None:
    """Raise SearchAppError if the extra that recognizes text is not installed."""
    if find_spec(MODULE) is None:
        raise SearchAppError(
            f"Recognizing text in pictures needs the extra {EXTRA}: {install_hint(EXTRA)}; "
            "or turn it off with `searchapp index --no-ocr`."
        )
