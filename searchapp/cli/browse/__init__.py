"""`searchapp browse`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    collection_option,
    engine_option,
    keep_alive_option,
    library_option,
    print_path,
    ranking_options,
    truncate_option,
    trust_option,
)
from searchapp.cli.start_engine import start_until_exit
from searchapp.cli.terminal_protocol import PROTOCOLS, Protocol, detect_terminal
from searchapp.errors import SearchAppError
from searchapp.files.library_folder import require_library, resolve_library_folder
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import SearchOptions


@click.command(cls=AppCommand)
@click.argument("text", required=False, default="")
@click.option(
    "-k", "--count", "count", type=click.IntRange(min=1), default=200, show_default=True,
    metavar="N", help="Show the best N hits of a search.",
)  # fmt: skip
@filter_options
@ranking_options
@click.option(
    "-0", "--print0", "null", is_flag=True,
    help="Print a null byte after each path, instead of a line end.",
)  # fmt: skip
@click.option(
    "--draw", type=click.Choice(["auto", *PROTOCOLS]), default="auto", show_default=True,
    help="Draw pictures by a protocol of the terminal, or as colored blocks.",
)  # fmt: skip
@collection_option
@truncate_option
@trust_option
@click.option(
    "--no-daemon", is_flag=True, help="Search in this process, not in a resident process."
)
@keep_alive_option
@engine_option
@api_key_option
@library_option
def command(
    text: str,
    count: int,
    null: bool,
    draw: str,
    collection: str | None,
    truncate: bool,
    trust_remote_code: bool,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
    **filters: Any,
) -> None:
    """Browse the pictures of the library in the terminal, and print the selected paths.

    Without TEXT, the newest pictures come first. The options become the filter line, which you can
    change. Needs the extra `tui`.

    \b
    searchapp browse
    searchapp browse "a red boat" --after 2021 --rating 4+
    searchapp browse -0 | xargs -0 cp -t /tmp/chosen

    \b
    Keys:
      /                go to the search field; the search starts while you type
      f                go to the filter line
      Enter, Escape    in a field: go to the pictures
      arrows           move; also Page Up, Page Down, Home, End and the mouse wheel
      Enter            show the details; Enter or Escape returns
      space            select the picture, or take it out of the selection
      + or l           like: find more of the same; again: remove the mark
      - or u           unlike: find less of the same
      o                open the picture in your viewer
      y                copy the path to the clipboard
      r                search again, for example after `index`
      q                quit, and print the selected paths
      Ctrl-C           quit, and print nothing
    """
    from searchapp.indexing.embedding.choose_engines import EngineChoice

    folder = resolve_library_folder(library)
    require_library(folder)
    choice = EngineChoice(engine, api_key)  # The output of vLLM would hide the pictures.
    options = SearchOptions(
        count=count, collection=collection, truncate=truncate, trust_remote_code=trust_remote_code
    )
    paths = _browse(
        text, filters, options, None if draw == "auto" else cast("Protocol", draw),
        {
            "config": ResidentConfig(folder, keep_alive, engine, api_key),
            "start": start_until_exit(choice, announce=False),
            "use_resident": not no_daemon,
            "collection": collection,
        },
    )  # fmt: skip
    if paths is None:
        raise click.Abort
    for path in paths:
        print_path(path, b"\0" if null else b"\n")
    if not null and any("\n" in path for path in paths):
        print_note("a path contains a line end; --print0 separates paths unmistakably")


def _browse(
    text: str,
    filters: dict[str, Any],
    options: SearchOptions,
    protocol: Protocol | None,
    source_settings: dict[str, Any],
) -> list[str] | None:
    """Run the app; return the selected paths, or None if the user canceled."""
    try:
        import textual  # noqa: F401
    except ImportError as error:
        from searchapp.files.extras import install_hint

        raise SearchAppError(
            f"Textual cannot be imported ({error}). Install it: {install_hint('tui')}"
        ) from error
    from searchapp.cli.browse.app import BrowseApp
    from searchapp.cli.browse.drawing import Painter
    from searchapp.cli.browse.filter_line import format_filter_line
    from searchapp.cli.browse.picture_source import PictureSource
    from searchapp.cli.browse.question import Question
    from searchapp.cli.browse.terminal_driver import (
        delay_output,
        make_driver,
        open_terminal,
    )

    source = PictureSource(**source_settings)
    try:
        output = open_terminal()
        painter = Painter(*detect_terminal(protocol, output))
        question = Question(text, format_filter_line(filters), options)
        app = BrowseApp(source, painter, question, make_driver(output))
        with delay_output():
            paths = app.run()
        if app.return_code:  # Textual has printed the traceback of an unexpected exception.
            raise click.exceptions.Exit(app.return_code)
        return paths
    finally:
        source.close()
