"""`searchapp saved`: one module for each command about saved searches."""

from __future__ import annotations

import click

from searchapp.cli.lazy_group import LazyGroup

COMMANDS = {
    "list": "List the saved searches; `searchapp saved` alone does the same.",
    "add": "Save a question and its filters under a name.",
    "show": "Show one saved search.",
    "rename": "Give a saved search another name.",
    "remove": "Remove a saved search, and the links to its hits.",
    "sync": "Bring the folders of links up to date.",
}
DEFAULT_COMMAND = "list"


class _SavedGroup(LazyGroup):
    """Group whose command `list` needs no name: `searchapp saved --json` lists."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; without the name of a command, the command is `list`."""
        is_list = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, [DEFAULT_COMMAND, *args] if is_list else args)


@click.group(cls=_SavedGroup, package="searchapp.cli.saved", commands=COMMANDS)
def command() -> None:
    """Keep searches under names, and run them again.

    A saved search holds a question and its filters. It finds what the library holds when it runs:
    `searchapp query --saved NAME`, or `--saved NAME` with other options to replace saved ones.
    """
