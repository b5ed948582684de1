"""Camera RAW: tell it from TIFF, and get a picture out of it by LibRaw."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from searchapp.pictures import optional_decoders

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
MAX_TIFF_DIRECTORIES, MAX_TAGS_PER_DIRECTORY = 32, 1000  # of a TIFF that are looked into
DNG_VERSION_TAG, MAKE_TAG, PHOTOMETRIC_TAG, COMPRESSION_TAG, SUB_IFDS_TAG = (
    50706,
    271,
    262,
    259,
    330,
)
SENSOR_PHOTOMETRICS = (32803, 34892)  # photometric: a colour filter's mosaic, or linear values
PROPRIETARY_COMPRESSIONS = (
    32767,
    32769,
    32770,
    34713,
    65535,
)  # compressions of Sony, Samsung, Nikon, Pentax
FORMAT_BY_MAKER = {"NIKON": "NEF", "SONY": "ARW", "PENTAX": "PEF", "RICOH": "PEF", "SAMSUNG": "SRW",
            "HASSELBLAD": "3FR", "EPSON": "ERF", "KODAK": "DCR", "MAMIYA": "MEF",
            "PHASE": "IIQ", "LEICA": "RWL"}  # fmt: skip
# How a picture is turned that LibRaw says is to be flipped so: Pillow's names.
TRANSPOSE_BY_FLIP = {3: "ROTATE_180", 5: "ROTATE_90", 6: "ROTATE_270"}


def detect_format_by_signature(head: bytes) -> str | None:
    """Return the format of a file that its first bytes tell to be RAW."""
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
    """Return the format of a RAW file, by its content: DNG, NEF ...; None where it is none."""
    name = detect_format_by_signature(data[:32])
    if name is not None or data[:4] not in TIFF_SIGNATURES or len(data) < 8:
        return name
    maker, sensor = "", False
    for tags in _iter_tiff_directories(data):
        if DNG_VERSION_TAG in tags:
            return "DNG"
        maker = maker or _read_maker(data, tags)
        sensor |= (
            _get_number(tags, PHOTOMETRIC_TAG) in SENSOR_PHOTOMETRICS
            or _get_number(tags, COMPRESSION_TAG) in PROPRIETARY_COMPRESSIONS
        )
    if not sensor or not maker:
        return None
    return FORMAT_BY_MAKER.get(maker.split(" ")[0].upper(), "RAW")


def extract_exif(data: bytes) -> bytes | None:
    """Return the tags of a RAW file as Pillow reads EXIF; None where it keeps them elsewhere."""
    if data[4:12] == b"ftypcrx ":
        offset = data.find(b"CMT1", 0, 1 << 16)
        return b"Exif\0\0" + data[offset + 4 : offset + (1 << 16)] if offset >= 0 else None
    if data[:2] in (b"II", b"MM"):
        return b"Exif\0\0" + (b"II*\0" if data[:2] == b"II" else b"MM\0*") + data[4:]
    return None


class RawFile:
    """A RAW file that is open; what it raises is LibRaw's."""

    def __init__(self, data: bytes) -> None:
        """Open it; raise PictureError where rawpy is not installed."""
        if not optional_decoders.is_installed("raw"):
            raise optional_decoders.make_missing_extra_error("raw", "camera RAW")
        import rawpy

        self._raw: Any = rawpy.imread(io.BytesIO(data))
        sizes = self._raw.sizes
        self._flip = sizes.flip
        self.pixel_count = max(sizes.raw_width * sizes.raw_height, sizes.width * sizes.height)
        across = self._flip in (5, 6)
        self.width, self.height = (  # upright
            (sizes.height, sizes.width) if across else (sizes.width, sizes.height)
        )

    def extract_preview(self) -> bytes | Picture | None:
        """Return the picture that the camera put into it: a JPEG, or a picture as it is stored."""
        import rawpy
        from PIL import Image

        try:
            found = self._raw.extract_thumb()
        except rawpy.LibRawError:
            return None
        if found.format == rawpy.ThumbFormat.JPEG:
            return bytes(found.data)
        values = found.data
        picture: Picture = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
        return picture

    def orient_preview(self, picture: Picture, oriented_by_exif: Picture) -> Picture:
        """Return a preview as the camera was held, of what it is and is by what it says itself.

        Some cameras store it upright, whatever is said of the whole file.
        """
        from PIL import Image

        turn = TRANSPOSE_BY_FLIP.get(self._flip)
        if oriented_by_exif is picture and turn is not None:
            oriented_by_exif = picture.transpose(Image.Transpose[turn])
        is_wide = self.width > self.height
        is_oriented_wide, is_stored_wide = (
            it.width > it.height for it in (oriented_by_exif, picture)
        )
        return (
            picture
            if is_oriented_wide != is_wide and is_stored_wide == is_wide
            else oriented_by_exif
        )

    def develop(self) -> Picture:
        """Return the picture of the sensor, upright, at half its size."""
        from PIL import Image

        values = self._raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        picture: Picture = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
        return picture

    def close(self) -> None:
        """Free its memory."""
        self._raw.close()


def _iter_tiff_directories(data: bytes) -> Iterator[dict[int, tuple[int, int, bytes]]]:
    """Yield a TIFF's directories, those below them too: by tag its type, count and value."""
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
            if order == ">":  # as if it were little-endian; a short is in the first two bytes
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
