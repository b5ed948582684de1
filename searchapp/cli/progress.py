"""Draw the events of a run: a bar on a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from searchapp.cli.options import shown
from searchapp.types import (
    Comparing,
    EngineStarting,
    Event,
    Failed,
    Finished,
    Found,
    IndexMaking,
    Kept,
    Progress,
    RunSummary,
    Scanned,
)

SECONDS_BETWEEN_LINES = 5.0
Shown = TypeVar("Shown", bound=Event | Comparing | Found)


def follow(events: Iterable[Event]) -> RunSummary:
    """Draw events on stderr until the run is finished; return its summary."""
    summary = RunSummary()
    for event in watching(events, "indexing"):
        if isinstance(event, Finished):
            summary = event.summary
    return summary


def watching(events: Iterable[Shown], label: str) -> Iterator[Shown]:
    """Draw events on stderr, and yield each; label: what goes on."""
    display = BarDisplay(label) if sys.stderr.isatty() else LineDisplay()
    with display:
        for event in events:
            display.show(event)
            yield event


def told(event: Event | Comparing | Found) -> str | None:
    """Put an event in a line; None where there is nothing to say but progress."""
    match event:
        case Scanned(files=files, work=work, failed_before=failed):
            line = f"{files:,} picture files, {work:,} to read"
            if failed:
                line += (
                    f"; {failed:,} left alone that failed before and have not changed "
                    "(--retry-failed tries again)"
                )
            return line
        case EngineStarting(model=model):
            return f"starting vLLM with {shown(Path(model).name)} ..."
        case IndexMaking(vectors=vectors, kind=kind):
            return f"making the index {kind} of {vectors:,} vectors ..."
        case Kept(root=root, lost=lost, known=known):
            return (
                f"{lost:,} of {known:,} files below {shown(root)} are gone: kept, in case a drive "
                "is not mounted; --prune forgets them"
            )
        case Comparing(images=images):
            return f"comparing {images:,} pictures ..."
        case Failed(failure=failure):
            return f"left out {shown(failure.path)}: {failure.message}"
    return None


class BarDisplay:
    """A bar for people."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._started:
            self._bar.stop()

    def show(self, event: Event | Comparing | Found) -> None:
        """Draw an event. The bar begins after the engine's start, which hides all output."""
        line = told(event)
        if line is not None:
            self._console.print(line, markup=False)
        if isinstance(event, Progress):
            if not self._started:
                self._bar.start()
                self._started = True
                self._task = self._bar.add_task(self._label, total=event.total, rate="")
            assert self._task is not None
            rate = f"{event.images_per_second:.1f} images/s" if event.images_per_second else ""
            self._bar.update(self._task, total=event.total, completed=event.done, rate=rate)


class LineDisplay:
    """Plain lines for logs and pipes."""

    def __init__(self) -> None:
        self._told = -SECONDS_BETWEEN_LINES  # the first is told
        self._first: tuple[float, int] | None = None  # when progress was first told, and how far

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event | Comparing | Found) -> None:
        """Print an event; of progress, the first, the last, and one every few seconds."""
        line = told(event)
        if isinstance(event, Progress):
            now = time.monotonic()
            self._first = self._first or (now, event.done)
            if event.done < event.total and now - self._told < SECONDS_BETWEEN_LINES:
                return
            self._told = now
            line = f"{event.done:,}/{event.total:,} done, {event.images_per_second:.1f} images/s"
            begun, before = self._first
            if before < event.done < event.total:
                left = (event.total - event.done) * (now - begun) / (event.done - before)
                line += f", about {left:.0f} s left"
        if line is not None:
            print(line, file=sys.stderr, flush=True)
