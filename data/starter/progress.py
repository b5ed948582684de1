"""Log progress, watch the time budget of a command, and save files that are never half written."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

STARTED_AT = time.monotonic()


def log_progress(*words: object) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED_AT:.0f}]", *words, flush=True)


class TimeBudget:
    """The time that a command may take, from the start of the process."""

    def __init__(self, minutes: float) -> None:
        self._end = STARTED_AT + 60 * minutes

    def has_time(self, seconds: float = 0) -> bool:
        """Return whether so many seconds are left."""
        return time.monotonic() + seconds < self._end


def save_atomically(content: Any, file: Path) -> None:
    """Save with torch under another name first, so that no file is ever half written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(file)
