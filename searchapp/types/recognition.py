"""Options and summary of a run that recognizes text in indexed pictures."""

from __future__ import annotations

from dataclasses import dataclass

from searchapp.types.search import Filter


@dataclass(frozen=True)
class RecognitionOptions(Filter):
    """Options of a run that recognizes text: the pictures to read, and which to read again."""

    collection: str | None = None  # None: all images of the library
    limit: int | None = None  # maximum number of images and video frames
    update: bool = False  # read pictures again that another version of the reader has read
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class TextSummary:
    """Numbers of images and video frames in which text was looked for."""

    read: int
    with_text: int
    failed: int
    unread: int  # that remain
    seconds: float
    reader: str  # name and version


@dataclass(frozen=True, slots=True)
class TextsRecognized:
    """Event: the run is complete and saved; no event follows."""

    summary: TextSummary
