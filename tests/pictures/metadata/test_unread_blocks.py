"""Blocks that Pillow does not read: XMP in GIF, and all blocks in JPEG 2000."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from support.metadata_files import make_exif, make_iptc, make_list_property, make_xmp
from support.sample_pictures import make_picture

from searchapp.pictures import decode
from searchapp.pictures.metadata import unread_blocks
from searchapp.types import PictureInfo

PACKET = make_xmp('xmp:Rating="4"', make_list_property("dc:subject", "heron"))
GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])


def read_info(file: Path, data: bytes) -> PictureInfo:
    """Return the metadata; it is the same whether the picture is decoded or not."""
    file.write_bytes(data)
    state = file.stat()
    info = decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
    assert info == decode.decode_picture(data, lambda *size: size)[1]
    return info


def make_gif(place: str, frames: int) -> bytes:
    """Return a GIF with XMP before or after its frames, as other programs write it."""
    pictures = [make_picture().rotate(45 * number) for number in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    data = buffer.getvalue()
    block = b"!\xff\x0bXMP DataXMP" + PACKET + GIF_TRAILER
    start = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    position = start if place == "start" else len(data) - 1
    return data[:position] + block + data[position:]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("place", ["start", "end"])
def test_xmp_of_gif_is_read(tmp_path: Path, place: str, frames: int) -> None:
    info = read_info(tmp_path / "a.gif", make_gif(place, frames))
    assert (info.format, info.rating, info.keywords) == ("GIF", 4, ("heron",))


def test_blocks_of_jpeg_2000_are_read(tmp_path: Path) -> None:
    """Each is in a box with its UUID, behind the picture or before it."""
    buffer = io.BytesIO()
    make_picture().save(buffer, "JPEG2000")
    data = buffer.getvalue()
    exif = make_exif("2023:06:17 21:05:00", "+02:00", (48.5, -2.25), make="Canon", model="EOS")
    blocks = (
        (unread_blocks.JPEG2000_XMP, PACKET),
        (unread_blocks.JPEG2000_IPTC, make_iptc(title="of the desk")),
        (unread_blocks.JPEG2000_EXIF, exif.tobytes().removeprefix(b"Exif\0\0")),
    )
    boxes = b"".join(
        struct.pack(">I", 8 + 16 + len(content)) + b"uuid" + uuid + content
        for uuid, content in blocks
    )
    codestream = data.index(b"jp2c") - 4
    for place in (codestream, len(data)):
        if place == len(data) and not data[codestream : codestream + 4].strip(b"\0"):
            continue  # This box extends to the end of the file.
        info = read_info(tmp_path / "a.jp2", data[:place] + boxes + data[place:])
        assert (info.rating, info.keywords, info.title) == (4, ("heron",), "of the desk")
        assert (info.taken_at, info.camera) == ("2023-06-17T21:05:00+02:00", "Canon EOS")
        assert (info.latitude, info.longitude) == (48.5, -2.25)


def test_broken_blocks_do_not_fail_the_picture() -> None:
    data = make_gif("end", 2)
    end = data.index(b"!\xff\x0bXMP")
    for size in (end + 5, end + 40, len(data) - 100):
        assert decode.decode_picture(data[:size], lambda *size: size)[1].rating is None
    assert unread_blocks._find_gif_xmp(b"GIF89a" + bytes(7) + b";") == b""
    assert list(unread_blocks._iter_uuid_boxes(io.BytesIO(b"\0\0\0\4uuid" + bytes(99)))) == []
