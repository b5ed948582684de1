"""`searchapp stop`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import Command, library_option, note
from searchapp.files.library_folder import library_folder


@click.command(cls=Command)
@library_option
def command(library: Path | None) -> None:
    """End the resident process that queries have left behind, and free what it holds.

    \b
    searchapp stop
    """
    from searchapp.server import client

    note("stopped" if client.stop(library_folder(library)) else "no resident process runs")
