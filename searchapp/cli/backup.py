"""`searchapp backup`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import AppCommand, library_option, print_note, printable
from searchapp.errors import LibraryError


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@library_option
def command(file: Path, force: bool, library: Path | None) -> None:
    """Copy the catalogue to FILE, whole and as it is now, even while index runs.

    The catalogue is all that is needed: indexes and thumbnails are made of it again. To restore it,
    put it into a folder by the name of catalog.db, and name that folder with --library.

    \b
    searchapp backup /mnt/backup/pictures.db
    """
    from searchapp.library import Library

    if file.exists() and not force:
        raise LibraryError(f"{file} is there already; --force replaces it")
    with Library.open(library, tell=print_note) as opened:
        opened.backup(file)
    print_note(f"{printable(str(file))}: {file.stat().st_size / 1e6:.1f} MB")
