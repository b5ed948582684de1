"""`searchapp backup`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, library_option
from searchapp.errors import LibraryError
from searchapp.files.enter_path import find_entered


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@library_option
def command(file: Path, force: bool, library: Path | None) -> None:
    """Copy the catalog to FILE, complete and consistent, even while `searchapp index` runs.

    The catalog is a complete backup: searchapp can make indexes and thumbnails from it again.
    `searchapp restore FILE` puts it back.

    \b
    searchapp backup /mnt/backup/pictures.db
    """
    from searchapp.library import Library

    if not force and find_entered(file, LibraryError) is not None:
        raise LibraryError(f"{file} exists; choose another name, or replace it with --force")
    with Library.open(library, tell=print_note) as opened:
        opened.backup(file)
    print_note(f"wrote {file}, {file.stat().st_size / 1e6:.1f} MB")
