"""Engines that die, hang or refuse to start in worker processes.

A worker imports this module when it starts, so that it imports little.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from searchapp.errors import ModelError
from searchapp.models import ModelSpec
from support.fake_engine import FakeEngine

DEADLY = (7, 7, 7)  # the color of a picture that ends or stops the process


class MortalEngine(FakeEngine):
    """Ends its process on a deadly picture."""

    def prepare(self, item):  # type: ignore[no-untyped-def]
        if item.image is not None and item.image.getpixel((0, 0)) == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return item


class HangingEngine(FakeEngine):
    """Hangs on a deadly picture, and leaves a file with its process's number as its name."""

    def __init__(self, spec: ModelSpec, folder: str) -> None:
        super().__init__(spec)
        self.folder = Path(folder)

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        if any(item.image is not None and item.image.getpixel((0, 0)) == DEADLY for item in inputs):
            (self.folder / str(os.getpid())).touch()
            time.sleep(3600)
        return super().embed(inputs)


class NeverReadyEngine(FakeEngine):
    """Hangs when it starts."""

    def __init__(self, spec: ModelSpec) -> None:
        time.sleep(3600)


class StillbornEngine(FakeEngine):
    """Ends its process when it starts."""

    def __init__(self, spec: ModelSpec) -> None:
        os._exit(3)


class StillbornInSomePlaces(FakeEngine):
    """Ends its process when it starts, if STILLBORN is set."""

    def __init__(self, spec: ModelSpec) -> None:
        if os.environ.get("STILLBORN"):
            os._exit(3)
        super().__init__(spec)


class MortalInSomePlaces(FakeEngine):
    """Ends its process if MORTAL is set and a file exists; then it does not start again."""

    def __init__(self, spec: ModelSpec, may_die: str) -> None:
        super().__init__(spec)
        self._may_die = Path(may_die)
        self._check_death()

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        self._check_death()
        return super().embed(inputs)

    def _check_death(self) -> None:
        if os.environ.get("MORTAL") and self._may_die.exists():
            os._exit(3)


class RefusingEngine(FakeEngine):
    """Raises an error when it starts."""

    def __init__(self, spec: ModelSpec) -> None:
        raise ModelError("no such model here")


class RefusingInSomePlaces(FakeEngine):
    """Raises an error when it starts, if REFUSES is set."""

    def __init__(self, spec: ModelSpec) -> None:
        if os.environ.get("REFUSES"):
            raise ModelError("no memory for another engine")
        super().__init__(spec)


class SlowStart(FakeEngine):
    """Starts after START_SECONDS."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        time.sleep(float(os.environ["START_SECONDS"]))


class TalkingEngine(FakeEngine):
    """Logs a decision when it starts, and a detail."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        logging.getLogger("searchapp.engines.local").info("Started with %d cores", 3)
        logging.getLogger("searchapp.engines.local").debug("a detail")


class SlowEngine(FakeEngine):
    """Takes a fixed time for every picture."""

    SECONDS = 0.02

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        time.sleep(self.SECONDS * len(inputs))
        return super().embed(inputs)


class MortalOnEmbed(FakeEngine):
    """Ends its process when it embeds a deadly picture."""

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        if any(item.image is not None and item.image.getpixel((0, 0)) == DEADLY for item in inputs):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(inputs)


class MeetingEngine(FakeEngine):
    """Embeds nothing until `engine_count` processes have a batch at the same time.

    Each process leaves a marker in a folder when it gets its first batch.
    """

    TIMEOUT_S = 300

    def __init__(self, spec: ModelSpec, folder: str, engine_count: int) -> None:
        super().__init__(spec)
        self._folder, self._engine_count = Path(folder), engine_count

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        (self._folder / str(os.getpid())).touch()
        deadline = time.monotonic() + self.TIMEOUT_S
        while (count := len(list(self._folder.iterdir()))) < self._engine_count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {count} engines have a batch at the same time")
            time.sleep(0.02)
        return super().embed(inputs)
