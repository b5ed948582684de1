"""`searchapp index`."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from searchapp.cli.options import (
    Command,
    api_key_option,
    collection_option,
    engine_option,
    json_option,
    library_option,
    model_options,
    note,
    print_json,
    taken,
    verbose_option,
)
from searchapp.errors import Interrupted
from searchapp.types import MAX_MEGAPIXELS, IndexOptions, RunSummary


@click.command(cls=Command)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@model_options
@collection_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read N files at most.")
@click.option("--dry-run", is_flag=True, help="Only tell what there is to do.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed and has not changed.")
@click.option(
    "--include", multiple=True, metavar="GLOB", help="Only such files: '*.jpg'. May be repeated."
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="No such files or folders: 'Screenshots/'. May be repeated.",
)
@click.option(
    "--prune", is_flag=True, help="Forget vanished files, however many, and without asking."
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="An engine embeds N pictures at once; by default what suits machine and model.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run N engines on each GPU, or on the CPU; by default what suits the machine.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Embed on the nodes of a Ray cluster: HOST:PORT, auto (this machine is in one) or local.",
)
@click.option(
    "--max-megapixels",
    type=click.FloatRange(min=0, min_open=True),
    default=MAX_MEGAPIXELS,
    show_default=True,
    metavar="N",
    help="Leave out larger pictures.",
)
@click.option(
    "--index",
    metavar="KIND",
    help="exact, auto (exact up to 200,000 pictures) or a FAISS factory string; remembered.",
)
@engine_option
@api_key_option
@json_option
@library_option
@verbose_option
def command(
    folders: tuple[Path, ...],
    as_json: bool,
    engine: str | None,
    api_key: str | None,
    cluster: str | None,
    library: Path | None,
    verbose: bool,
    **arguments: Any,
) -> None:
    """Embed the pictures below FOLDERS that are not embedded yet.

    Run it again whenever pictures have come, changed, moved or gone: it reads only what is new. It
    can be interrupted at any moment (Ctrl-C); the next run goes on from there.

    \b
    searchapp index ~/Pictures
    searchapp index --dry-run ~/Pictures /mnt/camera
    """
    from searchapp.cli.engine import starter, starter_of_many, starter_on
    from searchapp.cli.progress import follow
    from searchapp.cli.watchdog import watched
    from searchapp.library import Library
    from searchapp.place import library_folder

    options = IndexOptions(model_options=taken(arguments), **arguments)
    start = starter(verbose, tell=False, url=engine, api_key=api_key)
    if engine and cluster:
        raise click.UsageError("--engine and --cluster exclude each other")
    many = starter_on(cluster, verbose) if cluster else starter_of_many(verbose)
    with Library.open(
        library, create=True, dry=options.dry_run, start=start, start_many=None if engine else many
    ) as opened:
        try:
            summary = follow(watched(opened.index(folders, options)))
            if summary.kept and not options.dry_run and _agreed(summary.kept):
                again = follow(opened.index(folders, replace(options, prune=True)))
                summary = replace(summary, removed=summary.removed + again.removed, kept=0)
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped; what was embedded is saved, the same command goes on from here"
            ) from None
    if as_json:
        print_json(asdict(summary))
    elif options.dry_run:
        note(f"{summary.added:,} would be read, {summary.removed:,} forgotten; nothing was changed")
    else:
        note(_told(summary, library_folder(library)))


def _agreed(lost: int) -> bool:
    """Ask a person, where there is one, whether lost files are to be forgotten."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm(f"Forget the {lost:,} files?", default=False, err=True)


def _told(summary: RunSummary, library: Path) -> str:
    parts = [
        f"{count:,} {what}"
        for count, what in (
            (summary.added, "added"),
            (summary.unchanged, "unchanged"),
            (summary.moved, "moved"),
            (summary.removed, "removed"),
            (summary.kept, "gone but kept"),
            (summary.failed, "left out (see `searchapp failures`)"),
        )
        if count
    ]
    speed = f", {summary.images_per_second:.1f} images/s" if summary.images_per_second else ""
    return f"{', '.join(parts) or 'no pictures'}; {summary.seconds:.1f} s{speed}; in {library}"
