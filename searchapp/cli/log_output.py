"""Write notes and log records to stderr, above a progress bar if one is drawn."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

import click

from searchapp import __version__
from searchapp.cli.log_options import FILE_KEY, VERBOSITY_KEY
from searchapp.errors import SearchAppError
from searchapp.files.display_path import display_path
from searchapp.files.logging_setup import SHORT_FORMAT, StderrHandler, set_up_logging

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)

_bar_console: Console | None = None


def print_line(text: str = "") -> None:
    """Print a line of a result on stdout; control characters of names in it become escapes."""
    click.echo(display_path(text))


def print_note(message: str) -> None:
    """Print a line for people on stderr; control characters of names in it become escapes."""
    _print_to_stderr(display_path(message))


def print_failure(error: BaseException) -> int:
    """Print on stderr why a command failed; return its exit code.

    Only some errors have several lines: click adds usage lines, and errors of vLLM quote its log.
    """
    if isinstance(error, click.ClickException):
        text = StringIO()
        error.show(text)
        for line in text.getvalue().splitlines():
            print_note(line.expandtabs(4))
        return error.exit_code
    if not isinstance(error, SearchAppError):
        print_note("searchapp: interrupted")
        return 130
    # The further lines of a message are indented. Any other line end is a part of a name.
    for number, line in enumerate(str(error).split("\n  ")):
        print_note(f"  {line}" if number else f"searchapp: {line}")
    return error.exit_code


def _print_to_stderr(text: str) -> None:
    if _bar_console is None:
        click.echo(text, err=True)
    else:
        _bar_console.print(text, markup=False, emoji=False)


def set_bar_console(console: Console | None) -> None:
    """Set the console that draws a progress bar, so that notes appear above the bar.

    None: no bar is drawn.
    """
    global _bar_console
    _bar_console = console


class _NoteHandler(StderrHandler):
    """Log handler that writes to stderr, above the progress bar if one is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        if _bar_console is None:
            super().emit(record)
        else:
            _print_to_stderr(self.format(record))


def is_engine_output_shown() -> bool:
    """Return whether the running command shows what vLLM prints: with -vv."""
    return bool(click.get_current_context().meta.get(VERBOSITY_KEY, 0) >= 2)


@contextmanager
def log_command(context: click.Context) -> Iterator[None]:
    """Set up logging by a command's options -v and --log-file while the block runs.

    An error of the block is logged at DEBUG, with its traceback.
    """
    verbosity, file = context.meta.get(VERBOSITY_KEY, 0), context.meta.get(FILE_KEY)
    with set_up_logging(verbosity, file, partial(_NoteHandler, SHORT_FORMAT)):
        # The arguments are not logged: they may hold a key, a token or a query.
        logger.debug(
            "Running `%s`: searchapp %s, Python %s, %s",
            context.command_path, __version__, platform.python_version(), platform.platform(),
        )  # fmt: skip
        try:
            yield
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            logger.debug("The command `%s` failed", context.command_path, exc_info=True)
            raise
