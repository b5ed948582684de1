"""Define the options -v and --log-file; shell completion imports this module, but no logging."""

from __future__ import annotations

from pathlib import Path

import click

VERBOSITY_KEY, FILE_KEY = "searchapp.verbosity", "searchapp.log_file"  # in click.Context.meta
LOG_OPTION_NAMES = frozenset({"verbose", "log_file"})


def make_log_options() -> list[click.Option]:
    """Return the options -v and --log-file, which every command and the main program have."""
    return [
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_store_verbosity,
            help="Show decisions on stderr; -vv shows all details, and the output of vLLM.",
        ),
        click.Option(
            ["--log-file"],
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            expose_value=False,
            callback=_store_log_file,
            help="Append all details to FILE, with times and process ids.",
        ),
    ]


def _store_verbosity(context: click.Context, option: click.Parameter, value: int) -> None:
    """Store how many options -v there are, before and after the command."""
    before = context.meta.get(VERBOSITY_KEY, 0)
    if before and not _is_on_command_line(context, option):
        value = 0  # The environment variable applies only without the option.
    context.meta[VERBOSITY_KEY] = before + value


def _store_log_file(context: click.Context, option: click.Parameter, value: Path | None) -> None:
    """Store the log file: the option after the command, before it, or the variable."""
    if _is_on_command_line(context, option) or context.meta.get(FILE_KEY) is None:
        context.meta[FILE_KEY] = value


def _is_on_command_line(context: click.Context, option: click.Parameter) -> bool:
    source = context.get_parameter_source(option.name or "")
    return source is click.core.ParameterSource.COMMANDLINE
