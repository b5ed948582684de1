"""`searchapp export`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    library_option,
    print_note,
    printable,
)


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path))
@collection_option
@library_option
def command(file: Path, collection: str | None, library: Path | None) -> None:
    """Write a collection to FILE, in the format that its name ends in.

    \b
    .npy      the vectors, float16, [images, dimensions]; and a .json file of the same
              name: what each row is of
    .json     one document, the vectors included
    .parquet  a row an image (needs pyarrow: pip install -e '.[parquet]')

    \b
    searchapp export pictures.npy
    searchapp export pictures.parquet --collection clip-vit-b-32
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        count = opened.export(file, collection)
    print_note(f"{count:,} images in {printable(str(file))}")
