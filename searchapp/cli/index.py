"""`searchapp index`."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from searchapp.cli.log_output import is_engine_output_shown, print_note
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
    vectors_option,
)
from searchapp.errors import Interrupted
from searchapp.types import IndexOptions, format_count


@click.command(cls=AppCommand)
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=str), metavar="FOLDER|FILE|URL..."
)
@model_options
@collection_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read at most N files.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option(
    "--retry-failed", is_flag=True, help="Retry files that failed before, even if unchanged."
)
@click.option(
    "--update-colors",
    is_flag=True,
    help="Embed pictures again that an older version embedded with other colors.",
)
@include_option
@exclude_option
@click.option("--video/--no-video", default=True, help="Read videos too; needs the extra `video`.")
@click.option(
    "--pairs/--no-pairs",
    default=True,
    help="Treat RAW files next to a JPEG, films of Live Photos, and edits of iPhones as part of "
    "the picture.",
)
@click.option(
    "--ocr/--no-ocr",
    default=None,
    help="Recognize text in pictures, in later runs too; needs the extra `ocr`.",
)
@click.option("--prune", is_flag=True, help="Forget all vanished files, without a question.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Embed N pictures at once in each engine. The default depends on machine and model.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run N engines on each GPU, or on the CPU. The default depends on the machine.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Embed on a Ray cluster: HOST:PORT, auto (the cluster of this machine) or local.",
)
@megapixels_option
@click.option(
    "--decode",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="Decode JPEGs on the CPU, on the GPU where it can, or on both (auto).",
)
@click.option(
    "--index",
    metavar="KIND",
    help="Use this index, in later runs too: exact, auto (exact up to 200,000 pictures), or a "
    "FAISS factory string.",
)
@vectors_option
@engine_option
@api_key_option
@json_option
@library_option
def command(
    folders: tuple[str, ...],
    as_json: bool,
    engine: str | None,
    api_key: str | None,
    cluster: str | None,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Embed the new and changed pictures below folders or URLs, or single files.

    Run the command again after pictures were added, changed, moved or deleted: it reads only new
    and changed files. You can interrupt it at any moment with Ctrl-C; the next run continues.

    \b
    searchapp index ~/Pictures
    searchapp index --dry-run ~/Pictures /mnt/camera
    searchapp index s3://my-bucket/photos
    """
    from searchapp.cli.event_lines import format_summary
    from searchapp.cli.progress import show_run
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.cli.watchdog import exit_on_hang
    from searchapp.files.library_folder import resolve_library_folder
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.library import Library

    options = IndexOptions(model_options=pop_model_options(arguments), **arguments)
    if engine and cluster:
        raise click.UsageError("--engine and --cluster cannot be used together; choose one")
    choice = EngineChoice(engine, api_key, cluster, is_engine_output_shown())
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
            raise Interrupted from None
    if as_json:
        print_json(asdict(summary))
    elif options.dry_run:
        print_note(
            f"{format_count(summary.added, 'file')} would be read, {summary.removed:,} would be "
            "forgotten; nothing was changed"
        )
    else:
        print_note(f"{format_summary(summary)}; library: {resolve_library_folder(library)}")


def _confirm_forget(vanished_files: int) -> bool:
    """Ask the user whether to forget vanished files; return False if stdin is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"Forget {format_count(vanished_files, 'vanished file')}?"
    return click.confirm(question, default=False, err=True)
