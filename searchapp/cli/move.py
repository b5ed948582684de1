"""`searchapp move`."""

from __future__ import annotations

from pathlib import Path

import click

from searchapp.cli.log_output import print_note
from searchapp.cli.shared_options import AppCommand, collection_option, library_option
from searchapp.errors import Interrupted
from searchapp.types import format_count


@click.command(cls=AppCommand)
@click.argument("vectors", metavar="faiss|milvus:URL|milvus:FILE.db")
@collection_option
@library_option
def command(vectors: str, collection: str | None, library: Path | None) -> None:
    """Move a collection's vectors to a FAISS file or to Milvus.

    Nothing is embedded again, because the catalog holds every vector. The old store answers queries
    until the new store is complete. Then the vectors in the old store are deleted. If the move is
    interrupted, run the same command or any `searchapp index` to finish it.

    Options for Milvus follow its address: first a ?, then the options with & between them. These
    options create the Milvus collection: index (by default HNSW on a server, FLAT in a file), M,
    nlist, efConstruction and shards. These options apply to queries: ef, nprobe, rerank (yes or
    no), replicas, consistency (Strong, Bounded, Session or Eventually) and timeout (seconds).

    Set SEARCHAPP_MILVUS_TOKEN to a password or token. This command also accepts a password in the
    URL (http://USER:PASSWORD@HOST), but does not store it: later commands need the variable.

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
            raise Interrupted("stopped. Run the same command again to continue") from None
        collections = {each.name: each for each in opened.info().collections}
    moved = next(iter(collections.values())) if collection is None else collections[collection]
    print_note(f"{moved.name}: {format_count(moved.index_images, 'vector')} in {moved.vectors}")
