"""Export a collection to NumPy, JSON or Parquet for other programs, and import such files.

A .npy file holds only the vectors, as stored (float16). A .json file with the same base name
describes the image of each row.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from searchapp.catalog import Catalog, FileTask
from searchapp.errors import LibraryError
from searchapp.files import local, storage
from searchapp.files.atomic import WRITE_REMEDY
from searchapp.models import select_collection
from searchapp.types import (
    CatalogedImage,
    Collection,
    ExportHeader,
    ImportResult,
    RunSummary,
    SavedSearch,
    format_count,
)
from searchapp.upkeep.export_rows import (
    ROW_ERRORS,
    describe_error,
    parse_rows,
)
from searchapp.upkeep.json_export import (
    BATCH_ROWS,
    load_vectors,
    read_json,
    require_own_vectors,
    write_json,
    write_npy,
)
from searchapp.upkeep.parquet_export import ReadPages, read_parquet, write_parquet
from searchapp.vectors import are_valid

logger = logging.getLogger(__name__)

EXPORT_SUFFIXES = (".npy", ".json", ".parquet")
# Errors that NumPy, json and pyarrow raise for a file that is not an export.
READ_ERRORS = (OSError, EOFError, zipfile.BadZipFile, *ROW_ERRORS)


def export_collection(
    catalog: Catalog, file: Path, name: str | None, saved_searches: Iterable[SavedSearch]
) -> int:
    """Write a collection of the catalog to a file; see write_export.

    name: of the collection; None: the one of the latest index run.
    """
    collection = select_collection.get_collection(catalog, name)
    count = catalog.get_embeddings(collection).read_extent().count
    pages = catalog.get_maintenance().read_images(collection)
    return write_export(file, collection, pages, count, saved_searches)


def write_export(
    file: Path,
    collection: Collection,
    pages: Iterable[list[CatalogedImage]],
    count: int,
    saved_searches: Iterable[SavedSearch] = (),
) -> int:
    """Write a collection's images to a file of a format in EXPORT_SUFFIXES; return their count.

    pages: yields the images. count: the number of images. saved_searches: those of the library.
    The file appears once it is complete.
    Raises LibraryError if the file cannot be written.
    """
    header = ExportHeader(
        collection.model,
        collection.revision,
        collection.dimensions,
        collection.settings,
        saved_searches=tuple(search.to_dict() for search in saved_searches),
    )
    try:
        match _get_suffix(file):
            case ".npy":
                return write_npy(file, header, pages, count)
            case ".parquet":
                return write_parquet(file, header, pages)
            case _:
                return write_json(file, header, pages)
    except OSError as error:
        raise LibraryError(
            f"{file} cannot be written: {error.strerror or error}. {WRITE_REMEDY}"
        ) from error
    except UnicodeEncodeError as error:
        raise LibraryError(
            f"{file} cannot be written: Parquet needs paths in UTF-8, but the path of a picture is "
            "not valid UTF-8; export to .npy or .json"
        ) from error


def load_export(catalog: Catalog, file: Path, name: str | None) -> tuple[ImportResult, Collection]:
    """Import from an export file the images and embeddings that the catalog lacks.

    name: the collection to import into; None: the first collection that matches the export, or a
    new one. The paths of existing files are imported, too.
    Raises LibraryError if any value in the file is invalid; then nothing is imported.
    """
    header, pages = read_export(file)
    for _ in pages():
        pass  # Validate all pages before the first one is written.
    target = select_collection.get_or_add_for_import(catalog, header, name)
    target_embeddings, image_count, file_count = catalog.get_embeddings(target), 0, 0
    run_id = catalog.writer.start_run(target, [])
    for page in pages():
        existing_files = [
            (FileTask(file.path, file.size, file.mtime_ns, None), image.sha256)
            for image in page
            for file in image.files
            if _is_usable_file(file.path)
        ]
        count_before = target_embeddings.read_extent().count
        with catalog.write_transaction():
            frames = [
                (image.sha256, image.video, image.seconds or 0.0) for image in page if image.video
            ]
            # A video can come on a later page than its frames, which have the same metadata.
            infos = {image.video: image.info for image in page if image.video}
            infos |= {image.sha256: image.info for image in page}
            ids = catalog.writer.save_images(infos)
            catalog.writer.save_frames(
                (ids[frame], ids[video], seconds) for frame, video, seconds in frames
            )
            catalog.writer.save_files(
                run_id, [(task, ids[sha256]) for task, sha256 in existing_files]
            )
            file_infos = {
                ids[image.sha256]: own
                for image in page
                if (own := {file.path: file.info for file in image.files if file.info is not None})
            }
            catalog.writer.save_file_metadata(file_infos)
            vectors = {ids[image.sha256]: image.vector for image in page}
            catalog.writer.save_embeddings(target, vectors)
        image_count += target_embeddings.read_extent().count - count_before
        file_count += len(existing_files)
    _add_saved_searches(catalog, header)
    catalog.writer.finish_run(run_id, RunSummary(added=file_count))
    logger.info(
        "Imported %d new images and the paths of %d files into the collection %s.",
        image_count,
        file_count,
        target.name,
    )
    return ImportResult(target.name, image_count, file_count), target


def _add_saved_searches(catalog: Catalog, header: ExportHeader) -> None:
    """Add the saved searches of an export whose names are free, without their folders of links."""
    table = catalog.get_saved_searches()
    for search in map(SavedSearch.from_dict, header.saved_searches):
        images = [term.image or "" for term in search.terms]
        if any(map(_is_web_address, images)) or table.find(search.name) is not None:
            logger.info("Did not import a saved search: its name is used, or it has a URL.")
        else:
            table.add(search)


def _is_usable_file(path: str) -> bool:
    """Return whether to import this path of a file from an export.

    URLs are not imported: an export of a stranger must not make searchapp fetch URLs later.
    """
    return storage.is_there(path) and not _is_web_address(path)


def _is_web_address(path: str) -> bool:
    return path.startswith(("http://", "https://"))


def read_export(file: Path) -> tuple[ExportHeader, ReadPages]:
    """Return the header of an export, and a function that yields its images in pages.

    The function validates the images. Both raise LibraryError if the file is not a valid export.
    """
    try:
        local.require_regular_file(file)
        match _get_suffix(file):
            case ".npy":
                description = file.with_suffix(".json")
                if not description.exists():
                    raise LibraryError(
                        f"{file} cannot be imported: its second file {description} is missing. "
                        "Copy both files of the export into one folder, or export again."
                    )
                header, document = read_json(description)
                vectors = load_vectors(file, document)
                return header, lambda: _check_pages(
                    file, header, _join_vectors(file, document["images"], vectors)
                )
            case ".parquet":
                header, read_pages = read_parquet(file, BATCH_ROWS)
                return header, lambda: _check_pages(file, header, read_pages())
            case _:
                header, document = read_json(file)
                require_own_vectors(file, document)
                return header, lambda: _check_pages(
                    file, header, _join_vectors(file, document["images"], None)
                )
    except READ_ERRORS as error:
        raise _make_format_error(file, error) from error


def _get_suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in EXPORT_SUFFIXES:
        raise LibraryError(
            f"{file}: unknown export format; the name must end in {', '.join(EXPORT_SUFFIXES)}"
        )
    return suffix


def _join_vectors(
    file: Path, rows: list[dict[str, Any]], vectors: Any
) -> Iterator[list[CatalogedImage]]:
    if vectors is not None and len(vectors) != len(rows):
        raise LibraryError(
            f"{file} has {format_count(len(vectors), 'vector')}, but its .json file has "
            f"{format_count(len(rows), 'image')}; export both again"
        )
    for start in range(0, len(rows), BATCH_ROWS):
        page = rows[start : start + BATCH_ROWS]
        page_vectors = (
            map(_get_row_vector, page) if vectors is None else vectors[start : start + BATCH_ROWS]
        )
        yield list(parse_rows(zip(page, page_vectors, strict=True), start + 1))


def _get_row_vector(row: Any) -> Any:
    return (
        row.get("vector") if isinstance(row, dict) else None
    )  # None fails the test of the vector.


def _check_pages(
    file: Path, header: ExportHeader, pages: Iterator[list[CatalogedImage]]
) -> Iterator[list[CatalogedImage]]:
    """Yield the pages of an export; raise LibraryError for the first invalid vector.

    A valid vector has the dimension of the export, norm 1, and only finite values.
    """
    checked_count = 0
    try:
        for page in pages:
            is_valid = are_valid([image.vector for image in page], header.dimensions)
            if not is_valid.all():
                row = checked_count + int(is_valid.argmin()) + 1
                requirement = f"{header.dimensions} finite values and norm 1"
                raise ValueError(f"row {row:,}: the vector must have {requirement}")
            checked_count += len(page)
            yield page
    except READ_ERRORS as error:
        raise _make_format_error(file, error) from error


def _make_format_error(file: Path, error: Exception) -> LibraryError:
    reason = describe_error(error).rstrip(".")
    return LibraryError(f"{file} is not a valid export of searchapp: {reason}; export it again")
