"""`searchapp saved remove`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli import shell_completion
from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, library_option


@click.command(cls=AppCommand)
@click.argument("name", shell_complete=shell_completion.complete_saved)
@click.option("--keep-links", is_flag=True, help="Leave the links to the hits in their folder.")
@library_option
def command(name: str, keep_links: bool, library: Path | None) -> None:
    """Remove the saved search NAME, and the links to its hits. No picture is removed.

    \b
    searchapp saved remove boats
    searchapp saved remove boats --keep-links
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        search = opened.saved.get(name)
        opened.saved.remove(search, keep_links=keep_links)
    print_note(f"removed the saved search {search.name!r}")
