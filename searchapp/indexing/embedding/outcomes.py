"""The result of each file of an index run: embedded, known before, or failed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from searchapp.catalog import FileTask
from searchapp.engines.base import Refusal
from searchapp.files.file_state import FileState
from searchapp.types import Failure, PictureInfo


@dataclass(frozen=True, slots=True)
class EmbeddedFrame:
    """A video frame other than the main frame, with its vector in the catalog's format."""

    seconds: float  # from the start of the video
    vector: bytes


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """A picture or video that is new to the collection, with its vector in the catalog's format.

    The vector of a video is that of its main frame; the other frames are in `frames`.
    """

    sha256: str
    info: PictureInfo
    vector: bytes | Refusal
    seconds: float | None = None  # of a video's frame, from the start; None for a picture
    frames: tuple[EmbeddedFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """An image that the collection has embedded before, perhaps from another path."""

    image_id: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of embedding one file; state: of the file when it was read."""

    task: FileTask
    result: EmbeddedPicture | KnownPicture | Failure
    state: FileState


def count_embedded(outcomes: Iterable[Outcome]) -> int:
    """Return how many of these files were embedded."""
    return sum(isinstance(outcome.result, EmbeddedPicture) for outcome in outcomes)
