"""Keep a library in step with folders while they change."""

from __future__ import annotations

from searchapp.indexing.watch.changes import Watcher
from searchapp.indexing.watch.loop import Away, Back, Batch, Polling, Waiting, Watch, WatchEvent

__all__ = ["Away", "Back", "Batch", "Polling", "Waiting", "Watch", "WatchEvent", "Watcher"]
