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

from searchapp.cli.shared_options import can_redraw, printable
from searchapp.files.extras import install_hint
from searchapp.types import (
    ComparisonStarted,
    DuplicatesFound,
    EngineStarting,
    FileFailed,
    IndexBuilding,
    IndexEvent,
    MetadataRefreshing,
    MilvusUploading,
    Progress,
    RunFinished,
    RunSummary,
    ScanFinished,
    VanishedFilesKept,
)

MAX_NODES_SHOWN = 8  # of a cluster, that a line tells
LINE_INTERVAL_S = 5.0
EventT = TypeVar("EventT", bound=IndexEvent | ComparisonStarted | DuplicatesFound)


def show_run(events: Iterable[IndexEvent]) -> RunSummary:
    """Draw events on stderr until the run is finished; return its summary."""
    summary = RunSummary()
    for event in draw_and_yield(events, "indexing"):
        if isinstance(event, RunFinished):
            summary = event.summary
    return summary


def show_events(events: Iterable[IndexEvent]) -> None:
    """Draw events that are no run's on stderr."""
    for _ in draw_and_yield(events, ""):
        pass


def draw_and_yield(events: Iterable[EventT], label: str) -> Iterator[EventT]:
    """Draw events on stderr, and yield each; label: what goes on."""
    display = BarDisplay(label) if can_redraw() else LineDisplay()
    with display:
        for event in events:
            display.show(event)
            yield event


def format_event(event: IndexEvent | ComparisonStarted | DuplicatesFound) -> str | None:
    """Put an event in a line; None where there is nothing to say but progress."""
    match event:
        case ScanFinished(
            files=files, pending_files=work, failed_before=failed, skipped_videos=videos
        ):
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
            return f"starting vLLM with {printable(Path(model).name)} ..."
        case IndexBuilding(vectors=vectors, kind=kind):
            return f"making the index {kind} of {vectors:,} vectors ..."
        case VanishedFilesKept(root=root, vanished_files=lost, known_files=known):
            return (
                f"{lost:,} of {known:,} files below {printable(root)} are gone: kept, in case a drive "
                "is not mounted; --prune forgets them"
            )
        case MetadataRefreshing(done=0, total=total, has_changed_sidecars=True):
            return f"reading what .xmp files say of {total:,} picture{'s' * (total > 1)} ..."
        case MetadataRefreshing(done=0, total=total):
            return (
                f"reading the metadata of {total:,} picture{'s' * (total > 1)} again, once, since "
                "this version knows more of them; nothing is embedded ..."
            )
        case ComparisonStarted(images=images):
            return f"comparing {images:,} pictures ..."
        case FileFailed(failure=failure):
            return f"left out {printable(failure.path)}: {failure.message}"
    return None


def format_summary(summary: RunSummary) -> str:
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


def _format_rate(event: Progress) -> str:
    rate = f"{event.images_per_second:.1f} images/s"
    if not event.nodes:
        return rate
    nodes = [f"{name} {rate:.1f}" for name, rate in event.nodes.items()]
    rest = f", and {len(nodes) - MAX_NODES_SHOWN} more" if len(nodes) > MAX_NODES_SHOWN else ""
    return f"{rate} ({', '.join(nodes[:MAX_NODES_SHOWN])}{rest})"


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
        self._describing_task = TaskID(0)
        self._is_started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_started:
            self._bar.stop()

    def show(self, event: IndexEvent | ComparisonStarted | DuplicatesFound) -> None:
        """Draw an event. The bar begins after the engine's start, which hides all output."""
        line = format_event(event)
        if line is not None:
            self._console.print(line, markup=False)
        if isinstance(event, MetadataRefreshing):
            self._show_describing(event)
        if isinstance(event, Progress):
            rate = _format_rate(event) if event.images_per_second else ""
            self._update_bar(self._label, event.done, event.total, rate)
        if isinstance(event, MilvusUploading):
            self._update_bar("sending to Milvus", event.done, event.total, "")

    def _update_bar(self, what: str, done: int, total: int, rate: str) -> None:
        if not self._is_started:
            self._bar.start()
            self._is_started = True
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total, rate="")
        self._bar.update(self._tasks[what], completed=done, total=total, rate=rate)

    def _show_describing(self, event: MetadataRefreshing) -> None:
        """Draw a bar that goes away when all are read: an engine may start after it."""
        if event.done == 0:
            self._bar.start()
            self._is_started = True
            self._describing_task = self._bar.add_task("reading", total=event.total, rate="")
        elif event.done < event.total:
            self._bar.update(self._describing_task, completed=event.done)
        else:
            self._bar.remove_task(self._describing_task)
            self._bar.stop()
            self._is_started = False


class LineDisplay:
    """Plain lines for logs and pipes."""

    def __init__(self) -> None:
        self._last_line_at = -LINE_INTERVAL_S  # the first is told
        self._first_progress: tuple[float, int] | None = (
            None  # when progress was first told, and how far
        )
        self._last_upload_line_at = 0.0  # when it was last told how much was sent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: IndexEvent | ComparisonStarted | DuplicatesFound) -> None:
        """Print an event; of progress, the first, the last, and one every few seconds."""
        line = format_event(event)
        if isinstance(event, MetadataRefreshing) and 0 < event.done < event.total:
            now = time.monotonic()
            if now - self._last_line_at >= LINE_INTERVAL_S:
                self._last_line_at = now
                line = f"{event.done:,}/{event.total:,} read"
        if isinstance(event, Progress):
            now = time.monotonic()
            self._first_progress = self._first_progress or (now, event.done)
            if event.done < event.total and now - self._last_line_at < LINE_INTERVAL_S:
                return
            self._last_line_at = now
            line = f"{event.done:,}/{event.total:,} done, {_format_rate(event)}"
            first_at, first_done = self._first_progress
            if first_done < event.done < event.total:
                remaining_s = (
                    (event.total - event.done) * (now - first_at) / (event.done - first_done)
                )
                line += f", about {remaining_s:.0f} s left"
        if isinstance(event, MilvusUploading):
            now = time.monotonic()
            if event.done < event.total and now - self._last_upload_line_at < LINE_INTERVAL_S:
                return
            self._last_upload_line_at = now
            line = (
                f"{event.done:,}/{event.total:,} vectors sent to Milvus at {printable(event.place)}"
            )
        if line is not None:
            print(line, file=sys.stderr, flush=True)
