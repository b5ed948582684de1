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

from searchapp.catalog import Catalog, Work
from searchapp.errors import LibraryError
from searchapp.files import storage
from searchapp.files.atomic import complete
from searchapp.files.extras import install_hint
from searchapp.models import select_collection
from searchapp.types import Collection, Header, Known, Loaded, PictureInfo, RunSummary
from searchapp.upkeep.export_rows import INFO, WRONG, header_of, known_of, row_of, said
from searchapp.vectors import are_whole

SUFFIXES = (".npy", ".json", ".parquet")
AT_ONCE = 10_000  # rows that are turned into Parquet at once
Pages = Callable[[], Iterator[list[Known]]]
FOREIGN = (OSError, EOFError, zipfile.BadZipFile, *WRONG)  # what reading any file can raise


def write(file: Path, collection: Collection, pages: Iterable[list[Known]], count: int) -> int:
    """Write a collection's images in pages to a file of one of SUFFIXES; return how many.

    A file appears when it is complete. Errors: LibraryError.
    """
    header = Header(
        collection.model, collection.revision, collection.dimensions, collection.settings
    )
    try:
        match _suffix(file):
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


def load(catalog: Catalog, file: Path, name: str | None) -> tuple[Loaded, Collection]:
    """Add what a file holds and the catalogue does not, to a collection of the same vectors.

    Files count that are there, as they were. Errors: LibraryError, with nothing written.
    """
    header, pages = read(file)
    for _ in pages():
        pass  # all of it can be used, before any of it is
    target = select_collection.for_loading(catalog, header, name)
    embedded, images, files = catalog.embedded(target), 0, 0
    run_id = catalog.writer.start_run(target, [])
    for page in pages():
        there = [
            (Work(each.path, each.size, each.mtime_ns, None), known.sha256)
            for known in page
            for each in known.files
            if _counts(each.path)
        ]
        before = embedded.extent().count
        with catalog.atomic():
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
            catalog.writer.save_files(run_id, [(work, ids[sha256]) for work, sha256 in there])
            vectors = {ids[known.sha256]: known.vector for known in page}
            catalog.writer.save_embeddings(target, vectors)
        images += embedded.extent().count - before
        files += len(there)
    catalog.writer.finish_run(run_id, RunSummary(added=files))
    return Loaded(target.name, images, files), target


def _counts(path: str) -> bool:
    """Tell whether a file counts: what a stranger's export names on the web is not fetched."""
    return storage.may_be_there(path) and not path.startswith(("http://", "https://"))


def read(file: Path) -> tuple[Header, Pages]:
    """Return what a file's vectors were made with, and what yields its images; LibraryError."""
    try:
        match _suffix(file):
            case ".npy":
                header, rows = _read_json(file.with_suffix(".json"))
                vectors = np.load(file, mmap_mode="r", allow_pickle=False)
                return header, lambda: _checked(file, header, _with_vectors(file, rows, vectors))
            case ".parquet":
                header, known = _read_parquet(file)
                return header, lambda: _checked(file, header, known())
            case _:
                header, rows = _read_json(file)
                return header, lambda: _checked(file, header, _with_vectors(file, rows, None))
    except FOREIGN as error:
        raise _no_export(file, error) from error


def _suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise LibraryError(f"{file}: the name has to end in {', '.join(SUFFIXES)}")
    return suffix


# NumPy and JSON


def _write_npy(file: Path, header: Header, pages: Iterable[list[Known]], count: int) -> int:
    shape = (count, header.dimensions)
    with complete(file) as temporary:
        open_memmap: Any = np.lib.format.open_memmap  # untyped in numpy
        vectors = open_memmap(temporary, "w+", np.dtype("<f2"), shape)
        done = 0

        def kept() -> Iterator[list[Known]]:
            nonlocal done
            for page in pages:
                rows = page[: count - done]  # another may have added some meanwhile
                packed = b"".join(known.vector for known in rows)
                stored = np.frombuffer(packed, "<f2").reshape(-1, header.dimensions)
                vectors[done : done + len(rows)] = stored
                done += len(rows)
                yield rows

        written = _write_json(file.with_suffix(".json"), header, kept(), vectors=False)
        if written != count:
            raise LibraryError("the collection has shrunk meanwhile; export again")
        vectors.flush()
    return written


def _write_json(file: Path, header: Header, pages: Iterable[list[Known]], *, vectors: bool) -> int:
    """Write one document, an image a line."""
    count = 0
    with complete(file) as temporary, temporary.open("w", encoding="utf-8") as opened:
        opened.write(json.dumps(asdict(header))[:-1] + ', "images": [')
        for page in pages:
            for known in page:
                row = row_of(known)
                if vectors:
                    row["vector"] = np.frombuffer(known.vector, "<f2").tolist()
                opened.write(("," if count else "") + "\n" + json.dumps(row))
                count += 1
        opened.write("\n]}\n")
    return count


def _read_json(file: Path) -> tuple[Header, list[dict[str, Any]]]:
    document = json.loads(file.read_text(encoding="utf-8"))
    return header_of(document), document["images"]


def _with_vectors(file: Path, rows: list[dict[str, Any]], vectors: Any) -> Iterator[list[Known]]:
    if vectors is not None and len(vectors) != len(rows):
        raise LibraryError(f"{file} has {len(vectors):,} vectors, its .json {len(rows):,} images")
    for start in range(0, len(rows), AT_ONCE):
        page = rows[start : start + AT_ONCE]
        its = map(_vector_of, page) if vectors is None else vectors[start : start + AT_ONCE]
        yield list(known_of(zip(page, its, strict=True), start + 1))


def _vector_of(row: Any) -> Any:
    return row.get("vector") if isinstance(row, dict) else None  # which is of no length


# Parquet


def _write_parquet(file: Path, header: Header, pages: Iterable[list[Known]]) -> int:
    pa, parquet = _pyarrow()
    text, number, whole = pa.string(), pa.float64(), pa.int64()
    types = {
        str: text, str | None: text, int: whole, int | None: whole, float | None: number,
        tuple[str, ...]: pa.list_(text),
    }  # fmt: skip
    hints = get_type_hints(PictureInfo)
    schema = pa.schema(
        [
            ("sha256", pa.string()),
            *((name, types[hints[name]]) for name in INFO),
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
    with complete(file) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for page in pages:
            rows = [
                row_of(known)
                | {"vector": np.frombuffer(known.vector, "<f2").astype(np.float32).tolist()}
                for known in page
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _read_parquet(file: Path) -> tuple[Header, Pages]:
    _, parquet = _pyarrow()
    opened = parquet.ParquetFile(file)
    metadata = opened.schema_arrow.metadata or {}
    header = header_of(json.loads(metadata[b"searchapp"]))

    def pages() -> Iterator[list[Known]]:
        first = 1
        for batch in opened.iter_batches(AT_ONCE):
            rows = batch.to_pylist()
            yield list(known_of(((row, _vector_of(row)) for row in rows), first))
            first += len(rows)

    return header, pages


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise LibraryError(f"Parquet needs pyarrow: {install_hint('parquet')}") from error
    return pyarrow, parquet


def _checked(file: Path, header: Header, pages: Iterator[list[Known]]) -> Iterator[list[Known]]:
    """Let through what can be searched: vectors of the right size, of numbers, of length one."""
    done = 0
    try:
        for page in pages:
            whole = are_whole([known.vector for known in page], header.dimensions)
            if not whole.all():
                row = done + int(whole.argmin()) + 1
                told = f"of length one in {header.dimensions} dimensions"
                raise ValueError(f"row {row:,}: its vector is not {told}")
            done += len(page)
            yield page
    except FOREIGN as error:
        raise _no_export(file, error) from error


def _no_export(file: Path, error: Exception) -> LibraryError:
    return LibraryError(f"{file} is no export of searchapp: {said(error)}")
