"""`searchapp restore`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, library_option
from searchapp.files.library_folder import resolve_library_folder
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.argument("file", type=click.Path(path_type=Path))
@library_option
def command(file: Path, library: Path | None) -> None:
    """Replace the catalog of the library with FILE, which `searchapp backup` wrote.

    FILE is checked first. The catalog and its log are replaced as one: if the command is
    interrupted, the library has the old or the new catalog. If there is no library, it is created.

    The command refuses while another process uses the library. All changes since the backup are
    lost; to keep them, run `searchapp backup` first.

    \b
    searchapp restore /mnt/backup/pictures.db
    """
    from searchapp.library import Library

    restored = Library.restore(file, library)
    action = "created" if restored.is_new else "replaced the catalog of"
    counts = (
        format_count(restored.images, "image"),
        format_count(restored.files, "file"),
        format_count(restored.collections, "collection"),
    )
    print_note(
        f"{action} the library {resolve_library_folder(library)} with {file}: {', '.join(counts)}"
    )
    print_note("the next `searchapp index` saves the indexes again; until then, queries are slower")
