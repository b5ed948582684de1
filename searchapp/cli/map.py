"""`searchapp map`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import (
    AppCommand,
    can_redraw,
    collection_option,
    json_option,
    library_option,
    print_json,
)
from searchapp.types import SearchOptions

if TYPE_CHECKING:
    from searchapp.pages.map import MapStep, MapWritten

MAX_PICTURES = 5000  # With more pictures, computing the layout and opening the page take too long.


@click.command(cls=AppCommand)
@click.option(
    "--html", "file", type=click.Path(path_type=Path, dir_okay=False), default="map.html",
    show_default=True, metavar="FILE", help="Write the page to FILE.",
)  # fmt: skip
@click.option(
    "--count", type=click.IntRange(1, MAX_PICTURES), default=2000, show_default=True, metavar="N",
    help="Show at most N pictures; each of them stands for a group of similar pictures.",
)  # fmt: skip
@filter_options
@click.option("--open", "open_it", is_flag=True, help="Open the page in your browser.")
@collection_option
@json_option
@library_option
def command(
    file: Path, count: int, open_it: bool, as_json: bool, library: Path | None, **arguments: Any
) -> None:
    """Write a page that shows a collection as a map: similar pictures are next to each other.

    The page contains its thumbnails, so you can send it, and open it without a network. Zoom with
    the wheel, a pinch, + or -. A click enlarges a picture; on this computer the page then loads the
    original file.

    \b
    searchapp map --open
    searchapp map --html iceland.html --in ~/Pictures/2021-iceland --count 500
    """
    from searchapp.library import Library
    from searchapp.pages.map import make_map

    with Library.open(library, tell=print_note) as opened:
        written = _show_steps(make_map(opened, file, SearchOptions(**arguments), count))
    if as_json:
        print_json({"file": str(file), "pictures": written.pictures, "of": written.matching,
                    "left_out": written.unreadable})  # fmt: skip
    else:
        total = (
            f", which stand for {written.matching:,},"
            if written.matching > written.pictures
            else ""
        )
        print_note(f"wrote a map of {written.pictures:,} pictures{total} to {file}")
    if written.unreadable:
        plural = "s" * (written.unreadable != 1)
        print_note(f"skipped {written.unreadable:,} picture{plural} that cannot be read")
    if open_it:
        click.launch(str(file.absolute()))


def _show_steps(events: Iterator[MapStep | MapWritten]) -> MapWritten:
    """Draw the steps in one line of a terminal; return the last event."""
    from searchapp.pages.map import MapWritten

    for event in events:
        if isinstance(event, MapWritten):
            written = event
        elif can_redraw():
            count = f" {event.done:,}/{event.total:,}" if event.total else ""
            click.echo(f"\r\x1b[K{event.description}{count} ...", nl=False, err=True)
    if can_redraw():
        click.echo("\r\x1b[K", nl=False, err=True)
    return written
