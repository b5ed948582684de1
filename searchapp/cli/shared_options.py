"""Options that several commands share, and functions that print results."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import click

from searchapp.cli import shell_completion
from searchapp.cli.log_options import make_log_options
from searchapp.cli.log_output import log_command
from searchapp.types import AUTO_MIN_SCORE, MAX_MEGAPIXELS, ModelOptions, Precision

Function = TypeVar("Function", bound=Callable[..., Any])


EXAMPLES_PATTERN = re.compile(r"\n*\x08\n((?:[ ]*(?:searchapp|eval|source) .*(?:\n|$))+)")


class AppCommand(click.Command):
    """Command with log options; environment variables, such as SEARCHAPP_LIBRARY, set its options.

    The examples in its docstring become a section at the end of its help.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Add the log options, name each option's variable, and take the examples out of help."""
        super().__init__(*args, **kwargs)
        self.params += make_log_options()
        match = EXAMPLES_PATTERN.search(self.help or "")
        self.examples = match[1].strip().splitlines() if match else []
        if match:
            self.help = f"{match.string[: match.start()]}\n\n{match.string[match.end() :]}".strip()
        for option in self.params:
            if isinstance(option, click.Option) and option.name:
                option.envvar = f"SEARCHAPP_{option.name.upper()}"

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with logging set up."""
        with log_command(ctx):
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples of the command, after its options."""
        if self.examples:
            formatter.write("\nExamples:\n")
            for line in self.examples:
                formatter.write(f"  {line.strip()}\n")
        super().format_epilog(ctx, formatter)


def can_redraw() -> bool:
    """Return whether stderr is a terminal that can overwrite a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _use_group_library(
    context: click.Context, option: click.Parameter, value: Path | None
) -> Path | None:
    """Return the value of --library: after the command, before it, or of the variable."""
    before: Path | None = context.find_root().params.get("library")
    source = context.get_parameter_source("library")
    if before is not None and source is not click.core.ParameterSource.COMMANDLINE:
        return before
    return value


library_option = click.option(
    "--library",
    type=click.Path(path_type=Path, file_okay=True),
    metavar="DIR",
    callback=_use_group_library,
    help="Use the library in folder DIR. By default it is in your data folder.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
model_option = click.option(
    "--model",
    shell_complete=shell_completion.complete_models,
    metavar="NAME|FOLDER",
    help="Use this model: a name of `searchapp models`, or a Hugging Face folder on disk.",
)
trust_option = click.option(
    "--trust-remote-code", is_flag=True, help="Allow Python code of the model to run."
)
truncate_option = click.option(
    "--truncate", is_flag=True, help="Cut texts that are too long for the model."
)
engine_option = click.option(
    "--engine",
    metavar="URL",
    help="Embed on a vLLM server, started with `vllm serve MODEL --runner pooling`.",
)
api_key_option = click.option(
    "--api-key", metavar="KEY", help="Send KEY to the vLLM servers of --engine and --reranker."
)
vectors_option = click.option(
    "--vectors",
    metavar="faiss|milvus:URL|milvus:FILE.db",
    help="Keep vectors in a FAISS file or in Milvus, in later runs too.",
)
keep_alive_option = click.option(
    "--keep-alive",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Stop the resident process after MINUTES without requests. A new process has 15.",
)
collection_option = click.option(
    "--collection", metavar="NAME", shell_complete=shell_completion.complete_collections,
    help="Use this collection. By default it is the one that was indexed last.",
)  # fmt: skip
include_option = click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Read only files that match GLOB, such as '*.jpg'. Can be repeated.",
)
exclude_option = click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Ignore files and folders that match GLOB, such as 'Screenshots/'. Can be repeated.",
)
megapixels_option = click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=MAX_MEGAPIXELS,
    show_default=True,
    metavar="N",
    help="Skip pictures larger than N megapixels.",
)


precision_option = click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    help="Compute in 8-bit numbers, which is faster on Ada, Hopper and Blackwell GPUs.",
)


def model_options(function: Function) -> Function:
    """Add the options of ModelOptions to a command; pop_model_options reads them back."""
    for option in reversed(
        (
            model_option,
            click.option(
                "--dimensions",
                type=click.IntRange(min=1),
                metavar="N",
                help="Keep only the first N dimensions of each vector, if the model supports it.",
            ),
            click.option(
                "--instruction",
                metavar="TEXT",
                help="Use TEXT as the instruction in prompts for the model.",
            ),
            click.option(
                "--max-pixels",
                type=click.IntRange(min=1),
                metavar="N",
                help="Reduce pictures to at most N pixels (Qwen-VL models).",
            ),
            click.option(
                "--num-crops",
                type=click.IntRange(min=1),
                metavar="N",
                help="Split a picture into at most N crops (VLM2Vec).",
            ),
            precision_option,
            trust_option,
        )
    ):
        function = option(function)
    return function


def pop_model_options(arguments: dict[str, Any]) -> ModelOptions:
    """Remove the model options from a command's arguments, and return them."""
    return ModelOptions(**{field.name: arguments.pop(field.name) for field in fields(ModelOptions)})


def parse_min_score(
    context: click.Context, option: click.Parameter, value: str | None
) -> float | Literal["auto"] | None:
    """Parse the value of --min-score: a number, "auto" or None."""
    if value is None or value == AUTO_MIN_SCORE:
        return AUTO_MIN_SCORE if value else None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter("a score is a number such as 0.3, or auto")
    return number


RANKING_OPTIONS = (
    click.option(
        "--by", type=click.Choice(["both", "vector", "text"]), default="both", show_default=True,
        help="Search by vectors, by words in names and captions, or by both.",
    ),
    click.option(
        "--min-score", metavar="S|auto", callback=parse_min_score,
        help="Show only hits with a score (cosine) of at least S; with auto only good matches.",
    ),
    click.option(
        "--sort", type=click.Choice(["score", "date"]), default="score", show_default=True,
        help="Show the best hits first, or the newest.",
    ),
)  # fmt: skip


def ranking_options(function: Function) -> Function:
    """Add the options to a command that choose a ranking, and how many of its hits to show."""
    for option in reversed(RANKING_OPTIONS):
        function = option(function)
    return function


def print_json(value: Any) -> None:
    """Print a value as indented JSON in ASCII.

    Other characters are escaped, so file names that are not valid UTF-8 can be printed too.
    """
    click.echo(json.dumps(value, indent=2, default=str))


def print_path(path: str, end: bytes) -> None:
    """Print a path with exactly the bytes that it has in the file system."""
    click.echo(os.fsencode(path) + end, nl=False)
