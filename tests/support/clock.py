"""A clock that tests set, in place of time.monotonic."""

from __future__ import annotations


class Clock:
    """Returns the time that the test has set, in seconds."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s
