"""What is known of pictures and their files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failure:
    """One file that could not be used, and why.

    stage is scan, read, fetch, decode or embed, or "needs" and the extra that reads such files.
    """

    path: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a picture's file says about it; None where it says nothing."""

    format: str
    width: int  # pixels, upright
    height: int
    taken_at: str | None = None  # ISO 8601, with the offset where the camera knew it
    camera: str | None = None
    latitude: float | None = None  # degrees, north positive
    longitude: float | None = None  # degrees, east positive
    lens: str | None = None
    rating: int | None = None  # 1 to 5; -1: rejected
    keywords: tuple[str, ...] = ()  # each once, in whatever case
    title: str | None = None
    description: str | None = None
    date: str | None = None  # taken_at, or where that is not known the file's
    date_from: str | None = None  # exif, xmp, iptc or file
    reader: int = 0  # the version of what read all this: metadata.READER then


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that holds an image, as it was when it was read."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Known:
    """All that a collection knows of an image."""

    sha256: str
    info: PictureInfo
    files: tuple[KnownFile, ...]
    vector: bytes  # as it is stored: little-endian float16
    video: str | None = None  # of a video's frame: the SHA-256 of the video
    seconds: float | None = None  # and when it is shown
