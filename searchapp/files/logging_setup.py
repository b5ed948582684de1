"""Set up logging for a process: what stderr shows, and what a log file gets."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from searchapp.errors import SearchAppError
from searchapp.files.display_path import display_path

LOGGER = logging.getLogger("searchapp")
VERBOSE_VARIABLE, FILE_VARIABLE = "SEARCHAPP_VERBOSE", "SEARCHAPP_LOG_FILE"
SHORT_FORMAT = "%(levelname)s %(name)s: %(message)s"
LONG_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"


class OneLineFormatter(logging.Formatter):
    """Formats a record as one line, whatever a file name in it contains; tracebacks follow."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line and its traceback, with control characters as escapes."""
        return "\n".join(map(display_path, super().format(record).split("\n")))

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line, with line breaks and control characters as escapes."""
        return display_path(super().formatMessage(record))


class StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Log handler that keeps the original stderr: a running engine redirects file descriptor 2."""

    def __init__(self, format: str) -> None:
        """Duplicate the file descriptor of stderr; if it has none, write to sys.stderr itself."""
        try:
            descriptor = os.dup(sys.stderr.fileno())
        except (OSError, ValueError):
            super().__init__(sys.stderr)
            self._owns_stream = False
        else:
            super().__init__(
                os.fdopen(descriptor, "w", encoding=sys.stderr.encoding, errors="backslashreplace")
            )
            self._owns_stream = True
        self.setFormatter(OneLineFormatter(format))

    def close_stream(self) -> None:
        """Close the handler and its duplicated file descriptor.

        close() must not close the descriptor: vLLM and uvicorn call logging.config.dictConfig,
        which closes the handlers of all loggers, although the loggers still use them.
        """
        self.close()
        if self._owns_stream:
            self.stream.close()


@contextmanager
def set_up_logging(
    verbosity: int, log_file: Path | None, make_stderr_handler: Callable[[], StderrHandler]
) -> Iterator[None]:
    """Send the records of searchapp to stderr and to a file while the block runs.

    verbosity: 0 shows nothing on stderr, 1 decisions (INFO), 2 everything (DEBUG). The file gets
    everything. Processes that the block starts find verbosity and log_file in their
    environment.
    Libraries below searchapp stay silent: at DEBUG they log headers and URLs with secrets.
    Raises SearchAppError if the file cannot be opened.
    """
    handlers: list[logging.Handler] = []
    variables: dict[str, str] = {}
    if log_file is not None:
        handlers.append(_open_log_file(log_file))
        variables[FILE_VARIABLE] = str(log_file.absolute())
    if verbosity:
        stderr_handler = make_stderr_handler()
        stderr_handler.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
        handlers.append(stderr_handler)
        variables[VERBOSE_VARIABLE] = str(verbosity)
    level_before, environment_before = LOGGER.level, os.environ.copy()
    if handlers:
        LOGGER.setLevel(min(handler.level for handler in handlers))
    for handler in handlers:
        LOGGER.addHandler(handler)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name)
            if name in environment_before:
                os.environ[name] = environment_before[name]
        LOGGER.setLevel(level_before)
        for handler in handlers:
            LOGGER.removeHandler(handler)
            handler.close()
        if verbosity:
            stderr_handler.close_stream()


def _open_log_file(file: Path) -> logging.FileHandler:
    """Open a log file; several processes append to it, each record in one write."""
    try:
        handler = logging.FileHandler(file, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SearchAppError(
            f"cannot write the log file {file} "
            f"({error.strerror or error}); choose another --log-file"
        ) from error
    handler.setLevel(logging.DEBUG)
    handler.setFormatter(OneLineFormatter(LONG_FORMAT))
    return handler
