"""`searchapp map`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.shared_options import (
    Command,
    animated,
    collection_option,
    json_option,
    library_option,
    note,
    print_json,
)
from searchapp.types import SearchOptions

MOST = 5000  # pictures: beyond, neither the layout nor a page ends soon


@click.command(cls=Command)
@click.option(
    "--html", "file", type=click.Path(path_type=Path, dir_okay=False), default="map.html",
    show_default=True, metavar="FILE", help="Where to write the page.",
)  # fmt: skip
@click.option(
    "--count", type=click.IntRange(1, MOST), default=2000, show_default=True, metavar="N",
    help="Show N pictures at most, each in the middle of a group of those like it.",
)  # fmt: skip
@filter_options
@click.option("--open", "open_it", is_flag=True, help="Show the page in your browser.")
@collection_option
@json_option
@library_option
def command(
    file: Path, count: int, open_it: bool, as_json: bool, library: Path | None, **arguments: Any
) -> None:
    """Put a collection on one page: a map of thumbnails, what is alike beside each other.

    The page holds all that it shows: it can be sent, and opened without a network. Zoom by wheel,
    pinch, + and -; a click shows a picture, and the file itself where the page is opened from this
    machine's disk.

    \b
    searchapp map --open
    searchapp map --html iceland.html --in ~/Pictures/2021-iceland --count 500
    """
    from searchapp.library import Library
    from searchapp.pages.map import Made, make_map

    options = SearchOptions(**arguments)
    with Library.open(library, tell=note) as opened:
        for event in make_map(opened, file, options, count):
            if isinstance(event, Made):
                made = event
            elif animated():
                shown = f" {event.done:,}/{event.total:,}" if event.total else ""
                click.echo(f"\r\x1b[K{event.what}{shown} ...", nl=False, err=True)
    if animated():
        click.echo("\r\x1b[K", nl=False, err=True)
    if as_json:
        print_json({"file": str(file), "pictures": made.pictures, "of": made.of,
                    "left_out": made.left_out})  # fmt: skip
    else:
        of = f" for {made.of:,}, each in the middle of a group" if made.of > made.pictures else ""
        note(f"{made.pictures:,} pictures{of}, in {file}")
    if made.left_out:
        note(f"{made.left_out:,} left out: they cannot be read just now")
    if open_it:
        click.launch(str(file.absolute()))
