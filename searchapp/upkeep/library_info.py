"""Collect the statistics of a library: images, files, size on disk, and its collections."""

from __future__ import annotations

from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.files.library_folder import CATALOG
from searchapp.types import LibraryInfo


def read_library_info(folder: Path, catalog: Catalog) -> LibraryInfo:
    """Return the statistics of the library in a folder."""
    images, files = catalog.count_images_and_files()
    return LibraryInfo(
        path=folder,
        images=images,
        files=files,
        # SQLite keeps recent writes in the files catalog.db-wal and catalog.db-shm.
        catalog_bytes=sum(_get_size_bytes(file) for file in folder.glob(f"{CATALOG}*")),
        collections=tuple(
            catalog.describe_collection(collection) for collection in catalog.list_collections()
        ),
        places=catalog.get_places().read_info(),
        text=catalog.recognized_texts.read_statistics(),
    )


def _get_size_bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
