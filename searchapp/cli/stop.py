"""`searchapp stop`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, library_option
from searchapp.files.library_folder import resolve_library_folder


@click.command(cls=AppCommand)
@library_option
def command(library: Path | None) -> None:
    """Stop the resident process that queries start in the background, and free its memory.

    `searchapp serve` is such a process too.

    \b
    searchapp stop
    """
    from searchapp.server import client

    stopped = client.stop_resident(resolve_library_folder(library))
    print_note(f"stopped {stopped}" if stopped else "no resident process is running")
