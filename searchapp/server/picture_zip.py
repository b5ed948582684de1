"""Stream a zip of original files: one after the other, without a temporary file.

zipfile writes to a stream that cannot seek: the sizes and checksums follow the content of each
file. Nothing is compressed, because pictures and videos are compressed already.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from searchapp.catalog import LocatedImage
from searchapp.errors import PictureError
from searchapp.pictures.originals import open_original
from searchapp.server.zip_names import UniqueNames, make_safe_name
from searchapp.types import Original, format_count

logger = logging.getLogger(__name__)
CHUNK_BYTES = 1 << 18
REPORT_NAME = "missing.txt"
FIRST_YEAR, LAST_YEAR = 1980, 2107  # of the times in a zip


def stream_zip(
    images: Sequence[LocatedImage], missing: Sequence[str]
) -> Generator[bytes, None, None]:
    """Yield the bytes of a zip with the original file of each image.

    A file that is gone or is not the indexed one is left out, and named in REPORT_NAME in the zip.
    missing: the first lines of this file.
    """
    sink, report, names = _Sink(), list(missing), UniqueNames(REPORT_NAME)
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for image in images:
            problem = yield from _add_image(archive, sink, image, names)
            if problem is not None:
                report.append(problem)
        if report:
            text = "These files are not in this zip, or not completely:\n\n" + "\n".join(report)
            archive.writestr(REPORT_NAME, f"{text}\n".encode())
    logger.info("Sent a zip of %s; %d problems.", format_count(len(images), "picture"), len(report))
    yield sink.take()


def _add_image(
    archive: ZipFile, sink: _Sink, image: LocatedImage, names: UniqueNames
) -> Generator[bytes, None, str | None]:
    """Add the first file of an image that is still the indexed one; yield the bytes to send.

    Returns why the file is missing or incomplete; None if it is complete.
    """
    problem = None
    for original in image.originals:
        safe_name, name = make_safe_name(original.path), None
        try:
            with open_original(original) as file:
                name = names.add(safe_name)
                yield from _add_file(archive, sink, file, _make_entry(name, original))
            return None
        except (PictureError, OSError) as error:
            # The message of a store can have the address of the file.
            reason = str(error).replace(original.path, safe_name)
            problem = f"{name or safe_name}: {reason}"
            if name is not None:  # Its beginning is sent already.
                break
    return problem or f"image {image.image_id}: the library has no file of it"


def _add_file(archive: ZipFile, sink: _Sink, file: BinaryIO, entry: ZipInfo) -> Iterator[bytes]:
    with archive.open(entry, "w") as target:
        while chunk := file.read(CHUNK_BYTES):
            target.write(chunk)
            yield sink.take()


def _make_entry(name: str, original: Original) -> ZipInfo:
    """Return the header of a file in the zip: its name, its time and its size."""
    changed_at = datetime.fromtimestamp((original.mtime_ns or 0) // 10**9)
    year = min(max(changed_at.year, FIRST_YEAR), LAST_YEAR)
    entry = ZipInfo(name, (year, *changed_at.timetuple()[1:6]))
    entry.file_size = original.size or 0  # decides whether the entry needs 64-bit sizes
    entry.external_attr = 0o644 << 16
    return entry


class _Sink:
    """File that keeps what is written until take() returns it; it cannot seek."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: zipfile calls it."""

    def close(self) -> None:
        """Do nothing: there is no file."""

    def take(self) -> bytes:
        """Return the bytes that were written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
