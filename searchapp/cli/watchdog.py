"""End the process if its engine hangs: Python cannot interrupt a call that never returns."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from searchapp.types import IndexEvent, Progress

HANG_TIMEOUT_S = 3600.0  # Between two batches: a large model on a CPU needs minutes for one.


def exit_on_hang(events: Iterable[IndexEvent]) -> Iterator[IndexEvent]:
    """Yield the events of an index run; end the process if none arrives for HANG_TIMEOUT_S.

    The time before the first batch does not count, because a model may be downloaded in that time.
    The time after the last batch does not count either. Finished work is not lost: each batch is
    saved before its event.
    """
    last_progress_at: float | None = None  # None: no batch is expected.
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(min(1.0, HANG_TIMEOUT_S / 4)):
            since = last_progress_at
            if since is not None and time.monotonic() - since > HANG_TIMEOUT_S:
                print(
                    "searchapp: stopped, because the engine finished no picture for "
                    f"{HANG_TIMEOUT_S:.0f} s. Finished work is saved; run the same command again "
                    "to continue.",
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
