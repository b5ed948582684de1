"""Write a contact sheet: one HTML file with the hits of queries, to open or to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.display_path import display_path
from searchapp.pages.html_template import encode_jpeg_url, write_html
from searchapp.pictures import thumbnails
from searchapp.types import Hit, format_clock

THUMBNAIL_SIDE_PX = 320
JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the contact sheet: a query, as a heading, and the hits of this query."""

    title: str
    hits: Sequence[Hit]


@dataclass(frozen=True, slots=True)
class _Entry:
    """The values of one hit that the template shows."""

    uri: str
    name: str
    score: str
    thumbnail: str  # a data: URL; empty if the picture cannot be read


def write_contact_sheet(file: Path, sections: Sequence[Section], title: str = "searchapp") -> None:
    """Write an HTML file with hits; it contains the thumbnails and loads no other file.

    Errors: SearchAppError if the file cannot be written.
    """
    rendered = (
        {"title": section.title, "pictures": map(_make_entry, section.hits)} for section in sections
    )
    write_html(file, "contact_sheet.html", title=title, sections=rendered)


def _make_entry(hit: Hit) -> _Entry:
    name, uri = display_path(Path(hit.path).name), storage.path_to_uri(hit.path)
    if hit.seconds is not None:  # browsers start to play a video at #t=SECONDS
        uri, name = f"{uri}#t={hit.seconds:g}", f"{name} @ {format_clock(hit.seconds)}"
    return _Entry(uri, name, f"{hit.score:.3f}", _make_thumbnail_url(hit))


def _make_thumbnail_url(hit: Hit) -> str:
    try:
        thumbnail = thumbnails.make_thumbnail(hit.original, THUMBNAIL_SIDE_PX)
    except PictureError:
        return ""
    return encode_jpeg_url(thumbnail, JPEG_QUALITY)
