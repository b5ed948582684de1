"""`searchapp saved list`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.saved.describe import describe_question
from searchapp.cli.shared_options import AppCommand, json_option, library_option, print_json


@click.command(cls=AppCommand)
@json_option
@library_option
def command(as_json: bool, library: Path | None) -> None:
    """List the saved searches, with their questions and filters.

    \b
    searchapp saved list
    searchapp saved list --json
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        searches = opened.saved.list_searches()
    if as_json:
        print_json([search.to_dict() for search in searches])
        return
    for search in searches:
        links = f"  -> {search.link_folder}" if search.link_folder else ""
        print_line(f"{search.name}:  {describe_question(search)}{links}")
    if not searches:
        print_note("no saved searches; `searchapp saved add NAME TEXT` saves one")
