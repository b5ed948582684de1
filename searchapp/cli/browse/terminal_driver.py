"""Let Textual draw on the terminal while stdout is a pipe: `searchapp browse | xargs ...`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from searchapp.cli.log_output import set_bar_console
from searchapp.errors import SearchAppError

if TYPE_CHECKING:
    from textual.driver import Driver


def open_terminal() -> TextIO:
    """Return a stream that draws on the terminal: stderr, or /dev/tty if stderr is redirected.

    Raises SearchAppError if no terminal is there to draw on, or to read keys from.
    """
    if sys.__stdin__ is None or not sys.__stdin__.isatty():
        raise SearchAppError(
            "browse needs a terminal, and its standard input is none. Run it in a terminal; "
            "`searchapp query` needs none."
        )
    if os.environ.get("TERM") == "dumb":
        raise SearchAppError(
            "browse cannot draw on this terminal, because TERM is dumb. Use another terminal, or "
            "`searchapp query`."
        )
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        # A copy, because stderr itself is redirected while vLLM starts: see capture_output().
        return os.fdopen(os.dup(sys.__stderr__.fileno()), "w", encoding="utf-8")
    try:
        return open("/dev/tty", "w", encoding="utf-8")  # noqa: PTH123
    except OSError as error:
        raise SearchAppError(
            f"browse needs a terminal to draw on: /dev/tty: {error.strerror}. Do not redirect its "
            "standard error."
        ) from error


@contextmanager
def delay_output() -> Iterator[None]:
    """Keep log records and the stderr of C libraries off the screen in the block; show them after.

    At the end, stdout and stderr are those of before: if the user quits while vLLM starts on a
    thread, the thread still hides them.
    """
    from rich.console import Console

    saved_descriptors = [os.dup(1), os.dup(2)]
    with (
        tempfile.TemporaryFile() as delayed,
        os.fdopen(os.dup(delayed.fileno()), "w", encoding="utf-8") as notes,
    ):
        os.dup2(delayed.fileno(), 2)
        set_bar_console(Console(file=notes, width=1_000_000))  # It breaks no line.
        try:
            yield
        finally:
            set_bar_console(None)
            notes.flush()
            for number, saved in enumerate(saved_descriptors, start=1):
                os.dup2(saved, number)
                os.close(saved)
            delayed.seek(0)
            with open(2, "wb", closefd=False) as stderr:
                shutil.copyfileobj(delayed, stderr)


def make_driver(output: TextIO) -> type[Driver] | None:
    """Return a driver that draws on a terminal; None: Textual's own driver, as on Windows.

    Textual asks stdout for the size of the terminal, and draws on stderr.
    """
    if sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class TerminalDriver(LinuxDriver):
        """Driver that draws on a given stream, in the size of its terminal."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            self._file = output  # type: ignore[assignment]

        def _get_terminal_size(self) -> tuple[int, int]:
            try:
                size = os.get_terminal_size(output.fileno())
            except OSError:
                return super()._get_terminal_size()
            return size.columns or 80, size.lines or 25

    return TerminalDriver
