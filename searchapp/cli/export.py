"""`searchapp export`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, collection_option, library_option
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@collection_option
@library_option
def command(file: Path, collection: str | None, library: Path | None) -> None:
    """Write the embeddings and metadata of a collection to FILE.

    The suffix of FILE chooses the format:

    \b
    .npy      vectors as float16 [images, dimensions], and a .json file of the same name
              with the metadata of each row
    .json     one document with vectors and metadata
    .parquet  one row for each image (needs pyarrow: pip install -e '.[parquet]')

    \b
    searchapp export pictures.npy
    searchapp export pictures.parquet --collection clip-vit-b-32
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        count = opened.export(file, collection)
    print_note(f"wrote {format_count(count, 'image')} to {file}")
