"""A collection as files that other programs read, and back: NumPy, JSON, Parquet.

Beside a .npy file, which holds nothing but vectors (float16, as they are stored), a .json file of
the same name says what each row is of.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from searchapp.catalog import Catalog, FileTask
from searchapp.errors import LibraryError
from searchapp.files import storage
from searchapp.files.atomic import write_atomically
from searchapp.files.extras import install_hint
from searchapp.models import select_collection
from searchapp.types import (
    CatalogedImage,
    Collection,
    ExportHeader,
    ImportResult,
    PictureInfo,
    RunSummary,
)
from searchapp.upkeep.export_rows import (
    INFO_TESTS,
    ROW_ERRORS,
    describe_error,
    known_to_row,
    parse_header,
    parse_rows,
)
from searchapp.vectors import are_valid

EXPORT_SUFFIXES = (".npy", ".json", ".parquet")
BATCH_ROWS = 10_000  # rows that are turned into Parquet at once
ReadPages = Callable[[], Iterator[list[CatalogedImage]]]
READ_ERRORS = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    *ROW_ERRORS,
)  # what reading any file can raise


def write_export(
    file: Path, collection: Collection, pages: Iterable[list[CatalogedImage]], count: int
) -> int:
    """Write a collection's images in pages to a file of one of SUFFIXES; return how many.

    A file appears when it is complete. Errors: LibraryError.
    """
    header = ExportHeader(
        collection.model, collection.revision, collection.dimensions, collection.settings
    )
    try:
        match _get_suffix(file):
            case ".npy":
                return _write_npy(file, header, pages, count)
            case ".parquet":
                return _write_parquet(file, header, pages)
            case _:
                return _write_json(file, header, pages, vectors=True)
    except OSError as error:
        raise LibraryError(f"{file} cannot be written: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise LibraryError(
            f"{file} cannot be written: Parquet takes no file name that is no UTF-8, as one here "
            "is; .npy and .json do"
        ) from error


def load_export(catalog: Catalog, file: Path, name: str | None) -> tuple[ImportResult, Collection]:
    """Add what a file holds and the catalogue does not, to a collection of the same vectors.

    Files count that are there, as they were. Errors: LibraryError, with nothing written.
    """
    header, pages = read_export(file)
    for _ in pages():
        pass  # all of it can be used, before any of it is
    target = select_collection.get_or_add_for_import(catalog, header, name)
    target_embeddings, images, files = catalog.get_embeddings(target), 0, 0
    run_id = catalog.writer.start_run(target, [])
    for page in pages():
        existing_files = [
            (FileTask(each.path, each.size, each.mtime_ns, None), known.sha256)
            for known in page
            for each in known.files
            if _is_usable_file(each.path)
        ]
        count_before = target_embeddings.read_extent().count
        with catalog.write_transaction():
            frames = [
                (known.sha256, known.video, known.seconds or 0.0) for known in page if known.video
            ]
            # A video may come on a later page than its frame, of which it says the same.
            infos = {known.video: known.info for known in page if known.video}
            infos |= {known.sha256: known.info for known in page}
            ids = catalog.writer.save_images(infos)
            catalog.writer.save_frames(
                (ids[its], ids[video], seconds) for its, video, seconds in frames
            )
            catalog.writer.save_files(
                run_id, [(work, ids[sha256]) for work, sha256 in existing_files]
            )
            vectors = {ids[known.sha256]: known.vector for known in page}
            catalog.writer.save_embeddings(target, vectors)
        images += target_embeddings.read_extent().count - count_before
        files += len(existing_files)
    catalog.writer.finish_run(run_id, RunSummary(added=files))
    return ImportResult(target.name, images, files), target


def _is_usable_file(path: str) -> bool:
    """Tell whether a file counts: what a stranger's export names on the web is not fetched."""
    return storage.can_exist(path) and not path.startswith(("http://", "https://"))


def read_export(file: Path) -> tuple[ExportHeader, ReadPages]:
    """Return what a file's vectors were made with, and what yields its images; LibraryError."""
    try:
        match _get_suffix(file):
            case ".npy":
                header, rows = _read_json(file.with_suffix(".json"))
                vectors = np.load(file, mmap_mode="r", allow_pickle=False)
                return header, lambda: _check_pages(
                    file, header, _join_vectors(file, rows, vectors)
                )
            case ".parquet":
                header, known = _read_parquet(file)
                return header, lambda: _check_pages(file, header, known())
            case _:
                header, rows = _read_json(file)
                return header, lambda: _check_pages(file, header, _join_vectors(file, rows, None))
    except READ_ERRORS as error:
        raise _make_format_error(file, error) from error


def _get_suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in EXPORT_SUFFIXES:
        raise LibraryError(f"{file}: the name has to end in {', '.join(EXPORT_SUFFIXES)}")
    return suffix


# NumPy and JSON


def _write_npy(
    file: Path, header: ExportHeader, pages: Iterable[list[CatalogedImage]], count: int
) -> int:
    shape = (count, header.dimensions)
    with write_atomically(file) as temporary:
        open_memmap: Any = np.lib.format.open_memmap  # untyped in numpy
        vectors = open_memmap(temporary, "w+", np.dtype("<f2"), shape)
        written_count = 0

        def write_vectors() -> Iterator[list[CatalogedImage]]:
            nonlocal written_count
            for page in pages:
                rows = page[: count - written_count]  # another may have added some meanwhile
                packed = b"".join(known.vector for known in rows)
                stored = np.frombuffer(packed, "<f2").reshape(-1, header.dimensions)
                vectors[written_count : written_count + len(rows)] = stored
                written_count += len(rows)
                yield rows

        written = _write_json(file.with_suffix(".json"), header, write_vectors(), vectors=False)
        if written != count:
            raise LibraryError("the collection has shrunk meanwhile; export again")
        vectors.flush()
    return written


def _write_json(
    file: Path, header: ExportHeader, pages: Iterable[list[CatalogedImage]], *, vectors: bool
) -> int:
    """Write one document, an image a line."""
    count = 0
    with write_atomically(file) as temporary, temporary.open("w", encoding="utf-8") as opened:
        opened.write(json.dumps(asdict(header))[:-1] + ', "images": [')
        for page in pages:
            for known in page:
                row = known_to_row(known)
                if vectors:
                    row["vector"] = np.frombuffer(known.vector, "<f2").tolist()
                opened.write(("," if count else "") + "\n" + json.dumps(row))
                count += 1
        opened.write("\n]}\n")
    return count


def _read_json(file: Path) -> tuple[ExportHeader, list[dict[str, Any]]]:
    document = json.loads(file.read_text(encoding="utf-8"))
    return parse_header(document), document["images"]


def _join_vectors(
    file: Path, rows: list[dict[str, Any]], vectors: Any
) -> Iterator[list[CatalogedImage]]:
    if vectors is not None and len(vectors) != len(rows):
        raise LibraryError(f"{file} has {len(vectors):,} vectors, its .json {len(rows):,} images")
    for start in range(0, len(rows), BATCH_ROWS):
        page = rows[start : start + BATCH_ROWS]
        page_vectors = (
            map(_get_row_vector, page) if vectors is None else vectors[start : start + BATCH_ROWS]
        )
        yield list(parse_rows(zip(page, page_vectors, strict=True), start + 1))


def _get_row_vector(row: Any) -> Any:
    return row.get("vector") if isinstance(row, dict) else None  # which is of no length


# Parquet


def _write_parquet(file: Path, header: ExportHeader, pages: Iterable[list[CatalogedImage]]) -> int:
    pa, parquet = _import_pyarrow()
    text, number, whole = pa.string(), pa.float64(), pa.int64()
    types = {
        str: text, str | None: text, int: whole, int | None: whole, float | None: number,
        tuple[str, ...]: pa.list_(text),
    }  # fmt: skip
    hints = get_type_hints(PictureInfo)
    schema = pa.schema(
        [
            ("sha256", pa.string()),
            *((name, types[hints[name]]) for name in INFO_TESTS),
            ("files", pa.list_(pa.struct(
                [("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64())]
            ))),
            ("video", pa.string()),
            ("seconds", pa.float64()),
            ("vector", pa.list_(pa.float32(), header.dimensions)),
        ],
        metadata={"searchapp": json.dumps(asdict(header))},
    )  # fmt: skip
    count = 0
    with write_atomically(file) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for page in pages:
            rows = [
                known_to_row(known)
                | {"vector": np.frombuffer(known.vector, "<f2").astype(np.float32).tolist()}
                for known in page
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _read_parquet(file: Path) -> tuple[ExportHeader, ReadPages]:
    _, parquet = _import_pyarrow()
    opened = parquet.ParquetFile(file)
    metadata = opened.schema_arrow.metadata or {}
    header = parse_header(json.loads(metadata[b"searchapp"]))

    def pages() -> Iterator[list[CatalogedImage]]:
        first = 1
        for batch in opened.iter_batches(BATCH_ROWS):
            rows = batch.to_pylist()
            yield list(parse_rows(((row, _get_row_vector(row)) for row in rows), first))
            first += len(rows)

    return header, pages


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise LibraryError(f"Parquet needs pyarrow: {install_hint('parquet')}") from error
    return pyarrow, parquet


def _check_pages(
    file: Path, header: ExportHeader, pages: Iterator[list[CatalogedImage]]
) -> Iterator[list[CatalogedImage]]:
    """Let through what can be searched: vectors of the right size, of numbers, of length one."""
    checked_count = 0
    try:
        for page in pages:
            is_valid = are_valid([known.vector for known in page], header.dimensions)
            if not is_valid.all():
                row = checked_count + int(is_valid.argmin()) + 1
                requirement = f"of length one in {header.dimensions} dimensions"
                raise ValueError(f"row {row:,}: its vector is not {requirement}")
            checked_count += len(page)
            yield page
    except READ_ERRORS as error:
        raise _make_format_error(file, error) from error


def _make_format_error(file: Path, error: Exception) -> LibraryError:
    return LibraryError(f"{file} is no export of searchapp: {describe_error(error)}")
