"""Write and read exports as JSON, with the vectors in the same file or in a .npy file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from searchapp.errors import LibraryError
from searchapp.files import local
from searchapp.files.atomic import write_atomically
from searchapp.types import CatalogedImage, ExportHeader
from searchapp.upkeep.export_rows import image_to_row, parse_header

DIGEST_KEY = "vectors_sha256"  # in a .json file: SHA-256 of the float16 values in the .npy file
DIGEST_TAIL_BYTES = 200  # at the end of a .json file, which hold the digest
BATCH_ROWS = 10_000  # rows in memory at once


def write_npy(
    file: Path, header: ExportHeader, pages: Iterable[list[CatalogedImage]], count: int
) -> int:
    """Write vectors to a .npy file, and the rest to a .json file; return the number of images.

    The .json file holds a digest of the vectors, which import compares: a crash between the two
    replacements must not give an image the vector of another.
    Raises LibraryError if the .json file exists and is something else: the user did not name it.
    """
    description = file.with_suffix(".json")
    if _is_other_file(description):
        raise LibraryError(
            f"{file} cannot be written: its second file would replace {description}, which does "
            "not describe a .npy file; choose another name, or move that file away"
        )
    array = {"descr": "<f2", "fortran_order": False, "shape": (count, header.dimensions)}
    # Ordinary writes report a full disk. A memory map would end the process with SIGBUS.
    with write_atomically(file) as temporary, temporary.open("wb") as stream:
        write_header: Any = np.lib.format.write_array_header_1_0  # NumPy has no type for it.
        write_header(stream, array)
        digest, written_count = hashlib.sha256(), 0

        def write_vectors() -> Iterator[list[CatalogedImage]]:
            nonlocal written_count
            for page in pages:
                rows = page[: count - written_count]  # Another process can add images meanwhile.
                packed = b"".join(image.vector for image in rows)
                stream.write(packed)
                digest.update(packed)
                written_count += len(rows)
                yield rows
            if written_count != count:
                raise LibraryError(
                    f"{file} cannot be written: another process removed images during the export; "
                    "export again"
                )
            stream.flush()  # If the disk is full, fail before the .json file is replaced.
            os.fsync(stream.fileno())

        return write_json(description, header, write_vectors(), get_digest=digest.hexdigest)


def _is_other_file(file: Path) -> bool:
    """Return whether a .json file exists, has content, and does not end with a digest."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - DIGEST_TAIL_BYTES))
        return size > 0 and f'"{DIGEST_KEY}"'.encode() not in stream.read()


def write_json(
    file: Path,
    header: ExportHeader,
    pages: Iterable[list[CatalogedImage]],
    *,
    get_digest: Callable[[], str] | None = None,
) -> int:
    """Write one JSON document with one line for each image; return their number.

    get_digest: returns the digest of the vectors in the .npy file, once all pages are written;
    None: the document itself holds the vectors.
    """
    count = 0
    with write_atomically(file) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(header))[:-1] + ', "images": [')
        for page in pages:
            for image in page:
                row = image_to_row(image)
                if get_digest is None:
                    row["vector"] = np.frombuffer(image.vector, "<f2").tolist()
                stream.write(("," if count else "") + "\n" + json.dumps(row))
                count += 1
        digest = "" if get_digest is None else f', "{DIGEST_KEY}": "{get_digest()}"'
        stream.write(f"\n]{digest}}}\n")
    return count


def read_json(file: Path) -> tuple[ExportHeader, dict[str, Any]]:
    """Return the header of a .json file, and its complete content; raise one of READ_ERRORS."""
    local.require_regular_file(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    return parse_header(document), document


def require_own_vectors(file: Path, document: dict[str, Any]) -> None:
    """Raise LibraryError if a .json file only describes the vectors of a .npy file."""
    if DIGEST_KEY in document:
        vectors = file.with_suffix(".npy")
        raise LibraryError(f"{file} has no vectors, because it belongs to {vectors}; import that")


def load_vectors(file: Path, document: dict[str, Any]) -> Any:
    """Return the array of a .npy file; raise LibraryError if it is not that of the .json file.

    Exports of earlier versions have no digest; only the number of their rows is compared.
    """
    vectors = np.load(file, mmap_mode="r", allow_pickle=False)
    if any(isinstance(row, dict) and "vector" in row for row in document["images"][:1]):
        description = file.with_suffix(".json")
        raise LibraryError(
            f"{description} is an export with vectors, and does not describe {file}; import "
            f"{description}"
        )
    if (expected := document.get(DIGEST_KEY)) is not None:
        digest = hashlib.sha256()
        for start in range(0, len(vectors), BATCH_ROWS):
            digest.update(np.asarray(vectors[start : start + BATCH_ROWS], "<f2").tobytes())
        if digest.hexdigest() != expected:
            raise LibraryError(
                f"{file} and its .json file come from two exports, or one of them was changed; "
                "export both again"
            )
    return vectors
