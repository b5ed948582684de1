"""The two fields above the pictures: the search text, and the filter line."""

from __future__ import annotations

from typing import Literal

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Input

FieldName = Literal["search", "filter"]
EDITING_ACTIONS = {
    key: binding.action
    for binding in Input.BINDINGS
    if isinstance(binding, Binding)
    for key in binding.key.split(",")
}


class Field(Input):
    """Text field that applies its keys in the order in which they arrive.

    Input inserts a letter at once, but runs an action such as that of Backspace only after the app
    has got the key back. So over a slow connection, letters would overtake a Backspace.
    """

    async def on_key(self, event: events.Key) -> None:
        """Run the action of an editing key."""
        if (action := EDITING_ACTIONS.get(event.key)) is not None:
            event.stop().prevent_default()
            await self.run_action(action)


class SearchFields(Horizontal):
    """Shows the fields side by side, on one line."""

    DEFAULT_CSS = """
    SearchFields { height: 1; }
    SearchFields Input { width: 1fr; margin-right: 1; }
    """

    def __init__(self, text: str, filter_line: str) -> None:
        """Store the texts that the fields start with."""
        super().__init__()
        self._first_texts = text, filter_line

    def compose(self) -> ComposeResult:
        """Yield the fields."""
        text, filter_line = self._first_texts
        yield self._make_field("search", text, "Search (press /)")
        yield self._make_field(
            "filter", filter_line, "Filters (press f), such as --after 2021 --rating 4+"
        )

    def get_field(self, name: FieldName) -> Input:
        """Return a field."""
        return self.query_one(f"#{name}", Input)

    @property
    def texts(self) -> tuple[str, str]:
        """Return the search text and the filter line."""
        return self.get_field("search").value.strip(), self.get_field("filter").value.strip()

    @staticmethod
    def _make_field(name: FieldName, text: str, placeholder: str) -> Field:
        return Field(text, placeholder, id=name, compact=True, select_on_focus=False)
