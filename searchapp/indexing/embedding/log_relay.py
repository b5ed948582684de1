"""Relay the log records of engine processes to the process that runs the index command."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable

PACKAGE = "searchapp"

# Logger's name, level, text with its traceback, time by time.time.
LogEntry = tuple[str, int, str, float]


class LogBuffer(logging.Handler):
    """Collects log records until the worker sends its next message.

    Only the main thread writes to the parent. A reader thread can be abandoned at any moment, and
    would leave half a record in the stream. What a killed process has not sent is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[LogEntry] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record as text; the oldest of more than 1000 records is dropped."""
        self._entries.append((record.name, record.levelno, self.format(record), record.created))

    def take_entries(self) -> list[LogEntry]:
        """Return the records collected since the last call, oldest first."""
        return [self._entries.popleft() for _ in range(len(self._entries))]


def get_log_level() -> int:
    """Return the level from which this process shows searchapp's records."""
    return logging.getLogger(PACKAGE).getEffectiveLevel()


def start_collecting(level: int) -> LogBuffer:
    """Collect searchapp's records of a level or above in this process, and print none."""
    buffer, package_logger = LogBuffer(), logging.getLogger(PACKAGE)
    package_logger.handlers = [buffer]
    package_logger.setLevel(level)
    package_logger.propagate = False
    return buffer


def relay_entries(entries: Iterable[LogEntry], source: str) -> None:
    """Log another process's records in this one. source: name of the process, put in front."""
    for name, level, text, created in entries:
        logger = logging.getLogger(name)
        if logger.isEnabledFor(level):
            record = logger.makeRecord(name, level, source, 0, "%s: %s", (source, text), None)
            record.created = created
            logger.handle(record)
