"""Define the commands of the command line; each command is a module, imported when it runs."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import click

from searchapp import __version__
from searchapp.cli.lazy_group import LazyGroup
from searchapp.cli.log_options import make_log_options
from searchapp.cli.standard_streams import (
    discard_output,
    flush_output,
    is_output_error,
    open_closed_streams,
)
from searchapp.errors import SearchAppError

COMMANDS = {
    "index": "Embed the new and changed pictures of folders.",
    "watch": "Index pictures as they arrive, change and disappear.",
    "query": "Find pictures by words, by a picture, or by both.",
    "browse": "Browse and search pictures in the terminal, and print the selected paths.",
    "saved": "Keep searches under names, and run them again.",
    "ocr": "Recognize text in pictures that are indexed already.",
    "tag": "Tag pictures with words that fit, and write the tags into XMP sidecars.",
    "map": "Write a page that shows a collection as a map of thumbnails.",
    "duplicates": "Find files that hold the same picture, and suggest which to keep.",
    "serve": "Serve a web page and a JSON API for searching.",
    "mcp": "Let an AI assistant search the library.",
    "desktop": "Add searchapp to the menu and the file managers of the desktop.",
    "stop": "Stop the resident process that queries start in the background.",
    "embed": "Print the embedding of a text, a picture, or both.",
    "eval": "Measure how well a model finds pictures by their captions.",
    "info": "Show what the library holds.",
    "models": "List the models that searchapp knows by name.",
    "failures": "List the files that could not be indexed, with the reasons.",
    "check": "Check the library for errors, and repair them.",
    "prune": "Remove images that no file holds any more.",
    "backup": "Copy the catalog to a file.",
    "restore": "Replace the catalog with a backup.",
    "move": "Move vectors to a FAISS file or to Milvus.",
    "export": "Write embeddings and metadata to a file.",
    "import": "Read an exported file into a library.",
    "docs": "Show the documentation, topic by topic.",
    "completion": "Print the script that completes commands and options in a shell.",
    "bench": "Measure how fast this machine embeds, indexes and searches.",
}

# The topic of `searchapp docs` that describes each command.
TOPICS = {
    "index": "indexing",
    "watch": "watch",
    "query": "asking",
    "browse": "browse",
    "saved": "asking",
    "ocr": "text",
    "tag": "tags",
    "map": "asking",
    "duplicates": "duplicates",
    "serve": "web",
    "mcp": "integrations",
    "desktop": "integrations",
    "stop": "asking",
    "embed": "asking",
    "eval": "models",
    "info": "library",
    "models": "models",
    "failures": "indexing",
    "check": "library",
    "prune": "library",
    "backup": "library",
    "restore": "library",
    "move": "milvus",
    "export": "library",
    "import": "library",
    "docs": "install",
    "completion": "install",
    "bench": "measurements",
}


class DocumentedGroup(LazyGroup):
    """Group of commands whose help names a topic of the documentation."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command, and name its documentation topic at the end of its help text."""
        command = super().get_command(context, name)
        if command is not None:
            hint = f"More: `searchapp docs {TOPICS[name]}`."
            # click.Command.format_help_text() finds no indentation to remove below the hint.
            text = inspect.cleandoc(command.help or "")
            command.help = text if text.endswith(hint) else f"{text}\n\n{hint}"
        return command


@click.group(
    cls=DocumentedGroup,
    package="searchapp.cli",
    commands=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", prog_name="searchapp")
@click.option(
    "--library",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Use the library in folder DIR.",
)
def cli(library: Path | None) -> None:  # each command reads it from the context
    """Find pictures in your folders by words, by a picture, or by both.

    \b
    searchapp index ~/Pictures
    searchapp query "a red boat at sunset"

    The first command embeds the pictures; a GPU makes it faster. The second command finds the
    nearest pictures. Each command has its own --help. An environment variable can set each option:
    for example, SEARCHAPP_LIBRARY sets --library. Results go to the standard output, notes to the
    standard error. With -v a command also shows its decisions. `searchapp docs` shows the
    documentation. --library, -v and --log-file can also follow the command.

    Exit status: 0 after success, 1 after an error, 2 if the command line is wrong, 130 after
    Ctrl-C.
    """


cli.params += make_log_options()


def main() -> None:
    """Run the command line; a SearchAppError becomes one message and an exit code."""
    open_closed_streams()
    try:
        code = _run_command()
        flush_output()
    except OSError as error:
        is_pipe = isinstance(error, BrokenPipeError)  # The reader, such as `head`, has ended.
        if not is_pipe and not is_output_error(error):
            raise
        code = 1
        discard_output()
        if not is_pipe:
            reason = f"{error.strerror or error}. Check the disk, or print to another place"
            click.echo(f"searchapp: the output cannot be written: {reason}", err=True)
    # At exit, torch needs seconds and Ray's threads may crash; neither has anything to save.
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
    except (click.ClickException, SearchAppError, click.Abort, KeyboardInterrupt) as error:
        from searchapp.cli.log_output import print_failure  # Shell completion does not need it.

        return print_failure(error)
