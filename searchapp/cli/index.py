"""`searchapp index`."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    collection_option,
    engine_option,
    exclude_option,
    include_option,
    json_option,
    library_option,
    megapixels_option,
    model_options,
    pop_model_options,
    print_json,
    print_note,
    vectors_option,
    verbose_option,
)
from searchapp.errors import Interrupted
from searchapp.types import IndexOptions


@click.command(cls=AppCommand)
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=str), metavar="FOLDER|URL..."
)
@model_options
@collection_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read N files at most.")
@click.option("--dry-run", is_flag=True, help="Only tell what there is to do.")
@click.option("--retry-failed", is_flag=True, help="Try again what failed and has not changed.")
@include_option
@exclude_option
@click.option("--video/--no-video", default=True, help="Read videos, too (needs the extra video).")
@click.option(
    "--pairs/--no-pairs",
    default=True,
    help="Take a RAW file beside a JPEG, and a Live Photo's film, as part of the picture.",
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
@megapixels_option
@click.option(
    "--index",
    metavar="KIND",
    help="exact, auto (exact up to 200,000 pictures) or a FAISS factory string; remembered.",
)
@vectors_option
@engine_option
@api_key_option
@json_option
@library_option
@verbose_option
def command(
    folders: tuple[str, ...],
    as_json: bool,
    engine: str | None,
    api_key: str | None,
    cluster: str | None,
    library: Path | None,
    verbose: bool,
    **arguments: Any,
) -> None:
    """Embed the pictures below folders, or URLs, that are not embedded yet.

    Run it again whenever pictures have come, changed, moved or gone: it reads only what is new. It
    can be interrupted at any moment (Ctrl-C); the next run goes on from there.

    \b
    searchapp index ~/Pictures
    searchapp index --dry-run ~/Pictures /mnt/camera
    searchapp index s3://my-bucket/photos
    """
    from searchapp.cli.progress import format_summary, show_run
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.cli.watchdog import exit_on_hang
    from searchapp.files.library_folder import resolve_library_folder
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.library import Library

    options = IndexOptions(model_options=pop_model_options(arguments), **arguments)
    if engine and cluster:
        raise click.UsageError("--engine and --cluster exclude each other")
    choice = EngineChoice(engine, api_key, cluster, verbose)
    with Library.open(
        library, create=True, dry=options.dry_run, start=start_until_exit(choice, announce=False),
        start_many=choice.start_many, tell=print_note,
    ) as opened:  # fmt: skip
        try:
            summary = show_run(exit_on_hang(opened.index(folders, options)))
            if summary.kept and not options.dry_run and _confirm_forget(summary.kept):
                again = show_run(opened.index(folders, replace(options, prune=True)))
                summary = replace(summary, removed=summary.removed + again.removed, kept=0)
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped; what was embedded is saved, the same command goes on from here"
            ) from None
    if as_json:
        print_json(asdict(summary))
    elif options.dry_run:
        print_note(
            f"{summary.added:,} would be read, {summary.removed:,} forgotten; nothing was changed"
        )
    else:
        print_note(f"{format_summary(summary)}; in {resolve_library_folder(library)}")


def _confirm_forget(lost_files: int) -> bool:
    """Ask a person, where there is one, whether lost files are to be forgotten."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    return click.confirm(f"Forget the {lost_files:,} files?", default=False, err=True)
