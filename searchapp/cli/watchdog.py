"""End a run that hangs: nothing stops a call into an engine of this process that never returns."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from searchapp.types import IndexEvent, Progress

HANG_TIMEOUT_S = (
    3600.0  # that a run may say nothing between two batches; a large model on a CPU is slow
)


def exit_on_hang(events: Iterable[IndexEvent]) -> Iterator[IndexEvent]:
    """Yield a run's events; end the process where the next batch does not come.

    The time until the first batch does not count, as a model may be downloaded, nor does what
    follows the last. What was embedded is saved by then: a batch is told when it is written.
    """
    last_progress_at: float | None = None  # None: nothing is waited for
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(min(1.0, HANG_TIMEOUT_S / 4)):
            since = last_progress_at
            if since is not None and time.monotonic() - since > HANG_TIMEOUT_S:
                print(
                    f"searchapp: the engine has said nothing for {HANG_TIMEOUT_S:.0f} s; what was "
                    "embedded is saved, the same command goes on from here",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
                os._exit(1)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        for event in events:
            if isinstance(event, Progress):
                last_progress_at = time.monotonic() if event.done < event.total else None
            elif last_progress_at is not None:
                last_progress_at = time.monotonic()
            yield event
    finally:
        finished.set()
