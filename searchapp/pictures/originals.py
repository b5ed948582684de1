"""Open the file of an indexed image, and refuse a file that is not the indexed picture any more.

Everything that shows pictures to people opens them here. The path comes from the catalog, but the
file can be another one now: a new picture, or a link to a private file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.file_state import check_size, make_outdated_error
from searchapp.pictures.decode import SIGNATURE_BYTES, hash_bytes, looks_like_picture
from searchapp.types import Original

HEAD_BYTES = 400  # two packets of an MPEG transport stream
TS_PACKET_BYTES = (188, 192)  # MPEG-TS, and M2TS with a time of 4 bytes before each packet
VIDEO_SIGNATURES = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"\x30\x26\xb2\x75",  # ASF, WMV
    b"\x1f\x07\x00",  # DV
    b"FLV",
    b"OggS",
)
# Types of the first box of an MP4 or MOV file.
MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


@contextmanager
def open_original(original: Original) -> Iterator[BinaryIO]:
    """Open an indexed picture or video; raise PictureError if the file is not the indexed one now.

    A picture is read completely, and its hash is compared. An import can name a private file with
    its real hash, so the first bytes must be those of a picture. A video can be too large for this:
    its size and modification time are compared, if they are known, and its first bytes.
    """
    if original.seconds is None:
        data = _read_file(original.path)
        if hash_bytes(data) != original.sha256:
            raise make_outdated_error()
        if not looks_like_picture(data[:SIGNATURE_BYTES]):
            raise PictureError("not a picture, or a picture in an unknown format", stage="read")
        yield io.BytesIO(data)
        return
    with storage.open_file(original.path) as (file, state):
        if original.size is not None and (state.size, state.mtime_ns) != (
            original.size, original.mtime_ns
        ):  # fmt: skip
            raise make_outdated_error()
        if not _looks_like_video(file.read(HEAD_BYTES)):
            raise PictureError("not a video, or a video in an unknown format", stage="read")
        file.seek(0)
        yield file


def _read_file(path: str) -> bytes:
    if storage.is_url(path):
        return storage.read_file(path)[0]
    with storage.open_file(path) as (file, state):  # It refuses pipes and devices.
        check_size(state.size)
        return file.read(state.size)


def _looks_like_video(head: bytes) -> bool:
    """Return whether a file begins like a video in a container that searchapp reads.

    head: the first HEAD_BYTES of the file.
    """
    if head.startswith(VIDEO_SIGNATURES) or head[4:8] in MP4_BOXES:
        return True
    if head.startswith(b"RIFF"):
        return head[8:12] == b"AVI "
    return any(
        head[size - 188 : size - 187] == head[2 * size - 188 : 2 * size - 187] == b"\x47"
        for size in TS_PACKET_BYTES
    )
