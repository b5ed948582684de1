"""Complete pictures whose file has a damaged end, or say how much of the file is missing."""

from __future__ import annotations

import io
import warnings
import zlib
from contextlib import suppress
from typing import Any

from searchapp.pictures import jpeg_end, wide_tiff
from searchapp.types import MAX_MEGAPIXELS, format_count

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
INFLATED_BYTES_AT_ONCE = 1 << 20
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
WEBP_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
BOX_SIGNATURES = (b"ftyp", b"jP  ", b"JXL ")  # type of the first box: HEIF, AVIF, JPEG 2000, XL
TIFF_DATA_TAGS = ((273, 279), (324, 325))  # offsets and sizes: of strips, of tiles


def make_decodable(data: bytes, max_megapixels: float) -> bytes | None:
    """Return a copy of a complete picture that Pillow refuses, so that Pillow decodes it.

    The end of the file is damaged, or the samples are too wide. None if there is no such copy.
    Raises PictureError if it is known what is missing.
    """
    if data.startswith(b"\xff\xd8"):
        return jpeg_end.complete_jpeg(data, max_megapixels)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _complete_webp(data)
    return wide_tiff.convert_to_8_bits(data, max_megapixels)


def describe_missing_part(data: bytes) -> str | None:
    """Return how much of a truncated file is missing; None if it is complete, or not known."""
    with suppress(Exception):  # Broken headers do not tell it.
        if data.startswith(PNG_SIGNATURE):
            return _describe_missing_png_data(data)
        missing_bytes = _find_expected_size(data) - len(data)
        if missing_bytes > 0:
            return f"at least {format_count(missing_bytes, 'byte')} missing"
    return None


def _find_expected_size(data: bytes) -> int:
    """Return the size of a file in bytes, as its headers state it; 0 if they do not."""
    if data[:4] == b"RIFF":
        return 8 + int.from_bytes(data[4:8], "little")
    if data[:2] == b"BM":
        return int.from_bytes(data[2:6], "little")
    if data[4:8] in BOX_SIGNATURES:
        return _find_end_of_boxes(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _find_end_of_tiff(data)
    return 0


def _find_end_of_boxes(data: bytes) -> int:
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size == 1:
            size = int.from_bytes(data[position + 8 : position + 16], "big")
        if size < 8:  # The last box extends to the end of the file, or is broken.
            return 0
        position += size
    return position


def _find_end_of_tiff(data: bytes) -> int:
    from PIL import Image

    directory = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
    if directory + 2 > len(data):
        return directory + 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data), formats=("TIFF",))
        tags: Any = getattr(image, "tag_v2", {})
        for offsets_tag, sizes_tag in TIFF_DATA_TAGS:
            if offsets_tag in tags and sizes_tag in tags:
                return max(map(sum, zip(tags[offsets_tag], tags[sizes_tag], strict=True)))
    return 0


def _describe_missing_png_data(data: bytes) -> str | None:
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    depth, color_type = data[24], data[25]
    row_bytes = 1 + (width * depth * PNG_CHANNELS[color_type] + 7) // 8
    expected_bytes = row_bytes * height  # A few more if the picture is interlaced.
    if width * height > MAX_MEGAPIXELS * 1e6:
        return None
    inflate, found_bytes, position = zlib.decompressobj(), 0, 8
    while position + 8 <= len(data) and found_bytes < expected_bytes:
        size = int.from_bytes(data[position : position + 4], "big")
        if data[position + 4 : position + 8] == b"IDAT":
            content = data[position + 8 : position + 8 + size]
            while content and found_bytes < expected_bytes:
                found_bytes += len(inflate.decompress(content, INFLATED_BYTES_AT_ONCE))
                content = inflate.unconsumed_tail
        position += 12 + size
    percent = 100 * (1 - found_bytes / expected_bytes)
    if percent <= 0:
        return None
    amount = f"{percent:.0f} %" if percent >= 1 else "less than 1 %"
    return f"{amount} of its pixel data is missing"


def _complete_webp(data: bytes) -> bytes | None:
    """Return a WebP without incomplete chunks; None if they belong to the first picture.

    https://developers.google.com/speed/webp/docs/riff_container
    """
    position, chunks, has_picture = 12, list[bytes](), False
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + size > len(data):
            break
        content = data[position : position + 8 + size]
        chunks.append(content + bytes(size % 2))  # The last byte can lack.
        has_picture |= kind in WEBP_PICTURES
        position += 8 + size + size % 2
    if not has_picture:
        return None
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
