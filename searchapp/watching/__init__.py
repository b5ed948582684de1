"""Keep a library in step with folders while they change."""

from __future__ import annotations

from searchapp.watching.changes import Watcher
from searchapp.watching.loop import Away, Back, Batch, Polling, Waiting, Watch, WatchEvent

__all__ = ["Away", "Back", "Batch", "Polling", "Waiting", "Watch", "WatchEvent", "Watcher"]
