"""`searchapp import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    json_option,
    library_option,
    print_json,
)
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@collection_option
@json_option
@library_option
def command(file: Path, collection: str | None, as_json: bool, library: Path | None) -> None:
    """Read a file of `searchapp export` into a library, without embedding.

    If the picture files still have the paths that FILE names, queries find them at once. Otherwise
    run `searchapp index`: it recognizes the pictures by their content, and does not embed them
    again.

    \b
    searchapp import pictures.npy --library ~/other
    """
    from searchapp.library import Library

    with Library.open(library, create=True, tell=print_note) as opened:
        loaded = opened.load(file, collection)
    if as_json:
        print_json(asdict(loaded))
    else:
        print_note(
            f"imported {format_count(loaded.images, 'new image')} and the paths of "
            f"{format_count(loaded.files, 'file')} into the collection {loaded.collection}"
        )
