"""Keep thumbnails in the folder of a library, one WebP file for each image and size."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from searchapp.files.atomic import write_atomically

FOLDER_NAME = "thumbnails"
RIFF_HEADER_BYTES = 12  # "RIFF", the number of bytes after these 8 bytes, "WEBP"

logger = logging.getLogger(__name__)


def locate_thumbnail(library: Path, key: str, side: int, colors_since: int | None = 0) -> Path:
    """Return the file for the thumbnail of an image.

    key: LocatedImage.key. side: in pixels. colors_since: of its PictureInfo; a thumbnail that an
    older decoder made with other colors has another name.
    """
    suffix = f"-v{colors_since}" if colors_since else ""
    return library / FOLDER_NAME / key[:2] / f"{key}-{side}{suffix}.webp"


def list_thumbnails(library: Path, key: str | None = None) -> Iterator[Path]:
    """Yield the files of all thumbnails, or of the thumbnails of one image."""
    folder = library / FOLDER_NAME
    return folder.glob("*/*.webp") if key is None else (folder / key[:2]).glob(f"{key}-*.webp")


def list_temporary_files(library: Path) -> Iterator[Path]:
    """Yield the files that were being written, or that a killed process has left."""
    return (library / FOLDER_NAME).glob("*/*.tmp")


def get_key(file: Path) -> str:
    """Return the key of the image that a file is a thumbnail of."""
    return file.name.partition("-")[0]


def load_thumbnail(file: Path) -> bytes | None:
    """Return the bytes of a thumbnail; None if the file is missing, unreadable or incomplete.

    After a power cut, a file can be empty, too short, or full of zeros.
    """
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data if _is_complete(data, len(data)) else None


def is_broken(file: Path) -> bool:
    """Return whether a file exists and is not a complete thumbnail."""
    try:
        with file.open("rb") as stream:
            head, size = stream.read(RIFF_HEADER_BYTES), os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return not _is_complete(head, size)


def save_thumbnail(file: Path, data: bytes) -> None:
    """Write a thumbnail durably; if the disk is full or read-only, only log it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(file) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        logger.debug("Did not save the thumbnail %s: %s", file, error)


def _is_complete(head: bytes, size: int) -> bool:
    """Return whether a file has the header of WebP, and the size that this header states.

    https://developers.google.com/speed/webp/docs/riff_container#webp_file_header
    """
    stated_size = 8 + int.from_bytes(head[4:8], "little")
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP" and size == stated_size
