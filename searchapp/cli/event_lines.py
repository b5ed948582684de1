"""Describe the events of long work in lines of text."""

from __future__ import annotations

from pathlib import Path

from searchapp.files.extras import install_hint
from searchapp.indexing.recent_rate import RecentRate
from searchapp.types import (
    TEXT_FAILURE_STAGE,
    ComparisonStarted,
    DecodingOnCpu,
    EngineStarting,
    FileFailed,
    IndexBuilding,
    LinkedFoldersSkipped,
    MetadataRefreshing,
    Progress,
    RunSummary,
    ScanFinished,
    VanishedFilesKept,
    WorkStep,
    format_count,
)

MAX_LINKS_SHOWN = 5  # linked folders that one line names
MAX_NODES_SHOWN = 8  # At most this many nodes of a cluster are named in one line.
MIN_SHOWN_RATE = 0.05  # It would be "0.0 images/s".


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


def format_rate(event: Progress) -> str:
    """Return the rate of a progress event; nothing if it is unknown or too small to show."""
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
            return f"about {max(1, round(seconds / unit_s))} {unit} left"
    return f"about {format_count(round(seconds / 86400), 'day')} left"
