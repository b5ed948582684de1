"""Camera RAW: detect the format, and decode the preview or the sensor data with LibRaw."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from searchapp.pictures import optional_decoders

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
MAX_TIFF_DIRECTORIES, MAX_TAGS_PER_DIRECTORY = 32, 1000  # limits for hostile files
COMPRESSION_TAG, PHOTOMETRIC_TAG, MAKE_TAG, SUB_IFDS_TAG = 259, 262, 271, 330
DNG_VERSION_TAG = 50706
# PhotometricInterpretation: the mosaic of a color filter array, or linear sensor values.
SENSOR_PHOTOMETRICS = (32803, 34892)
# Compressions that only Sony, Samsung, Nikon and Pentax use.
PROPRIETARY_COMPRESSIONS = (32767, 32769, 32770, 34713, 65535)
FORMAT_BY_MAKER = {"NIKON": "NEF", "SONY": "ARW", "PENTAX": "PEF", "RICOH": "PEF", "SAMSUNG": "SRW",
            "HASSELBLAD": "3FR", "EPSON": "ERF", "KODAK": "DCR", "MAMIYA": "MEF",
            "PHASE": "IIQ", "LEICA": "RWL"}  # fmt: skip
# LibRaw's flip value to the name of Pillow's Transpose that makes the picture upright.
TRANSPOSE_BY_FLIP = {3: "ROTATE_180", 5: "ROTATE_90", 6: "ROTATE_270"}


def detect_format_by_signature(head: bytes) -> str | None:
    """Return the RAW format of a file by its first bytes; None if they show no RAW format.

    RAW formats that start like a TIFF need detect_format.
    """
    if head[:4] in TIFF_SIGNATURES and head[8:10] == b"CR":
        return "CR2"
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    for start, name in ((b"FUJIFILMCCD-RAW", "RAF"), (b"IIRO", "ORF"), (b"IIRS", "ORF"),
                        (b"MMOR", "ORF"), (b"IIU\0", "RW2"), (b"\0MRM", "MRW")):  # fmt: skip
        if head.startswith(start):
            return name
    return None


def detect_format(data: bytes) -> str | None:
    """Return the RAW format of a file by its content, such as DNG or NEF; None if it is not RAW."""
    name = detect_format_by_signature(data[:32])
    if name is not None or data[:4] not in TIFF_SIGNATURES or len(data) < 8:
        return name
    maker, has_sensor_data = "", False
    for tags in _iter_tiff_directories(data):
        if DNG_VERSION_TAG in tags:
            return "DNG"
        maker = maker or _read_maker(data, tags)
        has_sensor_data |= (
            _get_number(tags, PHOTOMETRIC_TAG) in SENSOR_PHOTOMETRICS
            or _get_number(tags, COMPRESSION_TAG) in PROPRIETARY_COMPRESSIONS
        )
    if not has_sensor_data or not maker:
        return None
    return FORMAT_BY_MAKER.get(maker.split(" ")[0].upper(), "RAW")


def extract_exif(data: bytes) -> bytes | None:
    """Return the EXIF block of a RAW file, as Pillow parses it; None if it has none."""
    if data[4:12] == b"ftypcrx ":
        offset = data.find(b"CMT1", 0, 1 << 16)
        return b"Exif\0\0" + data[offset + 4 : offset + (1 << 16)] if offset >= 0 else None
    if data[:2] in (b"II", b"MM"):
        return b"Exif\0\0" + (b"II*\0" if data[:2] == b"II" else b"MM\0*") + data[4:]
    return None


class RawFile:
    """An open RAW file; methods raise LibRaw's errors."""

    def __init__(self, data: bytes) -> None:
        """Open a RAW file from its bytes; raise PictureError if rawpy is not installed."""
        if not optional_decoders.is_installed("raw"):
            raise optional_decoders.make_missing_extra_error("raw", "camera RAW")
        import rawpy

        self._raw: Any = rawpy.imread(io.BytesIO(data))
        sizes = self._raw.sizes
        self._flip = sizes.flip
        self.pixel_count = max(sizes.raw_width * sizes.raw_height, sizes.width * sizes.height)
        is_sideways = self._flip in (5, 6)
        self.width, self.height = (  # of the upright picture
            (sizes.height, sizes.width) if is_sideways else (sizes.width, sizes.height)
        )

    def extract_preview(self) -> bytes | Picture | None:
        """Return the preview that the camera embedded: JPEG bytes, or a decoded picture.

        None if the RAW file has no preview.
        """
        import rawpy
        from PIL import Image

        try:
            preview = self._raw.extract_thumb()
        except rawpy.LibRawError:
            return None
        if preview.format == rawpy.ThumbFormat.JPEG:
            return bytes(preview.data)
        values = preview.data
        picture: Picture = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
        return picture

    def orient_preview(self, picture: Picture, oriented_by_exif: Picture) -> Picture:
        """Return the upright preview: rotated, unless it is stored upright already.

        Some cameras store an upright preview, although the RAW file has an orientation.
        picture: the preview as stored. oriented_by_exif: the preview rotated by its own EXIF;
        the same object if that has no orientation.
        """
        from PIL import Image

        turn = TRANSPOSE_BY_FLIP.get(self._flip)
        if oriented_by_exif is picture and turn is not None:
            oriented_by_exif = picture.transpose(Image.Transpose[turn])
        is_wide = self.width > self.height
        is_oriented_wide = oriented_by_exif.width > oriented_by_exif.height
        is_stored_wide = picture.width > picture.height
        if is_oriented_wide != is_wide and is_stored_wide == is_wide:
            return picture
        return oriented_by_exif

    def develop(self) -> Picture:
        """Return the upright picture developed from the sensor data, at half the sensor's size."""
        from PIL import Image

        values = self._raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        picture: Picture = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
        return picture

    def close(self) -> None:
        """Free LibRaw's memory."""
        self._raw.close()


def _iter_tiff_directories(data: bytes) -> Iterator[dict[int, tuple[int, int, bytes]]]:
    """Yield all directories of a TIFF: type, count and value by tag.

    The value is 4 bytes, as if the file were little-endian.
    """
    order = "<" if data[:2] == b"II" else ">"
    pending_offsets, seen = [struct.unpack_from(f"{order}I", data, 4)[0]], set[int]()
    while pending_offsets and len(seen) < MAX_TIFF_DIRECTORIES:
        offset = pending_offsets.pop(0)
        if offset in seen or offset + 2 > len(data):
            continue
        seen.add(offset)
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        end = offset + 2 + 12 * count
        if count > MAX_TAGS_PER_DIRECTORY or end + 4 > len(data):
            continue
        tags: dict[int, tuple[int, int, bytes]] = {}
        for entry in range(offset + 2, end, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
            value = data[entry + 8 : entry + 12]
            if order == ">":  # Make it little-endian; a 16-bit value is in the first two bytes.
                value = value[1::-1] + value[:1:-1] if kind == 3 else value[::-1]
            tags[tag] = kind, values, value
        yield tags
        if SUB_IFDS_TAG in tags:
            _, values, value = tags[SUB_IFDS_TAG]
            value_offset = int.from_bytes(value, "little")
            sub_offsets = [value_offset] if values == 1 else [
                int.from_bytes(data[value_offset + 4 * n : value_offset + 4 * n + 4],
                               "little" if order == "<" else "big")
                for n in range(min(values, MAX_TIFF_DIRECTORIES))
            ]  # fmt: skip
            pending_offsets += sub_offsets
        pending_offsets.append(struct.unpack_from(f"{order}I", data, end)[0])


def _get_number(tags: dict[int, tuple[int, int, bytes]], tag: int) -> int:
    kind, count, value = tags.get(tag, (0, 0, b""))
    return int.from_bytes(value[: 2 if kind == 3 else 4], "little") if count == 1 else -1


def _read_maker(data: bytes, tags: dict[int, tuple[int, int, bytes]]) -> str:
    _, count, value = tags.get(MAKE_TAG, (0, 0, b""))
    offset = int.from_bytes(value, "little")
    return data[offset : offset + min(count, 64)].split(b"\0")[0].decode("ascii", "replace").strip()
