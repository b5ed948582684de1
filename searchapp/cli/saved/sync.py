"""`searchapp saved sync`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from searchapp.cli import shell_completion
from searchapp.cli.log_output import is_engine_output_shown, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    engine_option,
    keep_alive_option,
    library_option,
)
from searchapp.cli.start_engine import start_until_exit
from searchapp.errors import FolderError, QueryError
from searchapp.files.library_folder import resolve_library_folder
from searchapp.types import SavedSearch, format_count


@click.command(cls=AppCommand)
@click.argument("name", required=False, shell_complete=shell_completion.complete_saved)
@click.option(
    "--link-to", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="From now on, keep the links of NAME in the new or empty folder DIR.",
)  # fmt: skip
@click.option("--no-daemon", is_flag=True, help="Search in this process, not in a resident one.")
@keep_alive_option
@engine_option
@api_key_option
@library_option
def command(
    name: str | None,
    link_to: Path | None,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
) -> None:
    """Bring the folder of links of the saved search NAME up to date, or all of them.

    A folder then holds a link to each hit, and keeps the names of its links. Only links that this
    command made are removed. `searchapp watch` does the same when pictures change.

    \b
    searchapp saved sync
    searchapp saved sync dogs --link-to ~/dogs
    """
    from searchapp.library import Library

    if link_to is not None and name is None:
        raise QueryError("--link-to needs the name of a saved search; write: saved sync NAME")
    with Library.open(library, tell=print_note) as opened:
        searches = opened.saved.list_searches() if name is None else [opened.saved.get(name)]
        if link_to is not None:
            searches = [opened.saved.set_link_folder(searches[0], link_to)]
    linked = [search for search in searches if search.link_folder is not None]
    if name is not None and not linked:
        raise QueryError(f"the saved search {name!r} has no folder of links; add --link-to DIR")
    if not linked:
        print_note("no saved search has a folder of links; add --link-to DIR to one")
    sync_searches(linked, library, no_daemon, keep_alive, engine, api_key)


def sync_searches(
    searches: Sequence[SavedSearch],
    library: Path | None,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
) -> None:
    """Run saved searches, and bring their folders of links up to date.

    If one of several fails, the others are still brought up to date. Raises FolderError then.
    """
    from searchapp.errors import SearchAppError
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.library import Library
    from searchapp.server.answer_query import answer_saved
    from searchapp.server.start_resident import ResidentConfig

    choice = EngineChoice(engine, api_key, verbose=is_engine_output_shown())
    config = ResidentConfig(resolve_library_folder(library), keep_alive, engine, api_key)
    start = start_until_exit(choice)
    use_resident = not (no_daemon or is_engine_output_shown())
    failed = list[str]()
    for search in searches:
        try:
            answer = answer_saved(
                search,
                {},
                config,
                start,
                use_resident=use_resident,
                notify=print_note,
                start_reranker=choice.start_reranker,
            )
            with Library.open(library, tell=print_note) as opened:
                changes = opened.saved.sync_links(search, answer.hits)
        except SearchAppError as error:
            if len(searches) == 1:
                raise
            failed.append(search.name)
            print_note(f"{search.name}: {error}")
            continue
        skipped = f", {changes.skipped:,} in object storage left out" if changes.skipped else ""
        print_note(
            f"{search.name}: {format_count(changes.added, 'new link')} in {search.link_folder}, "
            f"{changes.removed:,} removed{skipped}"
        )
    if failed:
        raise FolderError(f"the links of {len(failed)} saved searches are not up to date")
