"""`searchapp saved show`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli import shell_completion
from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.saved.describe import describe_question
from searchapp.cli.shared_options import AppCommand, json_option, library_option, print_json


@click.command(cls=AppCommand)
@click.argument("name", shell_complete=shell_completion.complete_saved)
@json_option
@library_option
def command(name: str, as_json: bool, library: Path | None) -> None:
    """Show the question, the filters and the folder of links of the saved search NAME.

    \b
    searchapp saved show boats
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        search = opened.saved.get(name)
    if as_json:
        print_json(search.to_dict())
        return
    for label, value in (
        ("name", search.name),
        ("search", describe_question(search)),
        ("links", search.link_folder),
        ("saved", search.created_at),
    ):
        if value:
            print_line(f"{label:<7} {value}")
