"""`searchapp check`."""

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
    printable,
)


@click.command(cls=AppCommand)
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option(
    "--files",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Read N files again and compare their bytes.",
)
@click.option("--all-files", is_flag=True, help="Read all files again.")
@json_option
@library_option
def command(repair: bool, files: int, all_files: bool, as_json: bool, library: Path | None) -> None:
    """Check the library against itself and the disk.

    The catalogue's file, every stored vector, the indexes (what they hold, and what they find
    beside a look at every vector), some files' bytes, and leftovers. The exit status is 1 where
    something is wrong and was not mended.

    \b
    searchapp check
    searchapp check --repair --all-files
    """
    from searchapp.library import Library

    faults = []
    with Library.open(library, tell=print_note) as opened:
        for fault in opened.check(files=None if all_files else files, repair=repair):
            faults.append(fault)
            if not as_json:
                end = "; mended" if fault.mended else ""
                remedy = f"; {fault.remedy}" if fault.remedy else ""
                click.echo(f"{printable(fault.what)}{end}{remedy}")
    if as_json:
        print_json([asdict(fault) for fault in faults])
    unrepaired = [fault for fault in faults if not fault.mended]
    if not faults:
        print_note("nothing is wrong")
    elif unrepaired and not repair:
        print_note(
            f"{len(unrepaired):,} faults; `searchapp check --repair` mends what can be mended"
        )
    if unrepaired:
        raise click.exceptions.Exit(1)
