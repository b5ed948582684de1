"""Show the events of long work on stderr: a progress bar on a terminal, otherwise text lines."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from searchapp.cli.event_lines import format_event, format_rate, format_remaining_time
from searchapp.cli.log_output import print_note, set_bar_console
from searchapp.cli.shared_options import can_redraw
from searchapp.indexing.recent_rate import RecentRate
from searchapp.types import (
    EngineStarting,
    IndexEvent,
    MetadataRefreshing,
    MilvusUploading,
    Progress,
    RunFinished,
    RunSummary,
    TextProgress,
    WorkStep,
    format_count,
)

LINE_INTERVAL_S = 5.0
TEXT_LABEL = "reading text"
EventT = TypeVar("EventT")


def show_run(events: Iterable[IndexEvent]) -> RunSummary:
    """Draw the events of an index run on stderr; return its summary."""
    summary = RunSummary()
    for event in draw_and_yield(events, "indexing"):
        if isinstance(event, RunFinished):
            summary = event.summary
    return summary


def show_events(events: Iterable[IndexEvent]) -> None:
    """Draw events on stderr, of work that ends without a summary."""
    for _ in draw_and_yield(events, ""):
        pass


def draw_and_yield(events: Iterable[EventT], label: str) -> Iterator[EventT]:
    """Draw events on stderr, and yield each event. label: the text beside the progress bar."""
    display = BarDisplay(label) if can_redraw() else LineDisplay()
    with display:
        for event in events:
            display.show(event)
            yield event


class BarDisplay:
    """Draws events as progress bars on a terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[left]}"),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._rates: defaultdict[str, RecentRate] = defaultdict(RecentRate)  # by label
        self._metadata_task = TaskID(0)
        self._is_started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_bar()

    def show(self, event: object) -> None:
        """Draw an event.

        The progress bar starts after the engine, because the start of an engine hides all output.
        """
        line = format_event(event)
        if line is not None:
            print_note(line)
        if isinstance(event, MetadataRefreshing):
            self._show_metadata_refresh(event)
        if isinstance(event, EngineStarting):
            self._rates[self._label].restart()
        if isinstance(event, Progress):
            self._update_bar(self._label, event.done, event.total, format_rate(event))
        if isinstance(event, WorkStep) and event.total:
            self._update_bar(event.description, event.done, event.total, "")
        if isinstance(event, TextProgress):
            self._update_bar(TEXT_LABEL, event.done, event.total, "")
        if isinstance(event, MilvusUploading):
            self._update_bar("sending to Milvus", event.done, event.total, "")

    def _start_bar(self) -> None:
        if not self._is_started:
            self._bar.start()
            self._is_started = True
            set_bar_console(self._console)

    def _stop_bar(self) -> None:
        if self._is_started:
            set_bar_console(None)
            self._bar.stop()
            self._is_started = False

    def _update_bar(self, task: str, done: int, total: int, rate: str) -> None:
        self._start_bar()
        self._rates[task].add_sample(done)
        left = format_remaining_time(self._rates[task], total - done)
        if task not in self._tasks:
            self._tasks[task] = self._bar.add_task(task, total=total, rate="", left="")
        self._bar.update(self._tasks[task], completed=done, total=total, rate=rate, left=left)

    def _show_metadata_refresh(self, event: MetadataRefreshing) -> None:
        """Draw a progress bar for a metadata refresh, and remove the bar at the end.

        An engine may start next, and the start of an engine hides all output.
        """
        if event.done == 0:
            self._start_bar()
            self._metadata_task = self._bar.add_task("reading", total=event.total, rate="", left="")
            self._rates["reading"].restart()
        elif event.done < event.total:
            self._rates["reading"].add_sample(event.done)
            left = format_remaining_time(self._rates["reading"], event.total - event.done)
            self._bar.update(self._metadata_task, completed=event.done, left=left)
        else:
            self._bar.remove_task(self._metadata_task)
            self._stop_bar()


class LineDisplay:
    """Prints events as plain lines, for logs and pipes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_line_at = -LINE_INTERVAL_S  # The first progress event is printed at once.
        self._last_line_at_by_step: dict[str, float] = {}  # Two steps can run side by side.
        self._rate = RecentRate(clock)
        self._last_upload_line_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: object) -> None:
        """Print an event as a line.

        Of the progress events, print the first, the last, and one every few seconds.
        """
        line = format_event(event)
        if isinstance(event, MetadataRefreshing) and 0 < event.done < event.total:
            line = self._format_step("reading", event.done, event.total)
        if isinstance(event, WorkStep) and event.total:
            line = self._format_step(event.description, event.done, event.total)
        if isinstance(event, TextProgress):
            line = self._format_step(TEXT_LABEL, event.done, event.total)
        if isinstance(event, EngineStarting):
            self._rate.restart()
        if isinstance(event, Progress):
            line = self._format_progress(event)
        if isinstance(event, MilvusUploading):
            line = self._format_upload(event)
        if line is not None:
            print_note(line)

    def _format_step(self, description: str, done: int, total: int) -> str | None:
        """Return a line about a counted step, every few seconds and at its end."""
        now = self._clock()
        last_line_at = self._last_line_at_by_step.get(description, -LINE_INTERVAL_S)
        if done < total and now - last_line_at < LINE_INTERVAL_S:
            return None
        self._last_line_at_by_step[description] = now
        return f"{description}: {done:,}/{total:,}"

    def _format_progress(self, event: Progress) -> str | None:
        now = self._clock()
        self._rate.add_sample(event.done)
        if event.done < event.total and now - self._last_line_at < LINE_INTERVAL_S:
            return None
        self._last_line_at = now
        remaining_time = format_remaining_time(self._rate, event.total - event.done)
        parts = [f"{event.done:,}/{event.total:,} done", format_rate(event), remaining_time]
        return ", ".join(filter(None, parts))

    def _format_upload(self, event: MilvusUploading) -> str | None:
        now = self._clock()
        if event.done < event.total and now - self._last_upload_line_at < LINE_INTERVAL_S:
            return None
        self._last_upload_line_at = now
        total = format_count(event.total, "vector")
        return f"{event.done:,}/{total} sent to Milvus at {event.place}"
