"""`searchapp query`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import click

from searchapp.cli.options import (
    Command,
    api_key_option,
    collection_option,
    date,
    engine_option,
    json_option,
    keep_alive_option,
    library_option,
    model_option,
    note,
    print_json,
    print_path,
    shown,
    truncate_option,
    trust_option,
    verbose_option,
)
from searchapp.errors import QueryError
from searchapp.place import library_folder
from searchapp.types import Hit, Query, SearchOptions


@click.command(cls=Command)
@click.argument("text", required=False)
@click.option("--image", metavar="FILE|URL", help="Find pictures that look like this one.")
@click.option(
    "-k", "count", type=click.IntRange(min=1), default=10, show_default=True, metavar="N",
    help="Show the N best.",
)  # fmt: skip
@click.option(
    "--in", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Only below FOLDER."
)
@click.option(
    "--after", metavar="DATE", callback=date, help="Only taken then or later: 2023, 2023-06 ..."
)
@click.option(
    "--before", metavar="DATE", callback=date, help="Only taken then or earlier, that day included."
)
@click.option("--min-score", type=float, metavar="S", help="Only scores (cosines) of at least S.")
@click.option(
    "--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out the N best."
)
@json_option
@click.option("--paths", is_flag=True, help="Print only paths, one a line.")
@click.option("-0", "null", is_flag=True, help="Print only paths, each ended by a null byte.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page with the pictures found, to open in a browser.",
)
@model_option
@collection_option
@truncate_option
@trust_option
@click.option("--no-daemon", is_flag=True, help="Answer in this process, and leave none behind.")
@keep_alive_option
@engine_option
@api_key_option
@library_option
@verbose_option
def command(
    text: str | None,
    image: str | None,
    as_json: bool,
    paths: bool,
    null: bool,
    html: Path | None,
    no_daemon: bool,
    keep_alive: float,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
    verbose: bool,
    **arguments: Any,
) -> None:
    """Find the pictures nearest to TEXT, to --image, or to both as one question.

    \b
    searchapp query "a red boat at sunset"
    searchapp query --image boat.jpg -k 3
    searchapp query -0 "two white sheep" | xargs -0 cp -t /tmp/sheep

    The first query starts a process in the background that keeps the model loaded, so that the next
    ones are answered at once; it leaves when it had nothing to do for a while, or by `searchapp
    stop`.
    """
    query = Query(text, image)
    if query.modality is None:
        raise QueryError('nothing to look for; give a text, --image FILE, or both: query "a dog"')
    options = SearchOptions(**arguments)
    if no_daemon or verbose or not hasattr(socket, "AF_UNIX"):
        from searchapp.cli.engine import starter
        from searchapp.library import Library

        start = starter(verbose, url=engine, api_key=api_key)
        with Library.open(library, start=start) as opened:
            hits = opened.search(query, options)
    else:
        from searchapp.server import client

        residence = client.Residence(library_folder(library), keep_alive, engine, api_key)
        hits = client.search(residence, query, options, note)
    if html is not None:
        from searchapp.sheet import Section, write_sheet

        write_sheet(html, [Section(_title(query), hits)])
        note(f"{len(hits)} pictures in {html}")
    if as_json:
        print_json([_as_dict(hit) for hit in hits])
    elif paths or null:
        for hit in hits:
            print_path(hit.path, b"\0" if null else b"\n")
    elif html is None:
        for hit in hits:
            also = f"  (and {len(hit.also)} more)" if hit.also else ""
            click.echo(f"{hit.score:.3f}  {shown(hit.path)}{also}")
    if not hits:
        limits = (options.min_score, options.folder, options.after, options.before)
        note("no match within the limits" if any(limits) or options.offset else "no match")


def _title(query: Query) -> str:
    return " + ".join(str(part) for part in (query.text, query.image) if part)


def _as_dict(hit: Hit) -> dict[str, object]:
    return {
        "path": hit.path,
        "score": hit.score,
        "sha256": hit.sha256,
        "width": hit.width,
        "height": hit.height,
        "also": list(hit.also),
    }
