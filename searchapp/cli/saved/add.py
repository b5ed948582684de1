"""`searchapp saved add`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.query import OUTPUT_OPTIONS, QueryCommand
from searchapp.cli.query import command as query_command
from searchapp.cli.query_terms import QuestionArguments
from searchapp.cli.saved.sync import sync_searches
from searchapp.cli.shared_options import (
    api_key_option,
    engine_option,
    keep_alive_option,
    library_option,
)
from searchapp.types import SearchOptions

# All options of a question; those of the output, of the page and of the engine are left out.
QUESTION_PARAMETERS = [each for each in query_command.params if each.name not in OUTPUT_OPTIONS]


@click.command(cls=QueryCommand)
@click.argument("name")
@click.option(
    "--link-to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Keep links to the hits in the new or empty folder DIR; `watch` and `saved sync` update "
    "it.",
)  # fmt: skip
@click.option("--replace", is_flag=True, help="Replace the saved search NAME, if there is one.")
@click.option("--no-daemon", is_flag=True, help="Make the links without a resident process.")
@keep_alive_option
@engine_option
@api_key_option
@library_option
def command(
    name: str,
    link_to: Path | None,
    replace: bool,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Save a question and its filters under NAME. The options are those of `searchapp query`.

    A picture is read again at each run, so its file must stay where it is.

    \b
    searchapp saved add boats "a red boat" --after 2021 --min-score auto
    searchapp saved add dogs "a dog" -k 500 --min-score auto --link-to ~/dogs
    """
    from searchapp.errors import NameTakenError
    from searchapp.library import Library

    question = QuestionArguments.pop_from(arguments)
    query, examples = question.build_query(can_be_empty=True), question.build_examples()
    with Library.open(library, tell=print_note) as opened:
        try:
            search = opened.saved.add(
                name, query, SearchOptions(**arguments), examples, replace_existing=replace
            )
        except NameTakenError as error:
            raise NameTakenError(f"{error}, or replace it with --replace") from error
        if link_to is not None:
            try:
                search = opened.saved.set_link_folder(search, link_to)
            except BaseException:
                if not replace:
                    opened.saved.remove(search)
                raise
    print_note(f"saved the search {search.name!r}")
    if search.link_folder is not None:
        sync_searches([search], library, no_daemon, keep_alive, engine, api_key)


command.params[1:1] = QUESTION_PARAMETERS
