"""`searchapp map`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_output import print_note
from searchapp.cli.open_viewer import open_in_viewer
from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    json_option,
    library_option,
    print_json,
)
from searchapp.types import SearchOptions, format_count

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
    from searchapp.cli.progress import draw_and_yield
    from searchapp.files.atomic import require_writable
    from searchapp.library import Library
    from searchapp.pages.map import MapWritten, make_map

    require_writable(file)
    with Library.open(library, tell=print_note) as opened:
        for event in draw_and_yield(
            make_map(opened, file, SearchOptions(**arguments), count), "making thumbnails"
        ):
            if isinstance(event, MapWritten):
                written = event
    if as_json:
        print_json({"file": str(file), "pictures": written.pictures, "of": written.matching,
                    "left_out": written.unreadable})  # fmt: skip
    else:
        total = (
            f", which stand for {written.matching:,},"
            if written.matching > written.pictures
            else ""
        )
        print_note(f"wrote a map of {format_count(written.pictures, 'picture')}{total} to {file}")
    if written.unreadable:
        print_note(f"skipped {format_count(written.unreadable, 'picture')} that cannot be read")
    if open_it:
        open_in_viewer(str(file.absolute()))
