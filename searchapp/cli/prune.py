"""`searchapp prune`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.shared_options import (
    AppCommand,
    json_option,
    library_option,
    print_json,
    print_note,
)


@click.command(cls=AppCommand)
@click.option("--dry-run", is_flag=True, help="Only tell what there is to do.")
@click.option(
    "--missing",
    is_flag=True,
    help="Forget files that are not there now, too: on drives that are not mounted as well.",
)
@json_option
@library_option
def command(dry_run: bool, missing: bool, as_json: bool, library: Path | None) -> None:
    """Remove what belongs to pictures that are gone.

    `searchapp index` forgets files that have vanished, and keeps what they held embedded: what
    comes back costs nothing. prune removes that: images that no file holds, their embeddings and
    thumbnails.

    \b
    searchapp prune --dry-run
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        pruned = opened.prune(missing=missing, dry=dry_run)
    if as_json:
        print_json(asdict(pruned))
        return
    parts = [f"{pruned.images:,} images with {pruned.embeddings:,} embeddings"]
    if missing:
        parts.insert(0, f"{pruned.files:,} files that are gone")
    if pruned.thumbnails:
        parts.append(f"{pruned.thumbnails:,} thumbnails")
    end = "would be removed; nothing was changed" if dry_run else "removed"
    print_note(f"{', '.join(parts)} {end}" + ("; the catalogue is smaller now" * pruned.compacted))
