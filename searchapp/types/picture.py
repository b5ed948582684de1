"""Metadata of pictures, and the files and images that the catalog stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self


def megapixels_to_pixels(megapixels: float) -> Decimal:
    """Convert megapixels to pixels, exactly for the decimal number that the user wrote.

    In binary floats, 4.1 * 1e6 is less than 4,100,000.
    """
    return Decimal(repr(float(megapixels))).scaleb(6)


TEXT_FAILURE_STAGE = "text"  # The picture is indexed, but its text could not be recognized.


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed, and the reason.

    stage: scan, read, fetch, decode, embed, or text (recognizing text). If the extra NAME must be
    installed to read the file, the stage is "needs NAME".
    """

    path: str
    stage: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSummary:
    """Metadata of a picture that each hit shows; None means unknown."""

    width: int  # pixels, upright (orientation applied)
    height: int
    taken_at: str | None = None  # ISO 8601, with the UTC offset if the metadata has one
    date: str | None = None  # taken_at; if that is unknown, the file's modification time
    date_from: str | None = None  # exif, xmp, iptc, json or file
    camera: str | None = None
    lens: str | None = None
    rating: int | None = None  # 1 to 5; -1: rejected
    keywords: tuple[str, ...] = ()  # each keyword once, ignoring case
    title: str | None = None
    latitude: float | None = None  # degrees, north positive
    longitude: float | None = None  # degrees, east positive
    # Names of the place, in English if the gazetteer has an English name; not from the file.
    city: str | None = None
    region: str | None = None  # first level below the country, such as a state
    country: str | None = None

    @property
    def place_names(self) -> tuple[str, ...]:
        """Return the different names of the place, from the city to the country."""
        return tuple(dict.fromkeys(filter(None, (self.city, self.region, self.country))))

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as a dictionary of JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Create the metadata from a dictionary of JSON values; ignore unknown keys."""
        known: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:  # fields() would take longer than all the rest
            if name in values:
                value = values[name]
                known[name] = tuple(value) if isinstance(value, list) else value
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Place:
    """Names of a place; None: the name is not known, or not certain."""

    city: str | None = None
    region: str | None = None
    country: str | None = None


PLACE_FIELDS = tuple(each.name for each in fields(Place))
SUMMARY_FIELDS = tuple(each.name for each in fields(PictureSummary))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInfo(PictureSummary):
    """All metadata of a picture, from its file and its sidecar."""

    format: str
    description: str | None = None
    reader: int = 0  # version of the metadata reader that read the file
    # Version of the decoder that changed the colors of the picture; 0: none did; None: not known
    colors_since: int | None = None


Box = tuple[tuple[float, float], ...]  # corners (x, y) as shares of width and height, upright


@dataclass(frozen=True, slots=True)
class TextLine:
    """Line of text that a reader recognized in a picture."""

    text: str
    box: Box = ()  # from the top left corner of the first letter on, clockwise as one reads it
    confidence: float = 1.0  # 0 to 1

    def to_dict(self) -> dict[str, Any]:
        """Return the line as a dictionary of JSON values."""
        box = [list(corner) for corner in self.box]
        return {"text": self.text, "box": box, "confidence": self.confidence}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TextLine:
        """Create the line from a dictionary of JSON values."""
        box = tuple((x, y) for x, y in values["box"])
        return cls(values["text"], box, values["confidence"])


@dataclass(frozen=True, slots=True)
class CatalogedFile:
    """File that contains an image: its size and modification time when it was read.

    info: its metadata, if the files of the image have different metadata.
    """

    path: str
    size: int
    mtime_ns: int
    info: PictureInfo | None = None

    @property
    def changed_at(self) -> str:
        """Return the modification time, ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC).isoformat("T", "seconds")


@dataclass(frozen=True, slots=True)
class Original:
    """File of an indexed image, with what is known of its content; see open_original()."""

    path: str
    sha256: str  # of the complete file; of a video too
    seconds: float | None = None  # time of a video frame; None: a picture
    size: int | None = None  # bytes, when the file was indexed; None: not known
    mtime_ns: int | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class CatalogedImage:
    """Image of a collection with its metadata, files and vector, for an export."""

    sha256: str
    info: PictureInfo
    files: tuple[CatalogedFile, ...]
    vector: bytes  # little-endian float16
    video: str | None = None  # SHA-256 of the video; None: not a video frame
    seconds: float | None = None  # time of a video frame from the beginning of the video
