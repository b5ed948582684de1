"""Save the vector file of an index: share the rows of the old one, or write all again."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from searchapp.catalog import CollectionEmbeddings
from searchapp.types import EmbeddingExtent, SavedIndex, format_count
from searchapp.vectors.faiss_files.vector_file import (
    VectorFile,
    extend_vector_file,
    get_vector_file,
    write_vector_file,
)

logger = logging.getLogger(__name__)


def save_vector_file(
    index_file: Path,
    old: SavedIndex,
    now: EmbeddingExtent,
    embedded: CollectionEmbeddings,
    dimensions: int,
) -> None:
    """Write the vector file of a new index file, durably; share the rows of the old vector file.

    old: the record of the old index. now: the extent of the embeddings in the new index. If writing
    fails, the index has no vector file: searches then read the vectors from the catalog.
    """
    try:
        _save(index_file, old, now, embedded, dimensions)
    except OSError as error:
        logger.info(
            "Cannot save %s: %s. Searches read the vectors from the catalog",
            get_vector_file(index_file).name, error,
        )  # fmt: skip


def restore_vector_file(
    index_file: Path, saved: SavedIndex, embedded: CollectionEmbeddings, dimensions: int
) -> None:
    """Write the vector file of a saved index if it is missing, too short, or damaged.

    An index that an older version saved has none.
    """
    if not _is_usable(get_vector_file(index_file), dimensions, saved.last_id):
        rewrite_vector_file(index_file, saved, embedded, dimensions)


def rewrite_vector_file(
    index_file: Path, saved: SavedIndex, embedded: CollectionEmbeddings, dimensions: int
) -> None:
    """Replace the vector file of a saved index; if writing fails, the index has none."""
    with suppress(OSError):  # On Windows, a reader can hold the file open.
        get_vector_file(index_file).unlink(missing_ok=True)
    save_vector_file(index_file, SavedIndex(), saved.extent, embedded, dimensions)


def find_vector_file_damage(
    index_file: Path, saved: SavedIndex, embedded: CollectionEmbeddings, dimensions: int
) -> str | None:
    """Return how the vector file of a saved index differs from the catalog; None if it does not.

    A missing file is no damage: an older version saved none, and the next index run writes it.
    """
    file = get_vector_file(index_file)
    if not file.exists():
        return None
    vectors = VectorFile.open(file, dimensions, saved.last_id)
    if vectors is None:
        return f"the header or the size of {file.name} is wrong"
    pages = embedded.read_vectors_after(0, saved.last_id)
    if count := vectors.count_damaged_rows(pages):
        return f"{file.name} differs from the catalog in {format_count(count, 'vector')}"
    return None


def _save(
    index_file: Path,
    old: SavedIndex,
    now: EmbeddingExtent,
    embedded: CollectionEmbeddings,
    dimensions: int,
) -> None:
    file = get_vector_file(index_file)
    old_file = get_vector_file(index_file.with_name(old.file)) if old.file else None
    if (
        old_file is not None
        and old.deletions == now.deletions
        and _is_usable(old_file, dimensions, old.last_id)
    ):
        pages = embedded.read_vectors_after(old.last_id, now.last_id)
        extend_vector_file(file, old_file, dimensions, now.last_id, pages)
        return
    # A file that the disk cannot hold would fill it for a while, at every run.
    if shutil.disk_usage(file.parent).free < 2 * dimensions * now.count:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    pages = embedded.read_vectors_after(0, now.last_id)
    first_page = next(pages, None)
    if first_page is not None:
        first_id = first_page[0][0]
        all_pages = itertools.chain([first_page], pages)
        write_vector_file(file, dimensions, first_id, now.last_id, all_pages)


def _is_usable(file: Path, dimensions: int, last_id: int) -> bool:
    opened = VectorFile.open(file, dimensions, last_id)
    return opened is not None and not opened.has_damage()
