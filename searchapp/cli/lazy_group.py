"""Import a command only when it runs, so that `--help` stays fast."""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword
from typing import Any

import click
from click.shell_completion import CompletionItem


def _module_name(name: str) -> str:
    return f"{name}_" if iskeyword(name) else name


class LazyGroup(click.Group):
    """Group of commands; each command is the function `command` in a module of one package."""

    def __init__(self, *args: Any, package: str, commands: dict[str, str], **kwargs: Any) -> None:
        """Store the package of the command modules. commands: the help line of each command."""
        super().__init__(*args, **kwargs)
        self._package, self._descriptions = package, commands

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the commands, in the order in which --help lists them."""
        return list(self._descriptions)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command and return it; return None if its name is unknown."""
        if name not in self._descriptions:
            return None
        command: click.Command = import_module(f"{self._package}.{_module_name(name)}").command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; suggest similar names if it is unknown."""
        name = args[0]
        if name not in self._descriptions and not context.resilient_parsing:
            from difflib import get_close_matches

            if similar := get_close_matches(name, self._descriptions, n=2):
                names = " or ".join(f"'{each}'" for each in similar)
                context.fail(f"No such command '{name}'. Did you mean {names}?")
        return super().resolve_command(context, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the completions of a command name, without importing any command."""
        commands = [
            CompletionItem(name, help=description)
            for name, description in self._descriptions.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands into the help text, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._descriptions.items()))
