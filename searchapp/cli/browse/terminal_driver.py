"""Let Textual draw on the terminal while stdout is a pipe: `searchapp browse | xargs ...`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

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
    if sys.__stderr__ is not None and sys.__stderr__.isatty():
        return sys.__stderr__
    try:
        return open("/dev/tty", "w", encoding="utf-8")  # noqa: PTH123
    except OSError as error:
        raise SearchAppError(
            f"browse needs a terminal to draw on: /dev/tty: {error.strerror}. Do not redirect its "
            "standard error."
        ) from error


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
