"""Convert TIFFs with samples that Pillow cannot read to 8 bits: RGB floats, doubles, halves.

libtiff, inside Pillow, decompresses the samples as rows of bytes; the rest is done here.
"""

from __future__ import annotations

import io
import logging
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchapp.errors import PictureError
from searchapp.pictures import limits

logger = logging.getLogger(__name__)

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 317, 322, 323, 324, 325
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 338, 339
LAYOUT_TAGS = {
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP,
    STRIP_BYTES, PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, SUB_IFDS,
    EXTRA_SAMPLES, SAMPLE_FORMAT, 280, 281, 340, 341,  # lowest and highest values
}  # fmt: skip
# NumPy type by SampleFormat and BitsPerSample.
TYPES = {(3, 16): "f2", (3, 32): "f4", (3, 64): "f8", (1, 32): "u4"}
WIDE_BITS = (10, 12, 14, 16, 24, 32, 64)  # per sample
GRAY_BITS = 12  # Pillow reads them in gray only.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, LAB = 0, 1, 2, 8
FLOAT = 3  # SampleFormat
NO_PREDICTOR, HORIZONTAL, FLOATING_POINT = 1, 2, 3


def is_tiff(data: bytes) -> bool:
    """Return whether a file is a TIFF, by its first bytes."""
    return data[:4] in (b"II*\0", b"MM\0*")


def convert_to_8_bits(data: bytes, max_megapixels: float) -> bytes | None:
    """Return a TIFF with 8 bits per sample, with the metadata of a TIFF with wide samples.

    None if the file is no such TIFF. Raises PictureError if it is one that cannot be read.
    """
    if not is_tiff(data):
        return None
    from PIL import Image, TiffImagePlugin

    tags: Any = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    stream = io.BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    bits, kinds = set(tags.get(BITS, ())), set(tags.get(SAMPLE_FORMAT, (1,)))
    if not bits or WIDTH not in tags or HEIGHT not in tags:
        return None
    if _is_read_by_pillow(tags, max(bits), kinds) or max(bits) not in WIDE_BITS:
        return None
    kind = TYPES.get((kinds.pop(), bits.pop())) if len(bits) == len(kinds) == 1 else None
    samples = tags.get(SAMPLES, 1)
    colors = 3 if tags.get(PHOTOMETRIC) == RGB else 1
    is_known = tags.get(PHOTOMETRIC) in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
    is_known &= tags.get(PLANAR, 1) == 1 and colors <= samples <= 8
    if kind is None or not is_known:
        raise PictureError(
            f"cannot be decoded: a TIFF of {samples} x {_describe_samples(tags)}, in a layout that "
            "searchapp does not read; save it as RGB with 8 or 16 bits per channel"
        )
    limits.check_pixel_count(tags[WIDTH] * tags[HEIGHT], max_megapixels)
    values = _read_samples(data, tags, np.dtype(kind), samples)
    scaled = _scale_to_8_bits(values[..., : colors + (samples > colors)], colors)
    if tags[PHOTOMETRIC] == WHITE_IS_ZERO:
        scaled[..., 0] = 255 - scaled[..., 0]
    image: Any = Image.fromarray(scaled[..., 0] if scaled.shape[2] == 1 else scaled)
    kept: Any = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in set(tags) - LAYOUT_TAGS:
        kept[tag] = tags[tag]
        kept.tagtype[tag] = tags.tagtype[tag]
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", tiffinfo=kept)
    logger.debug("Converted a TIFF of %s to 8 bits.", _describe_samples(tags))
    return buffer.getvalue()


def _is_read_by_pillow(tags: Any, bits: int, kinds: set[int]) -> bool:
    """Return whether Pillow reads such samples, so that another damage made it fail."""
    if bits == GRAY_BITS:
        return bool(tags.get(SAMPLES, 1) == 1 and tags.get(PHOTOMETRIC) == BLACK_IS_ZERO)
    is_other_space = tags.get(PHOTOMETRIC) == LAB
    return bits <= 8 or (bits == 16 and FLOAT not in kinds and not is_other_space)


def _describe_samples(tags: Any) -> str:
    is_float = 3 in tags.get(SAMPLE_FORMAT, (1,))
    return f"{max(tags[BITS])}-bit {'floating-point' if is_float else 'integer'} samples"


def _read_samples(data: bytes, tags: Any, kind: np.dtype[Any], samples: int) -> NDArray[Any]:
    """Return the samples of a TIFF, [height, width, samples]."""
    from PIL import Image

    is_little_endian, pixel_bytes = data[:2] == b"II", samples * kind.itemsize
    width, height = int(tags[WIDTH]), int(tags[HEIGHT])
    is_tiled = TILE_OFFSETS in tags
    row_width = int(tags[TILE_WIDTH]) if is_tiled else width
    stored_width = math.ceil(width / row_width) * row_width
    layout = {
        WIDTH: stored_width * pixel_bytes, HEIGHT: height, BITS: 8,
        COMPRESSION: tags.get(COMPRESSION, 1), PHOTOMETRIC: BLACK_IS_ZERO, SAMPLES: 1,
    }  # fmt: skip
    if is_tiled:
        layout |= {TILE_WIDTH: row_width * pixel_bytes, TILE_HEIGHT: tags[TILE_HEIGHT],
                   TILE_OFFSETS: tags[TILE_OFFSETS], TILE_BYTES: tags[TILE_BYTES]}  # fmt: skip
    else:
        layout |= {STRIP_OFFSETS: tags[STRIP_OFFSETS], STRIP_BYTES: tags[STRIP_BYTES],
                   ROWS_PER_STRIP: min(height, tags.get(ROWS_PER_STRIP, height))}  # fmt: skip
    with Image.open(io.BytesIO(_replace_directory(data, layout)), formats=("TIFF",)) as image:
        rows = np.asarray(image).reshape(height, stored_width // row_width, -1)
    predictor = tags.get(PREDICTOR, NO_PREDICTOR)
    if predictor == FLOATING_POINT:  # Adobe Photoshop TIFF Technical Note 3
        sums = rows.reshape(*rows.shape[:2], -1, samples).cumsum(axis=2, dtype=np.uint8)
        planes = sums.reshape(*rows.shape[:2], kind.itemsize, -1)
        rows = np.ascontiguousarray(planes.swapaxes(2, 3))
        values = rows.view(kind.newbyteorder(">"))
    else:
        values = np.ascontiguousarray(rows).view(
            kind.newbyteorder("<" if is_little_endian else ">")
        )
    values = values.reshape(*rows.shape[:2], row_width, samples)
    if predictor == HORIZONTAL:
        numbers = values.astype(kind).view(f"u{kind.itemsize}")
        values = numbers.cumsum(axis=2, dtype=numbers.dtype).view(kind)
    return values.reshape(height, stored_width, samples)[:, :width]


def _replace_directory(data: bytes, layout: dict[int, Any]) -> bytes:
    """Return a TIFF with another first directory, appended to it. layout: numbers by tag."""
    order = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    entries, extra = b"", b""
    extra_start = start + 2 + 12 * len(layout) + 4
    for tag, value in sorted(layout.items()):
        numbers = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(packed) > 4:
            place, extra = struct.pack(f"{order}I", extra_start + len(extra)), extra + packed
        else:
            place = packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + place
    directory = struct.pack(f"{order}H", len(layout)) + entries + bytes(4) + extra
    head = data[:4] + struct.pack(f"{order}I", start)
    return head + data[8:] + bytes(len(data) % 2) + directory


def _scale_to_8_bits(values: NDArray[Any], colors: int) -> NDArray[np.uint8]:
    """Scale samples to 8 bits; alpha, behind the colors, has the same scale.

    Floats go from 0 to 1, as in ImageMagick. If some are larger, the scale is 255, or the maximum.
    """
    if values.dtype.kind == "u":
        full_scale = float(np.iinfo(values.dtype).max)
    else:
        values = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
        max_value = float(values[..., :colors].max(initial=0))
        full_scale = 1.0 if max_value <= 1.0 else 255.0 if max_value <= 255.0 else max_value
    scaled = np.empty(values.shape, np.uint8)
    for row, scaled_row in zip(values, scaled, strict=True):  # Row by row, to save memory.
        scaled_row[:] = np.clip(row * (255.0 / full_scale) + 0.5, 0, 255)
    return scaled
