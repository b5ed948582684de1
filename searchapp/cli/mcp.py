"""`searchapp mcp`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    engine_option,
    keep_alive_option,
    library_option,
)
from searchapp.errors import SearchAppError
from searchapp.files.extras import install_hint
from searchapp.files.library_folder import (
    can_be_resident,
    require_library,
    resolve_library_folder,
)
from searchapp.server.start_resident import ResidentConfig


@click.command(cls=AppCommand)
@keep_alive_option
@engine_option
@api_key_option
@library_option
def command(
    keep_alive: float | None, engine: str | None, api_key: str | None, library: Path | None
) -> None:
    """Let an AI assistant search the library, over the Model Context Protocol.

    An assistant, such as Claude Desktop, starts this command itself: enter it in the settings of
    the assistant. The command reads requests from stdin and answers on stdout, until stdin ends.
    Its tools are search, similar, facets, image and info. They only read, and only the library.
    The resident process answers; it starts with the first request.

    \b
    searchapp mcp --library ~/pictures-library
    """
    folder = resolve_library_folder(library)
    require_library(folder)
    if not can_be_resident(folder):
        raise SearchAppError(
            f"the MCP server cannot start: it needs the resident process, which works on Linux and "
            f"macOS only, and must be able to write to {folder}. Check the permissions."
        )
    try:
        from searchapp.server.mcp_tools.tools import make_server, serve_stdio
    except ImportError as error:
        extra = "mcp" if (error.name or "").startswith(("mcp", "anyio")) else "server"
        raise SearchAppError(
            f"the MCP server cannot start: a package is missing ({error}). "
            f"Install it: {install_hint(extra)}"
        ) from error
    from searchapp.server.mcp_tools.library_requests import LibraryRequests

    requests = LibraryRequests(ResidentConfig(folder, keep_alive, engine, api_key))
    serve_stdio(make_server(requests))
