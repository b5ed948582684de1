"""`searchapp completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from searchapp.cli.shared_options import AppCommand


@click.command(cls=AppCommand)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands, options, models and collections in a shell.

    Add the script to the file that the shell reads when it starts: ~/.bashrc (bash 4.4 or newer),
    ~/.zshrc after compinit, or ~/.config/fish/completions/searchapp.fish.

    \b
    searchapp completion bash >> ~/.bashrc
    searchapp completion zsh >> ~/.zshrc
    searchapp completion fish > ~/.config/fish/completions/searchapp.fish
    """
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    completion = completion_class(click.Group(), {}, "searchapp", "_SEARCHAPP_COMPLETE")
    click.echo(completion.source_template % completion.source_vars())
