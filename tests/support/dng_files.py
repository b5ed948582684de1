"""Make DNG files as cameras write them: sensor data, and optionally a preview."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageColor

BAYER_PATTERN = b"\0\1\1\2"
Entry = tuple[int, int, list[int] | bytes]  # tag, type, values
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 10: 8}


def _pack_directory(offset: int, entries: list[Entry], next_offset: int = 0) -> bytes:
    """Return a little-endian TIFF directory for an offset, followed by its values."""
    body, values_data = b"", b""
    values_offset = offset + 2 + 12 * len(entries) + 4
    for tag, kind, values in sorted(entries, key=lambda entry: entry[0]):
        if isinstance(values, bytes):
            packed = values
        elif kind in (5, 10):
            packed = struct.pack(f"<{len(values)}i", *values)
        else:
            packed = struct.pack(f"<{len(values)}{'?BsHI'[kind]}", *values)
        count = len(packed) // TYPE_BYTES[kind]
        if len(packed) <= 4:
            field = packed.ljust(4, b"\0")
        else:
            field = struct.pack("<I", values_offset + len(values_data))
            values_data += packed + b"\0" * (len(packed) % 2)
        body += struct.pack("<HHI", tag, kind, count) + field
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", next_offset) + values_data


def make_dng(
    color: str = "red",
    size: tuple[int, int] = (160, 120),
    preview: Image.Image | None = None,
    *,
    orientation: int = 1,
    taken_at: str = "2023:06:17 21:05:00",
    camera: str = "Lumora X100",
    preview_exif: bytes | None = None,
    xmp: bytes = b"",
) -> bytes:
    """Return a DNG of one color whose stored upper half is black, to show the orientation."""
    width, height = size
    red, green, blue = ImageColor.getrgb(color)[:3]
    linear = [int(60000 * (value / 255) ** 2.2) for value in (red, green, blue)]
    mosaic = np.zeros((height, width), np.uint16)
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = linear[0], linear[2]
    mosaic[0::2, 1::2] = mosaic[1::2, 0::2] = linear[1]
    mosaic[: height // 2] = 0
    pixels = mosaic.tobytes()
    maker = camera.split(" ")[0].encode() + b"\0"
    common: list[Entry] = [
        (271, 2, maker), (272, 2, camera.encode() + b"\0"), (274, 3, [orientation]),
        (306, 2, taken_at.encode() + b"\0"),
        (50706, 1, [1, 4, 0, 0]), (50707, 1, [1, 1, 0, 0]),
        (50708, 2, camera.encode() + b"\0"),
        (50721, 10, [n for value in (3240970, -1537383, -498611, -969244, 1875968, 41555,
                                     55630, -203977, 1056972) for n in (value, 1000000)]),
        (50728, 5, [1, 1, 1, 1, 1, 1]), (50778, 3, [21]),
    ]  # fmt: skip
    if xmp:
        common.append((700, 1, xmp))
    sensor_entries: list[Entry] = [
        (254, 4, [0]), (256, 4, [width]), (257, 4, [height]), (258, 3, [16]), (259, 3, [1]),
        (262, 3, [32803]), (273, 4, [0]), (277, 3, [1]), (278, 4, [height]),
        (279, 4, [len(pixels)]), (33421, 3, [2, 2]), (33422, 1, list(BAYER_PATTERN)),
        (50717, 4, [65535]),
    ]  # fmt: skip
    if preview is None:

        def pack_single(pixels_offset: int) -> bytes:
            return _pack_directory(
                8, [*common, *_replace_values(sensor_entries, {273: [pixels_offset]})]
            )

        data = b"II*\0\x08\0\0\0" + pack_single(8 + len(pack_single(0)))
        return data + pixels
    jpeg = io.BytesIO()
    preview.save(jpeg, "JPEG", quality=95, **({"exif": preview_exif} if preview_exif else {}))
    preview_entries: list[Entry] = [
        (254, 4, [1]), (256, 4, [preview.width]), (257, 4, [preview.height]),
        (258, 3, [8, 8, 8]), (259, 3, [7]), (262, 3, [6]), (273, 4, [0]), (277, 3, [3]),
        (278, 4, [preview.height]), (279, 4, [len(jpeg.getvalue())]), (330, 4, [0]),
    ]  # fmt: skip

    def pack_first(places: dict[int, list[int]]) -> bytes:
        return _pack_directory(8, [*common, *_replace_values(preview_entries, places)])

    sensor_offset = 8 + len(pack_first({}))
    jpeg_at = sensor_offset + len(_pack_directory(sensor_offset, sensor_entries))
    pixels_at = jpeg_at + len(jpeg.getvalue()) + len(jpeg.getvalue()) % 2
    data = b"II*\0\x08\0\0\0" + pack_first({273: [jpeg_at], 330: [sensor_offset]})
    data += _pack_directory(sensor_offset, _replace_values(sensor_entries, {273: [pixels_at]}))
    return (data + jpeg.getvalue()).ljust(pixels_at, b"\0") + pixels


def _replace_values(entries: list[Entry], values: dict[int, list[int]]) -> list[Entry]:
    return [(tag, kind, values.get(tag, old)) for tag, kind, old in entries]
