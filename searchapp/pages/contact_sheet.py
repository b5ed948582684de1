"""A contact sheet: one HTML file with the pictures found in it, to open or to send."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from searchapp.errors import PictureError, SearchAppError
from searchapp.files import storage
from searchapp.files.atomic import complete
from searchapp.pictures import thumbnails
from searchapp.types import Hit, clock

SIDE = 320  # pixels
STYLE = """
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
ol { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr));
  list-style: none; margin: 0; padding: 0; }
img { aspect-ratio: 4 / 3; background: #8882; border-radius: .4rem; display: block;
  object-fit: contain; width: 100%; }
figure { margin: 0; } figcaption { font-size: .85rem; overflow-wrap: anywhere; padding: .3rem 0; }
b { font-variant-numeric: tabular-nums; }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A query in words, and what it found; the picture asked with, if there was one."""

    title: str
    hits: Sequence[Hit]


def write_sheet(file: Path, sections: Sequence[Section], title: str = "searchapp") -> None:
    """Write a page that needs nothing else: the thumbnails are in it."""
    body = "".join(_section(section) for section in sections)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{body}</body></html>\n"
    )
    try:
        with complete(file) as temporary:
            temporary.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SearchAppError(f"{file} cannot be written: {error.strerror}") from error


def _section(section: Section) -> str:
    hits = "".join(_figure(hit) for hit in section.hits) or "<li>no match</li>"
    return f"<section><h2>{html.escape(section.title)}</h2>\n<ol>{hits}</ol></section>\n"


def _figure(hit: Hit) -> str:
    path = Path(hit.path)
    name = html.escape(path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    uri = storage.uri(hit.path)
    if hit.seconds is not None:  # browsers begin to play there
        uri, name = f"{uri}#t={hit.seconds:g}", f"{name} @ {clock(hit.seconds)}"
    uri = html.escape(uri, quote=True)
    source = _thumbnail(hit.path, hit.seconds)
    return (
        f'<li><figure><a href="{uri}"><img src="{source}" alt="{name}"></a>'
        f"<figcaption><b>{hit.score:.3f}</b> {name}</figcaption></figure></li>\n"
    )


def _thumbnail(path: str, seconds: float | None) -> str:
    try:
        image = thumbnails.thumbnail(path, SIDE, seconds)
    except PictureError:
        return ""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
