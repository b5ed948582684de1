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
        # Messages come even while the app ends, when query_one() no longer finds the fields.
        self._fields: dict[FieldName, Field] = {}

    def compose(self) -> ComposeResult:
        """Make the fields."""
        text, filter_line = self._first_texts
        example = "Filters (press f), such as --after 2021 --rating 4+"
        self._fields["search"] = self._make_field("search", text, "Search (press /)")
        self._fields["filter"] = self._make_field("filter", filter_line, example)
        yield from self._fields.values()

    def get_field(self, name: FieldName) -> Input:
        """Return a field."""
        return self._fields[name]

    @property
    def texts(self) -> tuple[str, str]:
        """Return the search text and the filter line."""
        return self.get_field("search").value.strip(), self.get_field("filter").value.strip()

    @staticmethod
    def _make_field(name: FieldName, text: str, placeholder: str) -> Field:
        return Field(text, placeholder, id=name, compact=True, select_on_focus=False)
