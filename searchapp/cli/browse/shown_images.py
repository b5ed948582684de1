"""What the browser shows: marks of images, and a bounded cache of images and drawings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Generic, TypeVar

from searchapp.files.display_path import display_path
from searchapp.types import Example, Hit, format_clock

if TYPE_CHECKING:
    from searchapp.cli.browse.picture_source import BrowsedImage

Key = TypeVar("Key")
Value = TypeVar("Value")


class RecentCache(OrderedDict[Key, Value], Generic[Key, Value]):
    """Dictionary that keeps a number of entries: those that were set or read last."""

    def __init__(self, max_entries: int) -> None:
        """Create an empty cache."""
        super().__init__()
        self._max_entries = max_entries

    def find(self, key: Key) -> Value | None:
        """Return a value, which stays in the cache for longer; None if the cache lacks it."""
        if key not in self:
            return None
        self.move_to_end(key)
        return self[key]

    def add(self, key: Key, value: Value) -> None:
        """Set a value; the oldest entry makes room for it."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._max_entries:
            self.popitem(last=False)


@dataclass(slots=True)
class Marks:
    """The images that the user has selected, liked and unliked, by image id."""

    selected: dict[int, Hit] = field(default_factory=dict)  # in the order of selection
    likes: dict[int, bool] = field(default_factory=dict)  # False: unliked

    def toggle_selected(self, hit: Hit) -> None:
        """Select an image, or take it out of the selection."""
        if self.selected.pop(hit.image_id, None) is None:
            self.selected[hit.image_id] = hit

    def toggle_like(self, image_id: int, *, is_liked: bool) -> None:
        """Like or unlike an image; the same again removes the mark."""
        if self.likes.get(image_id) is is_liked:
            del self.likes[image_id]
        else:
            self.likes[image_id] = is_liked

    @property
    def examples(self) -> list[Example]:
        """Return the liked and unliked images as examples of a search."""
        return [Example(image_id, is_liked) for image_id, is_liked in self.likes.items()]

    def describe(self, image_id: int) -> str:
        """Return the marks of an image in words."""
        return ", ".join(self._list_words(image_id))

    def make_caption(self, image: BrowsedImage) -> str:
        """Return the marks and the file name of an image, on one line."""
        signs = {"selected": "✓", "liked": "+", "unliked": "-"}
        marks = "".join(signs[word] for word in self._list_words(image.located.image_id))
        name = display_path(PurePosixPath(image.path).name or image.path)
        seconds = image.located.seconds
        time = "" if seconds is None else f" @ {format_clock(seconds)}"
        return f"{marks} {name}{time}" if marks else f"{name}{time}"

    def summarize(self) -> list[str]:
        """Return the numbers of selected, liked and unliked images that are not zero."""
        liked = sum(self.likes.values())
        counts = {
            "selected": len(self.selected), "liked": liked, "unliked": len(self.likes) - liked,
        }  # fmt: skip
        return [f"{count} {name}" for name, count in counts.items() if count]

    def _list_words(self, image_id: int) -> Iterable[str]:
        if image_id in self.selected:
            yield "selected"
        if image_id in self.likes:
            yield "liked" if self.likes[image_id] else "unliked"
