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

from searchapp.cli.shared_options import animated, shown
from searchapp.files.extras import install_hint
from searchapp.types import (
    Comparing,
    Describing,
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
    Uploading,
)

NODES = 8  # of a cluster, that a line tells
SECONDS_BETWEEN_LINES = 5.0
Shown = TypeVar("Shown", bound=Event | Comparing | Found)


def follow(events: Iterable[Event]) -> RunSummary:
    """Draw events on stderr until the run is finished; return its summary."""
    summary = RunSummary()
    for event in watching(events, "indexing"):
        if isinstance(event, Finished):
            summary = event.summary
    return summary


def drawn(events: Iterable[Event]) -> None:
    """Draw events that are no run's on stderr."""
    for _ in watching(events, ""):
        pass


def watching(events: Iterable[Shown], label: str) -> Iterator[Shown]:
    """Draw events on stderr, and yield each; label: what goes on."""
    display = BarDisplay(label) if animated() else LineDisplay()
    with display:
        for event in events:
            display.show(event)
            yield event


def told(event: Event | Comparing | Found) -> str | None:
    """Put an event in a line; None where there is nothing to say but progress."""
    match event:
        case Scanned(files=files, work=work, failed_before=failed, videos_left=videos):
            line = f"{files:,} picture files, {work:,} to read"
            if failed:
                line += (
                    f"; {failed:,} left alone that failed before and have not changed "
                    "(--retry-failed tries again)"
                )
            if videos:
                line += f"; {videos:,} videos left out; to read them: {install_hint('video')}"
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
        case Describing(done=0, total=total, beside=True):
            return f"reading what .xmp files say of {total:,} picture{'s' * (total > 1)} ..."
        case Describing(done=0, total=total):
            return (
                f"reading the metadata of {total:,} picture{'s' * (total > 1)} again, once, since "
                "this version knows more of them; nothing is embedded ..."
            )
        case Comparing(images=images):
            return f"comparing {images:,} pictures ..."
        case Failed(failure=failure):
            return f"left out {shown(failure.path)}: {failure.message}"
    return None


def summed_up(summary: RunSummary) -> str:
    """Put what a run did in a line."""
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (summary.added, "added"),
            (summary.unchanged, "unchanged"),
            (summary.moved, "moved"),
            (summary.removed, "removed"),
            (summary.described, "described again"),
            (summary.kept, "gone but kept"),
            (summary.failed, "left out (see `searchapp failures`)"),
        )
        if count
    ]
    speed = f", {summary.images_per_second:.1f} images/s" if summary.images_per_second else ""
    return f"{', '.join(parts) or 'no pictures'}; {summary.seconds:.1f} s{speed}"


def _rate(event: Progress) -> str:
    rate = f"{event.images_per_second:.1f} images/s"
    if not event.nodes:
        return rate
    nodes = [f"{name} {rate:.1f}" for name, rate in event.nodes.items()]
    rest = f", and {len(nodes) - NODES} more" if len(nodes) > NODES else ""
    return f"{rate} ({', '.join(nodes[:NODES])}{rest})"


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
        self._tasks: dict[str, TaskID] = {}
        self._describing = TaskID(0)
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
        if isinstance(event, Describing):
            self._show_describing(event)
        if isinstance(event, Progress):
            rate = _rate(event) if event.images_per_second else ""
            self._draw(self._label, event.done, event.total, rate)
        if isinstance(event, Uploading):
            self._draw("sending to Milvus", event.done, event.total, "")

    def _draw(self, what: str, done: int, total: int, rate: str) -> None:
        if not self._started:
            self._bar.start()
            self._started = True
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, rate="")
        self._bar.update(self._tasks[what], completed=done, total=total, rate=rate)

    def _show_describing(self, event: Describing) -> None:
        """Draw a bar that goes away when all are read: an engine may start after it."""
        if event.done == 0:
            self._bar.start()
            self._started = True
            self._describing = self._bar.add_task("reading", total=event.total, rate="")
        elif event.done < event.total:
            self._bar.update(self._describing, completed=event.done)
        else:
            self._bar.remove_task(self._describing)
            self._bar.stop()
            self._started = False


class LineDisplay:
    """Plain lines for logs and pipes."""

    def __init__(self) -> None:
        self._told = -SECONDS_BETWEEN_LINES  # the first is told
        self._first: tuple[float, int] | None = None  # when progress was first told, and how far
        self._sent = 0.0  # when it was last told how much was sent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event | Comparing | Found) -> None:
        """Print an event; of progress, the first, the last, and one every few seconds."""
        line = told(event)
        if isinstance(event, Describing) and 0 < event.done < event.total:
            now = time.monotonic()
            if now - self._told >= SECONDS_BETWEEN_LINES:
                self._told = now
                line = f"{event.done:,}/{event.total:,} read"
        if isinstance(event, Progress):
            now = time.monotonic()
            self._first = self._first or (now, event.done)
            if event.done < event.total and now - self._told < SECONDS_BETWEEN_LINES:
                return
            self._told = now
            line = f"{event.done:,}/{event.total:,} done, {_rate(event)}"
            begun, before = self._first
            if before < event.done < event.total:
                left = (event.total - event.done) * (now - begun) / (event.done - before)
                line += f", about {left:.0f} s left"
        if isinstance(event, Uploading):
            now = time.monotonic()
            if event.done < event.total and now - self._sent < SECONDS_BETWEEN_LINES:
                return
            self._sent = now
            line = f"{event.done:,}/{event.total:,} vectors sent to Milvus at {shown(event.place)}"
        if line is not None:
            print(line, file=sys.stderr, flush=True)
