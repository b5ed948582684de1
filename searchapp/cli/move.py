"""`searchapp move`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.shared_options import AppCommand, collection_option, library_option, print_note
from searchapp.errors import Interrupted


@click.command(cls=AppCommand)
@click.argument("vectors", metavar="faiss|milvus:URL|milvus:FILE.db")
@collection_option
@library_option
def command(vectors: str, collection: str | None, library: Path | None) -> None:
    """Keep a collection's vectors elsewhere: in a FAISS file, or in Milvus.

    Nothing is embedded: the catalogue has every vector. The old place answers until the new one is
    complete, and is cleared then. It can be interrupted; the same command, and any index, goes on.

    Behind ? stand options, joined by &: index (HNSW on a server, FLAT in a file), M, nlist,
    efConstruction and shards are how the collection is made; ef, nprobe, rerank (yes or no),
    replicas, consistency (Strong, Bounded, Session, Eventually) and timeout (seconds) how it is
    asked. A password or token is best given by SEARCHAPP_MILVUS_TOKEN; in a URL
    (http://USER:PASSWORD@HOST) it counts for this command alone, and is stored nowhere.

    \b
    searchapp move milvus:http://localhost:19530
    searchapp move 'milvus:https://milvus.example.org/photos?index=HNSW&M=32&shards=4'
    searchapp move milvus:vectors.db
    searchapp move faiss
    """
    from searchapp.cli.progress import show_events
    from searchapp.library import Library

    with Library.open(library, tell=print_note) as opened:
        try:
            show_events(opened.move(vectors, collection))
        except KeyboardInterrupt:
            raise Interrupted("stopped; the same command goes on from here") from None
        collections = {each.name: each for each in opened.info().collections}
    moved = next(iter(collections.values())) if collection is None else collections[collection]
    print_note(f"{moved.name}: {moved.index_images:,} vectors in {moved.vectors}")
