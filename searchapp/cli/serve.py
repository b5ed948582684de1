"""`searchapp serve`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import is_engine_output_shown, print_note
from searchapp.cli.open_viewer import open_in_viewer
from searchapp.cli.shared_options import AppCommand, api_key_option, engine_option, library_option
from searchapp.files.library_folder import resolve_library_folder


@click.command(cls=AppCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen on this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Listen on this TCP port.",
)
@click.option(
    "--token",
    metavar="SECRET",
    help="Require SECRET from every client; necessary if other computers can connect.",
)
@click.option(
    "--allow-urls", is_flag=True, help="Download public pictures that clients name by URL."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in your browser.")
@engine_option
@api_key_option
@library_option
def command(
    host: str,
    port: int,
    token: str | None,
    allow_urls: bool,
    open_page: bool,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
) -> None:
    """Serve a web page and a JSON API that search the library, until Ctrl-C.

    With -v, the command shows each request. It never logs the token. Texts of queries are shown
    only with -vv, and are in the file of --log-file. If the library is served already, --open opens
    that page, and the command ends.

    \b
    searchapp serve --open
    searchapp serve --host 0.0.0.0 --token "$(openssl rand -hex 16)"
    """
    from searchapp.server.resident import ResidentSettings, prepare_library, serve_library
    from searchapp.server.resident_lock import read_lock_holder

    folder = resolve_library_folder(library)
    holder = read_lock_holder(folder) if open_page else None
    if holder is not None and holder.url is not None:
        print_note(f"the library is already served by {holder}")
        _open_in_browser(holder.url)
        return
    settings = ResidentSettings(
        folder, host=host, port=port, token=token, allow_urls=allow_urls,
        engine_url=engine, api_key=api_key, verbose=is_engine_output_shown(),
    )  # fmt: skip
    prepare_library(settings, print_note)
    serve_library(settings, print_note, _open_in_browser if open_page else lambda url: None)


def _open_in_browser(url: str) -> None:
    """Open a page in the user's browser."""
    open_in_viewer(url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:"))
