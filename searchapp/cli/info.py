"""`searchapp info`."""

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
from searchapp.types import CollectionInfo


@click.command(cls=AppCommand)
@json_option
@library_option
def command(as_json: bool, library: Path | None) -> None:
    """Show what the library holds: images, files, collections and their models.

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
    click.echo(f"library      {info.path}")
    click.echo(f"images       {info.images:,} in {info.files:,} files")
    click.echo(f"catalogue    {_format_size(info.catalog_bytes)}")
    if resident:
        click.echo(f"resident     process {resident['pid']}, for {resident['seconds']:.0f} s")
    for each in info.collections:
        click.echo(f"\ncollection   {printable(each.name)}")
        click.echo(f"  model      {printable(each.model)} (revision {each.revision[:12]})")
        click.echo(f"  embedded   {each.images:,} images, {each.dimensions} dimensions")
        click.echo(f"  index      {_format_index(each)}")
        click.echo(f"  left out   {each.failures:,} files")
        click.echo(f"  last run   {each.last_run or 'none was complete'}")


def _format_index(each: CollectionInfo) -> str:
    moving_note = f"; on the way to {_format_store(each.vectors_wanted)}" * (
        each.vectors.partition("?")[0] != each.vectors_wanted.partition("?")[0]
    )
    if each.vectors != "faiss":
        lag_note = f", {each.index_images:,} images in it so far" * (
            each.index_images != each.images
        )
        return f"{each.index} in {_format_store(each.vectors)}{lag_note}{moving_note}"
    return _format_index_file(each) + moving_note


def _format_store(vectors: str) -> str:
    if vectors == "faiss":
        return "a FAISS file"
    return f"Milvus at {printable(vectors.removeprefix('milvus:').partition('?')[0])}"


def _format_index_file(each: CollectionInfo) -> str:
    if not each.index_bytes:
        return "not saved yet; queries read the catalogue, the next complete run saves it"
    parts = [_format_size(each.index_bytes), each.index]
    if each.index != "exact":
        parts.append(f"trained with {each.index_trained:,} images")
    if each.index_wanted not in ("auto", each.index):
        parts.append(f"{each.index_wanted} when there are enough images")
    if each.index_images != each.images:
        parts.append(f"{each.index_images:,} images in it so far")
    return ", ".join(parts)


def _format_size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit in ("bytes", "kB") else f"{size:.1f} {unit}"
