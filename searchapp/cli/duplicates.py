"""`searchapp duplicates`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    Function,
    collection_option,
    json_option,
    library_option,
    print_json,
)
from searchapp.duplicates.review_store import SavedReview
from searchapp.errors import Interrupted
from searchapp.types import (
    DuplicateFile,
    DuplicateGroup,
    DuplicateOptions,
    Duplicates,
    DuplicatesFound,
    format_count,
)


def _output_option(option: str, help: str) -> Callable[[Function], Function]:
    return click.option(
        option, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=help
    )


@click.command(cls=AppCommand)
@filter_options
@click.option(
    "--similar",
    is_flag=True,
    help="Also list look-alikes: similar pictures that are no duplicates.",
)
@click.option(
    "--reviewed",
    is_flag=True,
    help="Also list the files that you have chosen to keep in an earlier review.",
)
@click.option(
    "--import-review", "review", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="First keep the choices in FILE, which the page of --html has saved.",
)  # fmt: skip
@click.option(
    "--keep", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="First keep in mind that FILE is no duplicate of the other files with --keep.",
)  # fmt: skip
@json_option
@_output_option("--html", "Write an HTML page to FILE, to review duplicates in a browser.")
@_output_option(
    "--script",
    "Write a shell script to FILE; when you run it, it moves all copies except those to keep.",
)
@collection_option
@library_option
def command(
    review: Path | None,
    keep: tuple[Path, ...],
    as_json: bool,
    html: Path | None,
    script: Path | None,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Find files that hold the same picture, and suggest which to keep.

    Duplicates have the same bytes, the same pixels, or nearly the same picture: resized,
    compressed, cropped a little, rotated, mirrored or brightened, in grayscale, with a border or
    with a caption. Two different pictures of one scene are no duplicates; --similar lists them
    separately. Videos are skipped. No file is changed.

    \b
    searchapp duplicates
    searchapp duplicates --in ~/Pictures/2021 --html review.html
    searchapp duplicates --script review.sh
    searchapp duplicates --import-review choices.json
    searchapp duplicates --keep boat.jpg --keep boat-framed.jpg

    The library keeps your choices of a review. It does not list files again that all are to stay.
    The first run reads every picture once, and likely duplicates twice. After Ctrl-C, the next
    run continues.
    """
    from searchapp.cli.progress import draw_and_yield
    from searchapp.files.atomic import require_writable
    from searchapp.library import Library

    require_writable(html, script)
    found: Duplicates | None = None
    options = DuplicateOptions(**arguments)
    with Library.open(library, tell=print_note) as opened:
        if review is not None:
            _note_review(opened.reviews.load(review))
        if keep:
            opened.reviews.keep_all(keep)
            print_note(f"{format_count(len(keep), 'file')} stay, and are not listed again")
        for warning in opened.reader.list_warnings(options.base_filter):
            print_note(warning)
        try:
            for event in draw_and_yield(opened.duplicates(options), "comparing"):
                if isinstance(event, DuplicatesFound):
                    found = event.duplicates
        except KeyboardInterrupt:
            raise Interrupted from None
    assert found is not None
    if html is not None:
        from searchapp.pages.duplicates_review import write_review

        write_review(html, found)
        print_note(f"wrote a page to {html}; open it in a browser")
    if script is not None:
        from searchapp.duplicates.move_script import write_script

        write_script(script, found.groups)
        print_note(
            f"wrote a script to {script}. Read it, then run: sh {script} FOLDER. "
            "It moves files, and deletes none"
        )
    if as_json:
        print_json(asdict(found))
    elif html is None and script is None:
        _print_duplicates(found)
    print_note(_format_totals(found))


def _note_review(saved: SavedReview) -> None:
    unknown = f"; {saved.unknown_files:,} of their files are not in the library"
    print_note(
        f"kept your choices for {format_count(saved.groups, 'picture')}"
        f"{unknown if saved.unknown_files else ''}"
    )


def _print_duplicates(found: Duplicates) -> None:
    for title, groups in (("", found.groups), ("look-alikes", found.similar)):
        if title and groups:
            print_line(f"{title} (no duplicates):")
            print_line()
        for group in groups:
            _print_group(group)


def _print_group(group: DuplicateGroup) -> None:
    is_similar = any(copy.certainty == "similar" for copy in group.others)
    if is_similar:
        print_line(f"        {group.keeper.path}")
    else:
        is_kept = group.keeper.stays is not False
        why = group.reason if is_kept else "you chose to move it away"
        print_line(f"{'keep' if is_kept else 'away':6}  {group.keeper.path}  ({why})")
    for copy in group.others:
        if is_similar:
            print_line(f"        {copy.path}")
        else:
            choice = ", you keep it" if copy.stays else ""
            note = f"({copy.difference}{_format_companions(copy)}{choice})"
            print_line(f"{copy.certainty or '':6}  {copy.path}  {note}")
    print_line()


def _format_companions(copy: DuplicateFile) -> str:
    return "".join(f", with {Path(path).name}" for path in copy.companions)


def _format_totals(found: Duplicates) -> str:
    parts = [
        f"{format_count(found.duplicate_count, 'duplicate')} of "
        f"{format_count(len(found.groups), 'picture')}, "
        f"{_format_size(found.duplicates_size_bytes)}"
        if found.groups
        else "no duplicates"
    ]
    if found.similar:
        parts.append(f"{format_count(len(found.similar), 'group')} of look-alikes")
    if found.reviewed:
        parts.append(f"{format_count(found.reviewed, 'group')} reviewed before")
    parts.append(f"{format_count(found.images, 'picture')} compared")
    if found.unreadable:
        pages = format_count(found.unreadable, "page")
        parts.append(f"{pages} of text left out: too small, or too compressed, to compare the text")
    if found.failed:
        parts.append(f"{found.failed:,} could not be read")
    if found.missing:
        files = format_count(found.missing, "picture")
        parts.append(f"{files} left out: the files are gone or have changed")
    return "; ".join(parts)


def _format_size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
