"""The command line: one module a command, imported when it is called."""

from __future__ import annotations

import os
import sys

import click

from searchapp import __version__
from searchapp.cli.lazy_group import LazyGroup
from searchapp.errors import SearchAppError

COMMANDS = {
    "index": "Embed the pictures of folders that are not embedded yet.",
    "watch": "Index pictures as they come, change and go.",
    "query": "Find pictures by words, by a picture, or by both.",
    "map": "Put the collection on one page, as a map of thumbnails.",
    "duplicates": "Find files that hold the same picture, and say which to keep.",
    "serve": "Serve a web page and a JSON API to search with.",
    "stop": "End the process that queries have left in the background.",
    "embed": "Print the embedding of a text, a picture, or both.",
    "eval": "Measure how well a model finds pictures by captions.",
    "info": "Show what the library holds.",
    "models": "List the models there are.",
    "failures": "List the files that could not be used, and why.",
    "check": "Check the library against itself and the disk; mend it.",
    "prune": "Remove what belongs to pictures that are gone.",
    "backup": "Copy the catalogue to a file.",
    "move": "Keep vectors elsewhere: in a FAISS file, or in Milvus.",
    "export": "Write embeddings and what is known of the images.",
    "import": "Read what export has written into a library.",
    "docs": "Show the documentation, topic by topic.",
    "completion": "Print what makes a shell complete commands and options.",
    "bench": "Measure this machine: how fast it embeds, indexes and searches.",
}

# The topic of `searchapp docs` that describes each command.
TOPICS = {
    "index": "indexing",
    "watch": "watch",
    "query": "asking",
    "map": "asking",
    "duplicates": "duplicates",
    "serve": "web",
    "stop": "asking",
    "embed": "asking",
    "eval": "models",
    "info": "library",
    "models": "models",
    "failures": "indexing",
    "check": "library",
    "prune": "library",
    "backup": "library",
    "move": "milvus",
    "export": "library",
    "import": "library",
    "docs": "install",
    "completion": "install",
    "bench": "measurements",
}


class DocumentedGroup(LazyGroup):
    """A group of commands whose help names a topic of the documentation."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command, and add its topic to its help."""
        command = super().get_command(context, name)
        if command is not None:
            hint = f"More: `searchapp docs {TOPICS[name]}`."
            text = command.help or ""
            command.help = text if text.endswith(hint) else f"{text}\n\n{hint}"
        return command


@click.group(
    cls=DocumentedGroup,
    package="searchapp.cli",
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", prog_name="searchapp")
def cli() -> None:
    """Find pictures in your folders by words, by a picture, or by both.

    \b
    searchapp index ~/Pictures
    searchapp query "a red boat at sunset"

    The first command embeds the pictures (a GPU helps); the second finds the nearest. Each command
    has its own --help. Every option can also be set by a variable: --library by SEARCHAPP_LIBRARY,
    and so on. What is asked for goes to the standard output, all else to the standard error.
    `searchapp docs` shows the documentation.

    Exit status: 0 when done, 1 after an error that was stated, 2 when the command was wrong, 130
    after Ctrl-C.
    """


def main() -> None:
    """Run the command line; every stated error becomes one message and an exit code."""
    try:
        code = _run_command()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone: nothing is left to say
        code = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # Torch's own end takes seconds, Ray's threads may crash in it; neither has anything to save.
    if sys.modules.keys() & {"torch", "ray"}:
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run_command() -> int:
    try:
        result = cli.main(prog_name="searchapp", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SearchAppError as error:
        click.echo(f"searchapp: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("searchapp: interrupted", err=True)
        return 130
