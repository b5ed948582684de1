"""`searchapp duplicates`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.shared_options import (
    Command,
    Function,
    collection_option,
    json_option,
    library_option,
    note,
    print_json,
    shown,
)
from searchapp.errors import Interrupted
from searchapp.types import Copy, DuplicateOptions, Duplicates, Found, Group


def _output(option: str, help: str) -> Callable[[Function], Function]:
    return click.option(
        option, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=help
    )


@click.command(cls=Command)
@filter_options
@click.option("--similar", is_flag=True, help="Show look-alikes, too: other pictures, no copies.")
@json_option
@_output("--html", "Write a page to look through them and choose, for a browser.")
@_output("--script", "Write a shell script that moves the others away; it is for you to run.")
@collection_option
@library_option
def command(
    as_json: bool,
    html: Path | None,
    script: Path | None,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Find files that hold the same picture, and say which of each to keep.

    The same: by every byte, by every pixel, or near: resized, compressed, cut a little, turned,
    mirrored, or made brighter. Other pictures of the same scene are no duplicates; --similar lists
    them apart. Videos are left out. No file is touched.

    \b
    searchapp duplicates
    searchapp duplicates --in ~/Pictures/2021 --html review.html
    searchapp duplicates --script review.sh

    The first time reads every picture once; Ctrl-C keeps what was read.
    """
    from searchapp.cli.progress import watching
    from searchapp.library import Library

    found: Duplicates | None = None
    with Library.open(library, tell=note) as opened:
        try:
            for event in watching(opened.duplicates(DuplicateOptions(**arguments)), "comparing"):
                if isinstance(event, Found):
                    found = event.duplicates
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped; what was read is kept, the same command goes on from here"
            ) from None
    assert found is not None
    if html is not None:
        from searchapp.pages.duplicates_review import write_review

        write_review(html, found)
        note(f"open {html} in a browser")
    if script is not None:
        from searchapp.duplicates import move_script as scripts

        scripts.write(script, found.groups)
        note(f"read {script}, then run it: sh {script} FOLDER; it moves files, and deletes none")
    if as_json:
        print_json(asdict(found))
    elif html is None and script is None:
        _show(found)
    note(_told(found))


def _show(found: Duplicates) -> None:
    for title, groups in (("", found.groups), ("look-alikes", found.similar)):
        if title and groups:
            click.echo(f"{title}, which are no duplicates:\n")
        for group in groups:
            _show_group(group)


def _show_group(group: Group) -> None:
    alike = any(copy.certainty == "similar" for copy in group.others)
    if alike:
        click.echo(f"        {shown(group.keeper.path)}")
    else:
        click.echo(f"keep    {shown(group.keeper.path)}  ({group.reason})")
    for copy in group.others:
        if alike:
            click.echo(f"        {shown(copy.path)}")
        else:
            click.echo(
                f"{copy.certainty or '':6}  {shown(copy.path)}  ({copy.difference}{_with(copy)})"
            )
    click.echo()


def _with(copy: Copy) -> str:
    return "".join(f", with {shown(Path(path).name)}" for path in copy.companions)


def _told(found: Duplicates) -> str:
    files = sum(len(group.others) for group in found.groups)
    size = sum(group.bytes for group in found.groups)
    parts = [
        f"{files:,} duplicates of {len(found.groups):,} pictures, {_megabytes(size)}"
        if found.groups
        else "no duplicates"
    ]
    if found.similar:
        parts.append(f"{len(found.similar):,} groups of look-alikes")
    parts.append(f"{found.images:,} pictures compared")
    if found.failed:
        parts.append(f"{found.failed:,} could not be read")
    return "; ".join(parts)


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
