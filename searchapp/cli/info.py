"""`searchapp info`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import (
    AppCommand,
    json_option,
    library_option,
    print_json,
    printable,
)
from searchapp.types import CollectionInfo


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
    click.echo(f"library      {info.path}")
    click.echo(f"images       {info.images:,} in {info.files:,} files")
    click.echo(f"catalog      {_format_size(info.catalog_bytes)}")
    if resident:
        click.echo(
            f"resident     process {resident['pid']}, running for {resident['seconds']:.0f} s"
        )
    for each in info.collections:
        click.echo(f"\ncollection   {printable(each.name)}")
        click.echo(f"  model      {printable(each.model)} (revision {each.revision[:12]})")
        click.echo(f"  embedded   {each.images:,} images, {each.dimensions} dimensions")
        click.echo(f"  index      {_format_index(each)}")
        click.echo(f"  skipped    {each.failures:,} files")
        click.echo(f"  last run   {each.last_run or 'not complete yet'}")


def _format_index(collection: CollectionInfo) -> str:
    moving_note = f"; moving to {_format_store(collection.vectors_wanted)}" * (
        collection.vectors.partition("?")[0] != collection.vectors_wanted.partition("?")[0]
    )
    if collection.vectors != "faiss":
        lag_note = f", {collection.index_images:,} images indexed so far" * (
            collection.index_images != collection.images
        )
        return f"{collection.index} in {_format_store(collection.vectors)}{lag_note}{moving_note}"
    return _format_index_file(collection) + moving_note


def _format_store(vectors: str) -> str:
    if vectors == "faiss":
        return "a FAISS file"
    return f"Milvus at {printable(vectors.removeprefix('milvus:').partition('?')[0])}"


def _format_index_file(collection: CollectionInfo) -> str:
    if not collection.index_bytes:
        return "not saved yet; queries read the catalog until an index run is complete"
    parts = [_format_size(collection.index_bytes), collection.index]
    if collection.index != "exact":
        parts.append(f"trained with {collection.index_trained:,} images")
    if collection.index_wanted not in ("auto", collection.index):
        parts.append(f"{collection.index_wanted} once there are enough images")
    if collection.index_images != collection.images:
        parts.append(f"{collection.index_images:,} images indexed so far")
    return ", ".join(parts)


def _format_size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit in ("bytes", "kB") else f"{size:.1f} {unit}"
