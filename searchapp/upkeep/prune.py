"""Remove what belongs to pictures that are gone."""

from __future__ import annotations

from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.files import storage
from searchapp.types import Pruned
from searchapp.vectors.indexes import Indexes


def prune(folder: Path, catalog: Catalog, indexes: Indexes, *, missing: bool, dry: bool) -> Pruned:
    """Remove images that no file of a library holds, with embeddings and thumbnails.

    missing: forget files that are not there now, first. dry: only tell.
    """
    upkeep, gone = catalog.upkeep(), list[str]()
    if missing:
        gone = list(storage.missing(upkeep.paths()))
    with catalog.rehearsed(dry):
        upkeep.forget(gone)
        unused, embeddings = upkeep.unused()
        if not dry:
            upkeep.drop_unused()
    thumbnails = [
        file
        for sha256 in unused
        for file in (folder / "thumbnails" / sha256[:2]).glob(f"{sha256}-*.webp")
    ]
    compacted = False
    if not dry:
        for file in thumbnails:
            file.unlink(missing_ok=True)
        for collection in catalog.collections():
            list(indexes.save(collection))
        compacted = upkeep.compact()
    return Pruned(len(gone), len(unused), embeddings, len(thumbnails), compacted)
