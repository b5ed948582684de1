"""Relay the log records of engine processes to the process that runs the index command."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable

PACKAGE = "searchapp"

# Logger's name, level, text with its traceback, time by time.time, process id.
LogEntry = tuple[str, int, str, float, int]


class LogBuffer(logging.Handler):
    """Logging handler of a worker: keeps log records until the worker's next message.

    Only the worker's main thread writes to the parent process: a reader thread can be abandoned
    while it writes half a record. Records that a killed worker has not sent are lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[LogEntry] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        """Store a log record as text; if 1000 records are stored, drop the oldest one."""
        self._entries.append(
            (record.name, record.levelno, self.format(record), record.created, os.getpid())
        )

    def take_entries(self) -> list[LogEntry]:
        """Return the log entries collected since the last call, oldest first."""
        return [self._entries.popleft() for _ in range(len(self._entries))]


def get_log_level() -> int:
    """Return the lowest level of searchapp's log records that this process shows."""
    return logging.getLogger(PACKAGE).getEffectiveLevel()


def start_collecting(level: int) -> LogBuffer:
    """Collect searchapp's log records of a level or higher in a LogBuffer; print no record."""
    buffer, package_logger = LogBuffer(), logging.getLogger(PACKAGE)
    package_logger.handlers = [buffer]
    package_logger.setLevel(level)
    package_logger.propagate = False
    return buffer


def relay_entries(entries: Iterable[LogEntry], source: str) -> None:
    """Log the entries of another process in this process.

    source: name of the other process, written before each text.
    """
    for name, level, text, created, process_id in entries:
        logger = logging.getLogger(name)
        if logger.isEnabledFor(level):
            record = logger.makeRecord(name, level, source, 0, "%s: %s", (source, text), None)
            record.created, record.process = created, process_id
            logger.handle(record)
