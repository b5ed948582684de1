"""Collect the statistics of a library: images, files, size on disk, and its collections."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from searchapp.catalog import Catalog
from searchapp.files.library_folder import CATALOG
from searchapp.types import Collection, CollectionInfo, LibraryInfo
from searchapp.vectors.faiss_files.vector_file import get_vector_file


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
            _describe_collection(folder, catalog, collection)
            for collection in catalog.list_collections()
        ),
        places=catalog.get_places().read_info(),
        text=catalog.recognized_texts.read_statistics(),
    )


def _describe_collection(folder: Path, catalog: Catalog, collection: Collection) -> CollectionInfo:
    described = catalog.describe_collection(collection)
    index_file = catalog.get_embeddings(collection).read_saved_index().file
    file = get_vector_file(folder / index_file) if index_file else None
    if file is None or not file.exists():
        return described
    # The file has holes, which take no space. Windows does not know the number of blocks.
    state = file.stat()
    used_bytes = state.st_size if os.name == "nt" else state.st_blocks * 512
    return replace(described, vector_file_bytes=used_bytes)


def _get_size_bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
