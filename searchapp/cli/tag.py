"""`searchapp tag`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from searchapp.cli.filter_options import filter_options
from searchapp.cli.log_output import is_engine_output_shown, print_line, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    api_key_option,
    collection_option,
    engine_option,
    json_option,
    keep_alive_option,
    library_option,
    print_json,
)
from searchapp.types import (
    Hit,
    SidecarChange,
    SidecarNaming,
    TaggedPicture,
    TagOptions,
    format_count,
)

MAX_PREVIEWS = 60  # pictures of each tag on the preview page


@click.command(cls=AppCommand)
@click.option(
    "--words", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Read the tags from FILE, one on each line: Heron, or Animals|Birds|Heron = egret.",
)  # fmt: skip
@filter_options
@click.option(
    "-n", "--max-tags", type=click.IntRange(min=1), default=5, show_default=True, metavar="N",
    help="Give each picture at most N tags.",
)  # fmt: skip
@json_option
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write an HTML page to FILE that shows the pictures of each tag.",
)  # fmt: skip
@click.option(
    "--write", type=click.Choice(["sidecar"]),
    help="Write the tags into XMP sidecars. Without it, nothing is written.",
)  # fmt: skip
@click.option(
    "--naming", type=click.Choice(["auto", "darktable", "lightroom"]), default="auto",
    show_default=True,
    help="Name new sidecars IMG_1.jpg.xmp as darktable does, or IMG_1.xmp as Lightroom does; with "
    "auto, as most in the folder. A picture that has a sidecar gets no other one.",
)  # fmt: skip
@click.option("--undo", is_flag=True, help="Take the tags that searchapp wrote out of sidecars.")
@collection_option
@click.option(
    "--no-daemon", is_flag=True, help="Embed the words in this process, not in a resident process."
)
@keep_alive_option
@engine_option
@api_key_option
@library_option
def command(
    words: Path | None,
    as_json: bool,
    html: Path | None,
    write: str | None,
    naming: SidecarNaming,
    undo: bool,
    no_daemon: bool,
    keep_alive: float | None,
    engine: str | None,
    api_key: str | None,
    library: Path | None,
    **arguments: Any,
) -> None:
    """Tag pictures with the words of a list that fit, and write the tags into XMP sidecars.

    A picture gets a tag if it is a good match for the word or a synonym. No picture is embedded
    again. Look at the tags first: nothing is written without --write.

    \b
    searchapp tag --words words.txt
    searchapp tag --words words.txt --html tags.html --in ~/Pictures/2021
    searchapp tag --words words.txt --write sidecar
    searchapp tag --undo

    Picture files are never changed. All other metadata in a sidecar stays as it is. A second run
    with other words replaces the tags of the first. --undo restores each sidecar.
    """
    from searchapp.cli.start_engine import start_until_exit
    from searchapp.files.atomic import require_writable
    from searchapp.files.library_folder import resolve_library_folder
    from searchapp.indexing.embedding.choose_engines import EngineChoice
    from searchapp.library import Library
    from searchapp.search.tags.word_list import read_word_list
    from searchapp.server.resident_engine import prefer_resident
    from searchapp.server.start_resident import ResidentConfig

    if undo == (words is not None):
        raise click.UsageError("give either --words FILE or --undo")
    if undo and (write or html):
        raise click.UsageError("--undo needs neither --write nor --html")
    require_writable(html)
    options = TagOptions(**arguments)
    tag_words = [] if words is None else read_word_list(words)
    start = start_until_exit(EngineChoice(engine, api_key, verbose=is_engine_output_shown()))
    if not (no_daemon or is_engine_output_shown()):
        config = ResidentConfig(resolve_library_folder(library), keep_alive, engine, api_key)
        start = prefer_resident(config, start, print_note)
    with Library.open(library, start=start, tell=print_note) as opened:
        for warning in opened.reader.list_warnings(options.base_filter):
            print_note(warning)
        pictures = opened.find_tags(tag_words, options) if words is not None else []
        if html is not None:
            _write_page(html, pictures)
            print_note(f"wrote a page to {html}; open it in a browser")
        changes = list[SidecarChange]()
        if undo:
            changes = _note_failures(opened.undo_tags(options))
        elif write:
            changes = _note_failures(opened.write_tags(pictures, options, naming))
    if as_json:
        print_json(
            {
                "pictures": [picture.to_dict() for picture in pictures],
                "sidecars": [asdict(change) for change in changes],
            }
        )
    elif html is None and not changes:
        for picture in pictures:
            print_line(f"{picture.hit.path}  {_format_tags(picture)}")
    if not undo:
        _note_tags(pictures)
    if undo or write:
        _note_changes(changes)
    elif pictures:
        print_note("nothing was written; --write sidecar writes the tags into XMP sidecars")
    if any(change.action == "failed" for change in changes):
        click.get_current_context().exit(1)


def _note_failures(changes: Iterable[SidecarChange]) -> list[SidecarChange]:
    done = []
    for change in changes:
        if change.action == "failed":
            print_note(f"skipped {change.path}: {change.reason}")
        done.append(change)
    return done


def _format_tags(picture: TaggedPicture) -> str:
    return ", ".join(f"{tag.path} ({tag.score:.3f})" for tag in picture.tags)


def _write_page(file: Path, pictures: Sequence[TaggedPicture]) -> None:
    """Write a contact sheet with a section for each tag, the most frequent tag first."""
    from searchapp.pages.contact_sheet import Section, write_contact_sheet

    hits_by_tag: dict[str, list[Hit]] = {}
    for picture in pictures:
        for tag in picture.tags:
            hit = replace(picture.hit, score=tag.score)
            hits_by_tag.setdefault(tag.path, []).append(hit)
    sections = list[Section]()
    for path, hits in sorted(hits_by_tag.items(), key=lambda item: -len(item[1])):
        best = sorted(hits, key=lambda hit: hit.score, reverse=True)[:MAX_PREVIEWS]
        sections.append(Section(f"{path}: {format_count(len(hits), 'picture')}", best))
    write_contact_sheet(file, sections or [Section("no tags", [])], "Tags")


def _note_tags(pictures: Sequence[TaggedPicture]) -> None:
    counts = Counter(tag.path for picture in pictures for tag in picture.tags)
    print_note(
        f"{format_count(counts.total(), 'tag')} for {format_count(len(pictures), 'picture')}"
        if pictures
        else "no word fits a picture"
    )


def _note_changes(changes: Iterable[SidecarChange]) -> None:
    counts = Counter(change.action for change in changes)
    parts = [
        f"{counts[action]:,} {action}"
        for action in ("created", "changed", "deleted", "unchanged", "failed")
        if counts[action]
    ]
    print_note(f"sidecars: {', '.join(parts) or 'none'}")
