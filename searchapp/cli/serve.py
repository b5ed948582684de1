"""`searchapp serve`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    engine_option,
    library_option,
    print_note,
    verbose_option,
)
from searchapp.files.library_folder import resolve_library_folder


@click.command(cls=AppCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Where to listen.",
)
@click.option(
    "--token", metavar="SECRET", help="What everybody has to know; needed for any other --host."
)
@click.option("--allow-urls", is_flag=True, help="Fetch public pictures on behalf of clients.")
@engine_option
@api_key_option
@library_option
@verbose_option
def command(
    host: str,
    port: int,
    token: str | None,
    allow_urls: bool,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
    verbose: bool,
) -> None:
    """Serve a web page and a JSON API to search the library with; Ctrl-C ends it.

    \b
    searchapp serve
    searchapp serve --host 0.0.0.0 --token "$(openssl rand -hex 16)"
    """
    from searchapp.server.resident import ResidentSettings, prepare, serve_library

    settings = ResidentSettings(
        resolve_library_folder(library), host=host, port=port, token=token, allow_urls=allow_urls,
        engine_url=engine, api_key=api_key, verbose=verbose,
    )  # fmt: skip
    prepare(settings, print_note)
    url_host = f"[{host}]" if ":" in host else host
    print_note(
        f"serving http://{url_host}:{port}/{'?token=...' if token else ''}   (Ctrl-C ends it)"
    )
    serve_library(settings)
