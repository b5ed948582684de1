"""`searchapp failures`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    collection_option,
    json_option,
    library_option,
    print_json,
    print_path,
)


@click.command(cls=AppCommand)
@json_option
@click.option("--paths", is_flag=True, help="Print only paths, one on each line.")
@click.option("-0", "null", is_flag=True, help="Print only paths, with a null byte after each.")
@collection_option
@library_option
def command(
    as_json: bool, paths: bool, null: bool, collection: str | None, library: Path | None
) -> None:
    """List the files that could not be indexed, with the reasons.

    `searchapp index` skips these files until they change; with --retry-failed it reads them again.

    \b
    searchapp failures
    searchapp failures -0 | xargs -0 ls -l
    """
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        failures = opened.failures(collection)
    if as_json:
        print_json([asdict(failure) for failure in failures])
        return
    for failure in failures:
        if paths or null:
            print_path(failure.path, b"\0" if null else b"\n")
            continue
        print_line(f"{failure.path}: {failure.message} ({failure.stage})")
    if not failures:
        print_note("no failures")
    elif not (paths or null):
        print_note(
            "Repair, replace or delete these files; `searchapp index` reads changed files again, "
            "and `index --retry-failed` reads all of them"
        )
