"""`searchapp check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    json_option,
    library_option,
    print_json,
)


@click.command(cls=AppCommand)
@click.option("--repair", is_flag=True, help="Repair the faults that can be repaired.")
@click.option(
    "--files",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Read N picture files again, and compare their content with the catalog.",
)
@click.option("--all-files", is_flag=True, help="Read all picture files again.")
@json_option
@library_option
def command(repair: bool, files: int, all_files: bool, as_json: bool, library: Path | None) -> None:
    """Check the library for errors, and repair them with --repair.

    The command checks the catalog, every stored vector, and the vectors in the indexes. It compares
    the hits of each index with the hits of an exact scan. It also reads some picture files again,
    and finds files that earlier runs left in the library. The exit status is 1 if faults remain.

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
                end = "; repaired" if fault.mended else ""
                remedy = f"; {fault.remedy}" if fault.remedy else ""
                print_line(f"{fault.what}{end}{remedy}")
    if as_json:
        print_json([asdict(fault) for fault in faults])
    unrepaired = [fault for fault in faults if not fault.mended]
    if not faults:
        print_note("no faults found")
    elif unrepaired and not repair:
        print_note(
            f"faults found: {len(unrepaired):,}; `searchapp check --repair` repairs most kinds"
        )
    if unrepaired:
        raise click.exceptions.Exit(1)
