"""`searchapp failures`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.options import (
    Command,
    collection_option,
    json_option,
    library_option,
    note,
    print_json,
    shown,
)


@click.command(cls=Command)
@json_option
@collection_option
@library_option
def command(as_json: bool, collection: str | None, library: Path | None) -> None:
    """List the files that could not be used, and why.

    They are left alone until they change, or `searchapp index --retry-failed` tries them again.
    """
    from searchapp.library import Library

    with Library.open(library) as opened:
        failures = opened.failures(collection)
    if as_json:
        print_json([asdict(failure) for failure in failures])
        return
    for failure in failures:
        click.echo(f"{shown(failure.path)}: {failure.message} ({failure.stage})")
    if not failures:
        note("no failures")
