"""Keep a library in step with folders while they change."""

from __future__ import annotations

from searchapp.indexing.watch.changes import ChangeNotifier
from searchapp.indexing.watch.loop import (
    Away,
    Back,
    Batch,
    Polling,
    Waiting,
    WatchEvent,
    WatchSession,
)

__all__ = [
    "Away",
    "Back",
    "Batch",
    "ChangeNotifier",
    "Polling",
    "Waiting",
    "WatchEvent",
    "WatchSession",
]
