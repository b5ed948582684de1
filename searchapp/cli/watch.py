"""`searchapp watch`."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from searchapp.cli.log_output import is_engine_output_shown, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    collection_option,
    engine_option,
    exclude_option,
    include_option,
    keep_alive_option,
    library_option,
    megapixels_option,
    model_options,
    pop_model_options,
)
from searchapp.errors import Interrupted
from searchapp.files.library_folder import resolve_library_folder
from searchapp.types import IndexOptions, format_count

if TYPE_CHECKING:
    from searchapp.indexing.watch import WatchEvent


class _TerminationSignal(BaseException):
    """Raised on SIGTERM, which ends the command with exit status 0."""


@click.command(cls=AppCommand)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=str))
@model_options
@collection_option
@include_option
@exclude_option
@megapixels_option
@click.option(
    "--poll", is_flag=True,
    help="Scan all files at intervals; automatic for network file systems.",
)  # fmt: skip
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=10.0, show_default=True,
    metavar="SECONDS", help="Scan every SECONDS with --poll.",
)  # fmt: skip
@click.option(
    "--quiet", type=click.FloatRange(min=0), default=2.0, show_default=True,
    metavar="SECONDS", help="Read a file once it has not changed for SECONDS.",
)  # fmt: skip
@click.option("--no-daemon", is_flag=True, help="Embed in this process, not in a resident process.")
@keep_alive_option
@engine_option
@api_key_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print each event as a JSON object, one on each line."
)
@library_option
def command(
    folders: tuple[str, ...],
    poll: bool,
    interval: float,
    quiet: float,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
    as_json: bool,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Index FOLDERS, then index their pictures as they arrive, change, move and disappear.

    Single files can be named, too. The resident process embeds the pictures, and also answers
    queries: so the model is in memory only once. A file is read when it has not changed for a
    moment. An incomplete file is tried again later. If a folder disappears, the library keeps its
    pictures. When the folder is back, the command scans it.

    Ctrl-C ends the command with exit status 130, SIGTERM with 0.

    \b
    searchapp watch ~/Pictures
    searchapp watch --poll --interval 60 /mnt/nas/photos
    searchapp watch --json ~/Pictures >> watch.jsonl
    """
    from searchapp.cli.event_lines import format_summary
    from searchapp.cli.progress import show_run
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.cli.watchdog import exit_on_hang
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.server.start_resident import ResidentConfig
    from searchapp.server.watch_library import LibraryWatch

    options = IndexOptions(model_options=pop_model_options(arguments), **arguments)
    choice = EngineChoice(engine, api_key, verbose=is_engine_output_shown())
    watch = LibraryWatch(
        folders,
        ResidentConfig(resolve_library_folder(library), keep_alive, engine, api_key),
        options,
        start_until_exit(choice, announce=False),
        choice.start_many,
        use_resident=not no_daemon,
        poll_s=interval if poll else None,
        quiet_s=quiet,
        guard=exit_on_hang,
        notify=print_note,
    )
    try:
        with _raise_on_sigterm(), watch:
            summary = show_run(watch.index_all())
            print_note(format_summary(summary))
            _print_event({"event": "watching", "summary": asdict(summary)}, (), as_json)
            print_note(f"watching {', '.join(map(str, watch.roots))}")
            for event in watch.index_changes():
                fields = {"event": event.event_name, **asdict(event)}
                _print_event(fields, _format_watch_event(event), as_json)
    except _TerminationSignal:
        print_note("searchapp: stopped")
    except KeyboardInterrupt:
        raise Interrupted from None


@contextmanager
def _raise_on_sigterm() -> Iterator[None]:
    """Raise _TerminationSignal in the block when the process receives SIGTERM."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _TerminationSignal

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _format_watch_event(event: WatchEvent) -> list[str]:
    from searchapp.cli.event_lines import format_summary
    from searchapp.indexing.watch import (
        ChangesIndexed,
        FolderAvailableAgain,
        FolderUnavailable,
        LinksOutdated,
        LinksUpdated,
        PollingStarted,
    )

    folder = event.folder
    match event:
        case ChangesIndexed(summary=summary, failures=failures, again=again):
            counts = replace(summary, unchanged=0, failed=len(failures), images_per_second=0.0)
            line = format_summary(counts).replace("no pictures; ", "")
            if again:
                line = f"{format_count(again, 'incomplete file')}, tried again soon; {line}"
            return [line, *(f"  {each.path}: {each.message}" for each in failures)]
        case FolderUnavailable(reason=reason):
            return [f"{folder}: {reason}; the library keeps its pictures, and waits for it"]
        case FolderAvailableAgain():
            return [f"{folder} is back"]
        case LinksUpdated(search=search, added=added, removed=removed):
            links = format_count(added, "new link")
            return [f"{search}: {links} in {folder}, {removed:,} removed"]
        case LinksOutdated(search=search, reason=reason):
            return [f"{search}: links not updated, tried again after the next change: {reason}"]
        case PollingStarted(seconds=seconds, reason=reason):
            return [f"{folder}: no change notifications ({reason}); scanning every {seconds:g} s"]
    return [f"{folder}: not indexed yet, tried again soon: {event.reason}"]


def _print_event(fields: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """Print an event with the time: as JSON on stdout, or as lines on stderr."""
    now = datetime.now().astimezone()
    if as_json:
        time_first = {"time": now.isoformat(timespec="seconds"), **fields}
        click.echo(json.dumps(time_first, default=str))
        return
    for number, line in enumerate(lines):
        print_note(line if number else f"{now:%H:%M:%S} {line}")
