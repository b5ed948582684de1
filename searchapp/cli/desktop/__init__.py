"""`searchapp desktop`: one module for each command about the desktop."""

from __future__ import annotations

import click

from searchapp.cli.lazy_group import LazyGroup

COMMANDS = {
    "install": "Add searchapp to the menu and the file managers.",
    "uninstall": "Remove what `searchapp desktop install` added.",
    "similar": "Show pictures similar to a file in the browser.",
}


@click.group(cls=LazyGroup, package="searchapp.cli.desktop", commands=COMMANDS)
def command() -> None:
    """Add searchapp to the menu and the file managers of the desktop, on Linux.

    Only files in your own folders are written, and `searchapp desktop uninstall` removes them.
    """
