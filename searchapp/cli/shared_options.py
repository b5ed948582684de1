"""Options that several commands share, and how values are printed."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from searchapp.cli import shell_completion
from searchapp.files.display_path import display_path
from searchapp.types import AUTO_MIN_SCORE, MAX_MEGAPIXELS, ModelOptions

Function = TypeVar("Function", bound=Callable[..., Any])


EXAMPLES_PATTERN = re.compile(r"\n*\x08\n((?:[ ]*(?:searchapp|eval|source) .*(?:\n|$))+)")


class AppCommand(click.Command):
    """A command whose every option can be set by SEARCHAPP_ and its name.

    The examples in its help come last, under a heading of their own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Name the variables, and take the examples."""
        super().__init__(*args, **kwargs)
        found = EXAMPLES_PATTERN.search(self.help or "")
        self.examples = found[1].strip().splitlines() if found else []
        if found:
            self.help = f"{found.string[: found.start()]}\n\n{found.string[found.end() :]}".strip()
        for option in self.params:
            if isinstance(option, click.Option) and option.name:
                option.envvar = f"SEARCHAPP_{option.name.upper()}"

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            formatter.write("\nExamples:\n")
            for line in self.examples:
                formatter.write(f"  {line.strip()}\n")
        super().format_epilog(ctx, formatter)


def can_redraw() -> bool:
    """Tell whether stderr is a terminal on which a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


library_option = click.option(
    "--library",
    type=click.Path(path_type=Path, file_okay=True),
    metavar="DIR",
    help="The library's folder; by default one in your data folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
model_option = click.option(
    "--model",
    shell_complete=shell_completion.complete_models,
    metavar="NAME|FOLDER",
    help="A model's name (see `searchapp models`) or a Hugging Face folder on disk.",
)
trust_option = click.option(
    "--trust-remote-code", is_flag=True, help="Let code of the model's repository run."
)
truncate_option = click.option(
    "--truncate", is_flag=True, help="Cut a text that is too long for the model."
)
engine_option = click.option(
    "--engine",
    metavar="URL",
    help="Embed on a vLLM server (vllm serve MODEL --runner pooling) instead of here.",
)
api_key_option = click.option("--api-key", metavar="KEY", help="The key that server asks for.")
vectors_option = click.option(
    "--vectors",
    metavar="faiss|milvus:URL|milvus:FILE.db",
    help="Keep the vectors in a FAISS file, or in Milvus; remembered. See `searchapp move --help`.",
)
keep_alive_option = click.option(
    "--keep-alive",
    type=click.FloatRange(min=0, min_open=True),
    default=15.0,
    show_default=True,
    metavar="MINUTES",
    help="How long the resident process stays with nothing to do.",
)
collection_option = click.option(
    "--collection", metavar="NAME", shell_complete=shell_completion.complete_collections,
    help="A collection; by default the one indexed last.",
)  # fmt: skip
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Show what vLLM and the libraries below it print."
)


include_option = click.option(
    "--include", multiple=True, metavar="GLOB", help="Only such files: '*.jpg'. May be repeated."
)
exclude_option = click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="No such files or folders: 'Screenshots/'. May be repeated.",
)
megapixels_option = click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=MAX_MEGAPIXELS,
    show_default=True,
    metavar="N",
    help="Leave out larger pictures.",
)


def model_options(function: Function) -> Function:
    """Add --model and what can be chosen about a model; taken() reads them back."""
    for option in reversed(
        (
            model_option,
            click.option(
                "--dimensions",
                type=click.IntRange(min=1),
                metavar="N",
                help="Keep the first N dimensions, where the model allows it.",
            ),
            click.option(
                "--instruction", metavar="TEXT", help="What the model is told to represent."
            ),
            click.option(
                "--max-pixels",
                type=click.IntRange(min=1),
                metavar="N",
                help="Show the model at most N pixels of a picture (Qwen3-VL).",
            ),
            click.option(
                "--num-crops",
                type=click.IntRange(min=1),
                metavar="N",
                help="Show the model a picture in up to N crops (VLM2Vec).",
            ),
            trust_option,
        )
    ):
        function = option(function)
    return function


def pop_model_options(arguments: dict[str, Any]) -> ModelOptions:
    """Return the options of a model among a command's arguments, and take them out."""
    return ModelOptions(**{field.name: arguments.pop(field.name) for field in fields(ModelOptions)})


def parse_min_score(
    context: click.Context, option: click.Parameter, value: str | None
) -> float | Literal["auto"] | None:
    """Read the least score: a number, or auto."""
    if value is None or value == AUTO_MIN_SCORE:
        return AUTO_MIN_SCORE if value else None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter("a score is a number such as 0.3, or auto")
    return number


def print_json(value: Any) -> None:
    """Print one JSON document, two spaces a level, in ASCII: any file name survives it."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_path(path: str, end: bytes) -> None:
    """Print a path byte by byte as the system has it."""
    click.echo(os.fsencode(path) + end, nl=False)


def printable(path: str) -> str:
    """Return a path as it can be shown on a terminal: no line breaks, no broken characters."""
    return display_path(path)


def print_note(message: str) -> None:
    """Tell something on stderr that is no data."""
    click.echo(message, err=True)
