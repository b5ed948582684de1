"""The line below the pictures: numbers, and the last message."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from searchapp.files.display_path import display_path


class StatusLine(Static):
    """Shows facts that are always true, and then a message, on one line."""

    DEFAULT_CSS = "StatusLine { height: 1; color: $text-muted; }"

    def __init__(self) -> None:
        """Create an empty line."""
        super().__init__()
        self._facts: tuple[str, ...] = ()
        self._message = ""

    @property
    def line(self) -> str:
        """Return what the line shows."""
        return " · ".join(filter(None, (*self._facts, self._message)))

    def show_facts(self, facts: Iterable[str]) -> None:
        """Replace the facts; the message stays."""
        self._facts = tuple(facts)
        self.update(Content(self.line))

    def show_message(self, message: str) -> None:
        """Replace the message, which can be empty."""
        self._message = display_path(message)
        self.update(Content(self.line))
