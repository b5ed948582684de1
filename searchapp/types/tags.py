"""Words to tag pictures with, tags of pictures, and changes of sidecars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from searchapp.types.search import Filter, Hit


@dataclass(frozen=True, slots=True)
class TagWord:
    """A keyword to give to pictures, and the phrases that are looked for.

    path: the keyword with its hierarchy, such as "Animals|Birds|Heron". A picture that shows one
    of the phrases gets the keyword.
    """

    path: str
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class TagOptions(Filter):
    """Options of tagging: the pictures to tag, and how many tags each gets."""

    collection: str | None = None  # None: the collection that was indexed last
    max_tags: int = 5  # of each picture, the best


@dataclass(frozen=True, slots=True)
class Tag:
    """A keyword that fits a picture. score: cosine of the picture and the best phrase."""

    path: str
    score: float


@dataclass(frozen=True, slots=True)
class TaggedPicture:
    """A picture with its tags, best first. Its hit has the score of the best tag."""

    hit: Hit
    tags: tuple[Tag, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the picture as a dictionary of JSON values."""
        tags = [{"tag": tag.path, "score": tag.score} for tag in self.tags]
        return {"path": self.hit.path, "also": list(self.hit.also), "tags": tags}


# How sidecars are named. darktable: IMG_1.jpg.xmp. lightroom: IMG_1.xmp. auto: existing sidecars,
# or else the names that are most frequent in the folder.
SidecarNaming = Literal["auto", "darktable", "lightroom"]
SidecarAction = Literal["created", "changed", "deleted", "unchanged", "failed"]


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """What was done to a sidecar. reason: why it failed."""

    path: str
    action: SidecarAction
    reason: str | None = None
