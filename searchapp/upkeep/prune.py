"""Prune a library: remove images without files, their embeddings and their thumbnails."""

from __future__ import annotations

import logging
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.files import storage
from searchapp.pictures import thumbnail_cache
from searchapp.types import PruneResult
from searchapp.vectors.indexes import Indexes

logger = logging.getLogger(__name__)


def prune_library(
    folder: Path, catalog: Catalog, indexes: Indexes, *, forget_missing: bool, is_dry_run: bool
) -> PruneResult:
    """Remove images without files, with their embeddings and thumbnails; return the counts.

    forget_missing: first remove the rows of files that do not exist now. is_dry_run: count, but
    remove nothing.
    """
    upkeep, missing_paths = catalog.get_maintenance(), list[str]()
    if forget_missing:
        missing_paths = list(storage.find_missing(upkeep.list_paths()))
    with catalog.begin_transaction(is_dry_run):
        forgotten_files, unused_hashes, embeddings = upkeep.find_unused_images(missing_paths)
        if not is_dry_run:
            upkeep.forget_files(missing_paths)
            upkeep.delete_unused_images()
    thumbnails = [
        file for sha256 in unused_hashes for file in thumbnail_cache.list_thumbnails(folder, sha256)
    ]
    compacted = False
    if not is_dry_run:
        for file in thumbnails:
            file.unlink(missing_ok=True)
        for collection in catalog.list_collections():
            list(indexes.save_index(collection))
        compacted = upkeep.compact_file()
    logger.info(
        "%s %d images, %d embeddings and %d thumbnails without files.",
        "Found" if is_dry_run else "Removed",
        len(unused_hashes),
        embeddings,
        len(thumbnails),
    )
    return PruneResult(forgotten_files, len(unused_hashes), embeddings, len(thumbnails), compacted)
