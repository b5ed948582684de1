"""`searchapp stop`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import AppCommand, library_option, print_note
from searchapp.files.library_folder import resolve_library_folder


@click.command(cls=AppCommand)
@library_option
def command(library: Path | None) -> None:
    """End the resident process that queries have left behind, and free what it holds.

    \b
    searchapp stop
    """
    from searchapp.server import client

    print_note(
        "stopped"
        if client.stop_resident(resolve_library_folder(library))
        else "no resident process runs"
    )
