"""Show the events of long work on stderr: a progress bar on a terminal, otherwise text lines."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from searchapp.cli.log_output import print_note, set_bar_console
from searchapp.cli.shared_options import can_redraw
from searchapp.files.extras import install_hint
from searchapp.indexing.recent_rate import RecentRate
from searchapp.types import (
    TEXT_FAILURE_STAGE,
    ComparisonStarted,
    DecodingOnCpu,
    EngineStarting,
    FileFailed,
    IndexBuilding,
    IndexEvent,
    LinkedFoldersSkipped,
    MetadataRefreshing,
    MilvusUploading,
    Progress,
    RunFinished,
    RunSummary,
    ScanFinished,
    TextProgress,
    VanishedFilesKept,
    WorkStep,
    format_count,
)

MAX_LINKS_SHOWN = 5  # linked folders that one line names
MAX_NODES_SHOWN = 8  # At most this many nodes of a cluster are named in one line.
LINE_INTERVAL_S = 5.0
MIN_SHOWN_RATE = 0.05  # It would be "0.0 images/s".
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


def format_event(event: object) -> str | None:
    """Return an event as a line of text; None for an event that only moves the progress bar."""
    match event:
        case ScanFinished(
            files=files, pending_files=pending, failed_before=failed, skipped_videos=videos
        ):
            line = f"{format_count(files, 'picture file')}, {pending:,} to read"
            if failed:
                line += (
                    f"; skipped {format_count(failed, 'unchanged file')} that failed before "
                    "(--retry-failed tries again)"
                )
            if videos:
                hint = install_hint("video")
                line += f"; {format_count(videos, 'video')} skipped; to read videos: {hint}"
            return line
        case LinkedFoldersSkipped(targets=targets):
            shown = [f"{path} -> {target}" for path, target in targets.items()][:MAX_LINKS_SHOWN]
            more = len(targets) - len(shown)
            return (
                f"left out {format_count(len(targets), 'linked folder')}: {', '.join(shown)}"
                f"{f' and {more:,} more' if more else ''}; to index such a folder, name its target"
            )
        case EngineStarting(model=model, is_restart=True):
            return (
                f"all engines ended unexpectedly (-v shows why); starting {Path(model).name} "
                "again ..."
            )
        case EngineStarting(model=model):
            return f"starting vLLM with {Path(model).name} ..."
        case DecodingOnCpu(reason=reason):
            return f"decoding JPEGs on the CPU: {reason}"
        case IndexBuilding(vectors=vectors, kind=kind):
            return f"building the index {kind} for {format_count(vectors, 'vector')} ..."
        case VanishedFilesKept(root=root, vanished_files=vanished, known_files=known):
            return (
                f"{vanished:,} of {format_count(known, 'file')} below {root} are gone. The "
                "library keeps them, because a drive may be unmounted; --prune forgets them"
            )
        case MetadataRefreshing(done=0, total=total, has_changed_sidecars=True):
            return f"reading changed .xmp files of {format_count(total, 'picture')} ..."
        case MetadataRefreshing(done=0, total=total):
            return (
                f"reading the metadata of {format_count(total, 'picture')} again, once: this "
                "version reads more of it; nothing is embedded again ..."
            )
        case ComparisonStarted(images=images):
            return f"comparing {format_count(images, 'picture')} ..."
        case WorkStep(description=description, total=0):
            return f"{description} ..."
        case FileFailed(failure=failure) if failure.stage == TEXT_FAILURE_STAGE:
            return f"did not read the text of {failure.path}: {failure.message}"
        case FileFailed(failure=failure):
            return f"skipped {failure.path}: {failure.message}"
    return None


def format_summary(summary: RunSummary) -> str:
    """Return the counts, the time and the rate of a run as one line."""
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (summary.added, "added"),
            (summary.unchanged, "unchanged"),
            (summary.moved, "moved"),
            (summary.removed, "removed"),
            (summary.described, "with new metadata"),
            (summary.recognized, "searched for text"),
            (summary.kept, "gone but kept"),
            (summary.failed - summary.unlisted, "skipped (see `searchapp failures`)"),
            (summary.unlisted, "skipped (named above)"),
        )
        if count
    ]
    rate = summary.images_per_second
    speed = f", {rate:.1f} images/s" if rate >= MIN_SHOWN_RATE else ""
    return f"{', '.join(parts) or 'no pictures'}; {summary.seconds:.1f} s{speed}"


def _format_rate(event: Progress) -> str:
    if event.images_per_second < MIN_SHOWN_RATE:
        return ""
    rate = f"{event.images_per_second:.1f} images/s"
    if not event.nodes:
        return rate
    nodes = [f"{name} {rate:.1f}" for name, rate in event.nodes.items()]
    rest = f", and {len(nodes) - MAX_NODES_SHOWN} more" if len(nodes) > MAX_NODES_SHOWN else ""
    return f"{rate} ({', '.join(nodes[:MAX_NODES_SHOWN])}{rest})"


def format_remaining_time(rate: RecentRate, remaining_count: int) -> str:
    """Return the time until work ends at its recent rate; nothing if this is unknown."""
    per_second = rate.per_second
    if not per_second or not remaining_count:
        return ""
    seconds = remaining_count / per_second
    for limit_s, unit_s, unit in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit_s:
            return f"about {seconds / unit_s:.0f} {unit} left"
    return f"about {format_count(round(seconds / 86400), 'day')} left"


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
            self._update_bar(self._label, event.done, event.total, _format_rate(event))
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
        parts = [f"{event.done:,}/{event.total:,} done", _format_rate(event), remaining_time]
        return ", ".join(filter(None, parts))

    def _format_upload(self, event: MilvusUploading) -> str | None:
        now = self._clock()
        if event.done < event.total and now - self._last_upload_line_at < LINE_INTERVAL_S:
            return None
        self._last_upload_line_at = now
        total = format_count(event.total, "vector")
        return f"{event.done:,}/{total} sent to Milvus at {event.place}"
