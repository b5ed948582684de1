"""Write and read exports as Parquet, with pyarrow: one row for each image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from searchapp.errors import LibraryError
from searchapp.files.atomic import write_atomically
from searchapp.files.extras import install_hint
from searchapp.types import CatalogedImage, ExportHeader, PictureInfo
from searchapp.upkeep.export_rows import FILE_INFO_KEY, image_to_row, parse_header, parse_rows
from searchapp.upkeep.export_values import INFO_TESTS

ReadPages = Callable[[], Iterator[list[CatalogedImage]]]


def write_parquet(file: Path, header: ExportHeader, pages: Iterable[list[CatalogedImage]]) -> int:
    """Write images to a Parquet file; return how many.

    Raises UnicodeEncodeError for a path that is not valid UTF-8.
    """
    pa, parquet = _import_pyarrow()
    type_by_hint = {
        str: pa.string(),
        str | None: pa.string(),
        int: pa.int64(),
        int | None: pa.int64(),
        float | None: pa.float64(),
        tuple[str, ...]: pa.list_(pa.string()),
    }
    hints = get_type_hints(PictureInfo)
    schema = pa.schema(
        [
            ("sha256", pa.string()),
            *((name, type_by_hint[hints[name]]) for name in INFO_TESTS),
            ("files", pa.list_(pa.struct(
                [("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()),
                 (FILE_INFO_KEY, pa.string())]  # as JSON
            ))),
            ("video", pa.string()),
            ("seconds", pa.float64()),
            ("vector", pa.list_(pa.float32(), header.dimensions)),
        ],
        metadata={"searchapp": json.dumps(asdict(header))},
    )  # fmt: skip
    count = 0
    # pyarrow gets open files, because it refuses paths that are not UTF-8.
    with (
        write_atomically(file) as temporary,
        temporary.open("wb") as stream,
        parquet.ParquetWriter(stream, schema) as writer,
    ):
        for page in pages:
            rows = [
                _convert_file_infos(image_to_row(image), json.dumps)
                | {"vector": np.frombuffer(image.vector, "<f2").astype(np.float32).tolist()}
                for image in page
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def read_parquet(file: Path, batch_rows: int) -> tuple[ExportHeader, ReadPages]:
    """Return the header of a Parquet file, and a function that yields its images in pages."""
    _, parquet = _import_pyarrow()
    with file.open("rb") as stream:
        metadata = parquet.ParquetFile(stream).schema_arrow.metadata or {}
    header = parse_header(json.loads(metadata[b"searchapp"]))

    def read_pages() -> Iterator[list[CatalogedImage]]:
        first_number = 1
        with file.open("rb") as stream:
            for batch in parquet.ParquetFile(stream).iter_batches(batch_rows):
                rows = [_convert_file_infos(row, json.loads) for row in batch.to_pylist()]
                yield list(parse_rows(((row, row.get("vector")) for row in rows), first_number))
                first_number += len(rows)

    return header, read_pages


def _convert_file_infos(row: dict[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    """Convert the metadata of the files in a row to or from JSON; changes row in place."""
    for file in row.get("files") or ():
        if file is not None and file.get(FILE_INFO_KEY) is not None:
            file[FILE_INFO_KEY] = convert(file[FILE_INFO_KEY])
    return row


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise LibraryError(
            f"reading and writing Parquet needs the extra parquet: {install_hint('parquet')}"
        ) from error
    return pyarrow, parquet
