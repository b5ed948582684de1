"""A page to look through duplicates: one HTML file with all in it, that asks nothing of a network.

Which files stay can be changed there; the page makes the shell script of script.py for them.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path

from searchapp.duplicates import move_script
from searchapp.errors import PictureError, SearchAppError
from searchapp.files import storage
from searchapp.files.atomic import complete
from searchapp.pictures import thumbnails
from searchapp.types import Copy, Duplicates, Group

SIDE = 280  # pixels
PICTURES = 3000  # more would make the page too large for a browser; the largest groups have them
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write(file: Path, found: Duplicates) -> None:
    """Write the page; raise SearchAppError where it cannot be written."""
    page = _Page(found)
    try:
        with (
            complete(file) as temporary,
            temporary.open("w", encoding="utf-8", errors="replace") as opened,
        ):
            opened.writelines(page.parts())
    except OSError as error:
        raise SearchAppError(f"{file} cannot be written: {error.strerror}") from error


class _Page:
    """A page as it is written, part by part."""

    def __init__(self, found: Duplicates) -> None:
        self._found = found
        self._files: list[dict[str, object]] = []
        groups = (*found.groups, *found.similar)
        paths = (copy.path for group in groups for copy in (group.keeper, *group.others))
        self._looks = thumbnails.ahead(_thumbnail, islice(paths, PICTURES))

    def parts(self) -> Iterator[str]:
        count = sum(len(group.others) for group in self._found.groups)
        yield (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Duplicates</title><style>{_file('review.css')}</style></head>\n<body>"
            f"<h1>{count:,} duplicates of {len(self._found.groups):,} pictures</h1>"
            "<p>Click a picture to let it stay or move away. Nothing happens to your files here: "
            "save the script, read it, and run it yourself.</p>"
            '<p class="keys"><kbd>←</kbd> <kbd>→</kbd> next file, <kbd>↑</kbd> <kbd>↓</kbd> next '
            "picture, <kbd>space</kbd> changes, <kbd>k</kbd> keeps only this one, <kbd>a</kbd> "
            "keeps all</p>\n"
        )
        for group in self._found.groups:
            yield self._group(group)
        if self._found.similar:
            yield (
                "<h2>Look-alikes</h2><p>These are other pictures of the same kind, and no "
                "duplicates. All stay, unless you choose.</p>\n"
            )
            for group in self._found.similar:
                yield self._group(group)
        if not self._found.groups and not self._found.similar:
            yield '<p class="quiet">There are none.</p>'
        data = {"files": self._files, "head": move_script.HEAD, "tail": move_script.TAIL}
        told = json.dumps(data).replace("<", "\\u003c")
        yield (
            "<footer><output></output>"
            '<button id="copy">Copy the script</button>'
            '<button id="save" class="first">Save the script</button></footer>'
            '<dialog aria-label="The script"><p>Copy this into a file.</p><textarea readonly>'
            '</textarea><form method="dialog"><button>Close</button></form></dialog>'
            f'<script type="application/json" id="data">{told}</script>'
            f"<script>{_file('review.js')}</script></body></html>\n"
        )

    def _group(self, group: Group) -> str:
        alike = any(copy.certainty == "similar" for copy in group.others)
        why = "" if alike else f'<p class="why">Suggested to stay: {html.escape(group.reason)}</p>'
        cards = self._card(group.keeper, group.keeper, stays=True)
        cards += "".join(
            self._card(copy, group.keeper, stays=alike or not _movable(copy))
            for copy in group.others
        )
        return f'<section>{why}<ul class="cards">{cards}</ul></section>\n'

    def _card(self, copy: Copy, keeper: Copy, *, stays: bool) -> str:
        number = len(self._files)
        self._files.append(
            {"size": copy.size, "comment": move_script.comment(copy.path), **_words(copy)}
        )
        path = Path(copy.path)
        name, folder = (_shown(part) for part in (path.name, copy.path[: -len(path.name) - 1]))
        look = '<span class="none">no picture</span>'
        if thumbnail := next(self._looks, ""):  # of the same file: cards are made in that order
            look = f'<img src="{thumbnail}" alt="">'
        uri = html.escape(storage.uri(copy.path), quote=True)
        return (
            f'<li class="card {"keep" if stays else "away"}" data-file="{number}">'
            f'<button class="toggle" aria-pressed="{str(not stays).lower()}" aria-label="{name}">'
            f'{look}<span class="mark">{"stays" if stays else "moves away"}</span></button>'
            f'<div class="said"><span class="name">{name}</span>'
            f'<span class="folder">{folder}</span>'
            f'<span class="facts">{_facts(copy, keeper)}</span>'
            f'<span class="difference">{_difference(copy)}</span>'
            f'<span class="more"><button class="only">keep only this</button>'
            f'<a href="{uri}">open</a></span></div></li>'
        )


def _file(name: str) -> str:
    return resources.files("searchapp.pages").joinpath("templates", name).read_text("utf-8")


def _words(copy: Copy) -> dict[str, str | None]:
    """Return a file, and what moves with it, as words of the shell; None where they cannot be."""
    try:
        return {"word": move_script.quoted(copy.path), "along": move_script.along(copy)}
    except ValueError:
        return {"word": None, "along": None}


def _movable(copy: Copy) -> bool:
    return _words(copy)["word"] is not None


def _difference(copy: Copy) -> str:
    names = (_shown(Path(path).name) for path in copy.companions)
    return ", ".join(filter(None, (html.escape(copy.difference), *(f"with {it}" for it in names))))


def _shown(text: str) -> str:
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return html.escape("".join(c if c.isprintable() else repr(c)[1:-1] for c in shown), quote=True)


def _facts(copy: Copy, keeper: Copy) -> str:
    """Return size, format and date; what is worse or better than of the one to keep is marked."""
    pixels, best = copy.width * copy.height, keeper.width * keeper.height
    size = f"{copy.size / 1e6:.1f} MB" if copy.size >= 1e6 else f"{copy.size / 1e3:.0f} kB"
    differs = abs(copy.size - keeper.size) > 0.05 * keeper.size
    taken = (copy.taken_at or "no date")[:16].replace("T", " ")
    return " · ".join(
        (
            _marked(f"{copy.width}×{copy.height}", pixels - best),
            _marked(size, copy.size - keeper.size if differs else 0),
            html.escape(copy.format),
            _marked(taken, bool(copy.taken_at) - bool(keeper.taken_at)),
        )
    )


def _marked(text: str, better: int) -> str:
    if not better:
        return f"<span>{html.escape(text)}</span>"
    return f"<b{' class=better' if better > 0 else ''}>{html.escape(text)}</b>"


def _thumbnail(path: str) -> str:
    try:
        image = thumbnails.thumbnail(path, SIDE)
    except PictureError:
        return ""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
