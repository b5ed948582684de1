"""Follow whether a process answers requests, so that it stops when it is idle."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Activity:
    """The requests that a process answers now, and how long it has had none."""

    def __init__(self) -> None:
        """Begin with no request; the process never stops when idle."""
        self.started_at = self.last_used_at = time.monotonic()
        self.active_requests = 0
        self.keep_alive_min: float | None = None  # idle minutes before the stop; None: never

    @property
    def idle_s(self) -> float:
        """Return the seconds since the end of the last request, or since the start; 0 in one."""
        return 0.0 if self.active_requests else time.monotonic() - self.last_used_at

    def set_keep_alive(self, minutes: float | None) -> None:
        """Stop after other idle minutes, as a command asks; `serve` never stops when idle."""
        if minutes is not None and self.keep_alive_min is not None:
            self.keep_alive_min = minutes

    @contextmanager
    def track_request(self) -> Iterator[None]:
        """Count a request as active while the block runs, so that the process does not stop."""
        self.active_requests += 1
        try:
            yield
        finally:
            self.active_requests -= 1
            self.last_used_at = time.monotonic()
