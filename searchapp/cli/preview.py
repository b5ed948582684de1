"""Print hits with their pictures in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import click

from searchapp.cli.log_output import print_note
from searchapp.errors import PictureError
from searchapp.files.display_path import display_path

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from searchapp.cli.terminal_protocol import Protocol
    from searchapp.types import Hit

COLUMNS, ROWS = 32, 10  # The largest size of a picture, in cells.


def print_preview(hits: Sequence[Hit], method: str) -> bool:
    """Print hits with their pictures, and return True.

    method: auto, or the name of a protocol. If method is auto and stdout is no terminal, print only
    a note, and return False.
    """
    if method == "auto" and not sys.stdout.isatty():
        print_note(
            "no preview: the output is not a terminal; to draw anyway, name a protocol: "
            "--preview=blocks (or kitty, iterm, sixel)"
        )
        return False
    from searchapp.cli.terminal_picture import encode_table
    from searchapp.cli.terminal_protocol import detect_terminal
    from searchapp.pictures import thumbnails

    protocol, screen = detect_terminal(None if method == "auto" else cast("Protocol", method))
    columns = max(4, min(COLUMNS, screen.columns // 3))
    side = max(columns * screen.cell_width, ROWS * screen.cell_height)

    def rows() -> Iterator[tuple[Picture | None, list[str]]]:
        for hit in hits:
            last = f"(and {len(hit.also)} more)" if hit.also else ""
            try:
                image = thumbnails.make_thumbnail(hit.original, side)
            except PictureError as error:
                image, last = None, f"{error} {last}"
            path = _wrap(display_path(hit.path), screen.columns - columns - 3)
            yield image, [f"{hit.score:.3f}", *path, last]

    for piece in encode_table(rows(), protocol, screen, columns, ROWS):
        click.echo(piece, nl=False, color=True)
    sys.stdout.flush()
    return True


def _wrap(text: str, width: int) -> list[str]:
    """Split a text into lines of at most width cells; a width below 8 counts as 8."""
    from rich.cells import chop_cells

    return chop_cells(text, max(8, width)) or [""]
