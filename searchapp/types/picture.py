"""What is known of pictures and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that could not be used, and why.

    stage is scan, read, fetch, decode or embed, or "needs" and the extra that reads such files.
    """

    path: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSummary:
    """Describe a picture: what the catalog stores and each hit shows; None if unknown."""

    width: int  # pixels, upright
    height: int
    taken_at: str | None = None  # ISO 8601, with the offset if the camera knew it
    date: str | None = None  # taken_at; if that is unknown, the file's date
    date_from: str | None = None  # exif, xmp, iptc or file
    camera: str | None = None
    lens: str | None = None
    rating: int | None = None  # 1 to 5; -1: rejected
    keywords: tuple[str, ...] = ()  # each keyword once, ignoring case
    title: str | None = None
    latitude: float | None = None  # degrees, north positive
    longitude: float | None = None  # degrees, east positive

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make an object from JSON values; ignore unknown names."""
        known: dict[str, Any] = {}
        for each in fields(cls):
            if each.name in values:
                value = values[each.name]
                known[each.name] = tuple(value) if isinstance(value, list) else value
        return cls(**known)


SUMMARY_FIELDS = tuple(each.name for each in fields(PictureSummary))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInfo(PictureSummary):
    """Describe a picture: all that its file and its sidecar say."""

    format: str
    description: str | None = None
    reader: int = 0  # the value of metadata.READER when the file was read


@dataclass(frozen=True, slots=True)
class CatalogedFile:
    """A file that holds an image, as it was when it was read."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class CatalogedImage:
    """All that a collection knows of an image."""

    sha256: str
    info: PictureInfo
    files: tuple[CatalogedFile, ...]
    vector: bytes  # as it is stored: little-endian float16
    video: str | None = None  # of a video's frame: the SHA-256 of the video
    seconds: float | None = None  # and when it is shown
