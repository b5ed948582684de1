"""`searchapp prune`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, json_option, library_option, print_json
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and change nothing.")
@click.option(
    "--missing",
    is_flag=True,
    help="Also forget files that do not exist now, including those on unmounted drives.",
)
@json_option
@library_option
def command(dry_run: bool, missing: bool, as_json: bool, library: Path | None) -> None:
    """Remove images that no file holds any more, with their embeddings and thumbnails.

    `searchapp index` forgets vanished files, but keeps their embeddings, so that a file that comes
    back is not embedded again. This command removes these embeddings.

    \b
    searchapp prune --dry-run
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        pruned = opened.prune(missing=missing, dry=dry_run)
    if as_json:
        print_json(asdict(pruned))
        return
    embeddings = format_count(pruned.embeddings, "embedding")
    parts = [f"{format_count(pruned.images, 'image')} with {embeddings}"]
    if missing:
        parts.insert(0, format_count(pruned.files, "vanished file"))
    if pruned.thumbnails:
        parts.append(format_count(pruned.thumbnails, "thumbnail"))
    end = "would be removed; nothing was changed" if dry_run else "removed"
    print_note(f"{', '.join(parts)} {end}" + ("; the catalog is smaller now" * pruned.compacted))
