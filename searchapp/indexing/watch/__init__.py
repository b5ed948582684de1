"""Watch folders, and index their changes into a library."""

from __future__ import annotations

from searchapp.indexing.watch.changes import ChangeNotifier
from searchapp.indexing.watch.events import (
    BatchPostponed,
    ChangesIndexed,
    FolderAvailableAgain,
    FolderUnavailable,
    LinksOutdated,
    LinksUpdated,
    PollingStarted,
    WatchEvent,
)
from searchapp.indexing.watch.loop import WatchSession

__all__ = [
    "BatchPostponed",
    "ChangeNotifier",
    "ChangesIndexed",
    "FolderAvailableAgain",
    "FolderUnavailable",
    "LinksOutdated",
    "LinksUpdated",
    "PollingStarted",
    "WatchEvent",
    "WatchSession",
]
