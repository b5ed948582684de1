"""`searchapp import`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    json_option,
    library_option,
    print_json,
    print_note,
    printable,
)


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@collection_option
@json_option
@library_option
def command(file: Path, collection: str | None, as_json: bool, library: Path | None) -> None:
    """Read what export has written into a library; nothing is embedded.

    The pictures are found at once where their files are where they were. Elsewhere `searchapp
    index` finds them by their content, and embeds none of them again.

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
            f"{loaded.images:,} images and {loaded.files:,} files, in {printable(loaded.collection)}"
        )
