"""Read a file if it is still the one that was indexed."""

from __future__ import annotations

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.types import CatalogedFile


def read_unchanged_file(file: CatalogedFile) -> bytes:
    """Return the bytes of a file. Raises PictureError if its size or time has changed."""
    data, state = storage.read_file(file.path)
    if state != storage.FileState(file.size, file.mtime_ns):
        raise PictureError(
            "the file has changed since it was indexed; run `searchapp index`", stage="read"
        )
    return data
