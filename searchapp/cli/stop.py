"""`searchapp stop`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.options import Command, folder_of, library_option, note


@click.command(cls=Command)
@library_option
def command(library: Path | None) -> None:
    """End the resident process that queries have left behind, and free what it holds."""
    from searchapp.server import client

    note("stopped" if client.stop(folder_of(library)) else "no resident process runs")
