"""`searchapp saved rename`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli import shell_completion
from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, library_option


@click.command(cls=AppCommand)
@click.argument("name", shell_complete=shell_completion.complete_saved)
@click.argument("new_name")
@library_option
def command(name: str, new_name: str, library: Path | None) -> None:
    """Give the saved search NAME the name NEW_NAME.

    \b
    searchapp saved rename boats "red boats"
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        renamed = opened.saved.rename(opened.saved.get(name), new_name)
    print_note(f"renamed the saved search to {renamed.name!r}")
