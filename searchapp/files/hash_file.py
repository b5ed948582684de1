"""Hash a file of any size, unless it is too large or mostly not written yet."""

from __future__ import annotations

import errno
import hashlib
import os
from io import BufferedReader

from searchapp.errors import PictureError
from searchapp.files.file_state import FileState

MAX_HASHED_BYTES = 1 << 40
MIN_CHECKED_BYTES = 1 << 30  # A smaller file is hashed in seconds, whatever it holds.
MIN_DATA_SHARE = 0.5  # of the bytes of a file


def hash_file(file: BufferedReader, state: FileState) -> str:
    """Return the SHA-256 of an open file from which nothing was read yet.

    A file can claim terabytes without holding them, as downloads that reserve their size do.
    Raises PictureError for a file above MAX_HASHED_BYTES, or with too few written bytes.
    """
    if state.size > MAX_HASHED_BYTES:
        raise PictureError(
            f"the file has {state.size >> 20} MiB; the limit is {MAX_HASHED_BYTES >> 20} MiB",
            stage="read",
        )
    if state.size >= MIN_CHECKED_BYTES:
        enough_bytes = int(MIN_DATA_SHARE * state.size)
        data_bytes = _count_data_bytes(file, state.size, enough_bytes)
        if data_bytes < enough_bytes:
            raise PictureError(
                f"{data_bytes >> 20} of its {state.size >> 20} MiB are written; the copy or "
                "download may be incomplete",
                stage="read",
            )
    return hashlib.file_digest(file, "sha256").hexdigest()


def _count_data_bytes(file: BufferedReader, size: int, enough_bytes: int) -> int:
    """Return the bytes outside of holes, counted up to enough_bytes; size if that is unknown."""
    if not hasattr(os, "SEEK_DATA"):
        return size
    try:
        descriptor = file.fileno()
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:  # a file in object storage
        return size
    position = data_bytes = 0
    try:
        while position < size and data_bytes < enough_bytes:
            data_start = os.lseek(descriptor, position, os.SEEK_DATA)
            position = os.lseek(descriptor, data_start, os.SEEK_HOLE)
            data_bytes += position - data_start
    except OSError as error:
        if error.errno != errno.ENXIO:  # ENXIO: no data up to the end of the file.
            return size
    finally:
        os.lseek(descriptor, start, os.SEEK_SET)
    return data_bytes
