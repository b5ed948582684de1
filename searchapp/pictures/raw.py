"""Camera RAW: tell it from TIFF, and get a picture out of it by LibRaw."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from searchapp.pictures import optional_decoders

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

TIFF = (b"II*\0", b"MM\0*")
DIRECTORIES, TAGS = 32, 1000  # of a TIFF that are looked into
DNG_VERSION, MAKE, PHOTOMETRIC, COMPRESSION, SUB = 50706, 271, 262, 259, 330
SENSOR = (32803, 34892)  # photometric: a colour filter's mosaic, or linear values
MAKERS_OWN = (32767, 32769, 32770, 34713, 65535)  # compressions of Sony, Samsung, Nikon, Pentax
BY_MAKER = {"NIKON": "NEF", "SONY": "ARW", "PENTAX": "PEF", "RICOH": "PEF", "SAMSUNG": "SRW",
            "HASSELBLAD": "3FR", "EPSON": "ERF", "KODAK": "DCR", "MAMIYA": "MEF",
            "PHASE": "IIQ", "LEICA": "RWL"}  # fmt: skip
# How a picture is turned that LibRaw says is to be flipped so: Pillow's names.
TURNS = {3: "ROTATE_180", 5: "ROTATE_90", 6: "ROTATE_270"}


def by_head(head: bytes) -> str | None:
    """Return the format of a file that its first bytes tell to be RAW."""
    if head[:4] in TIFF and head[8:10] == b"CR":
        return "CR2"
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    for start, name in ((b"FUJIFILMCCD-RAW", "RAF"), (b"IIRO", "ORF"), (b"IIRS", "ORF"),
                        (b"MMOR", "ORF"), (b"IIU\0", "RW2"), (b"\0MRM", "MRW")):  # fmt: skip
        if head.startswith(start):
            return name
    return None


def format_of(data: bytes) -> str | None:
    """Return the format of a RAW file, by its content: DNG, NEF ...; None where it is none."""
    name = by_head(data[:32])
    if name is not None or data[:4] not in TIFF or len(data) < 8:
        return name
    maker, sensor = "", False
    for tags in _directories(data):
        if DNG_VERSION in tags:
            return "DNG"
        maker = maker or _text(data, tags)
        sensor |= _number(tags, PHOTOMETRIC) in SENSOR or _number(tags, COMPRESSION) in MAKERS_OWN
    if not sensor or not maker:
        return None
    return BY_MAKER.get(maker.split(" ")[0].upper(), "RAW")


def exif_of(data: bytes) -> bytes | None:
    """Return the tags of a RAW file as Pillow reads EXIF; None where it keeps them elsewhere."""
    if data[4:12] == b"ftypcrx ":
        at = data.find(b"CMT1", 0, 1 << 16)
        return b"Exif\0\0" + data[at + 4 : at + (1 << 16)] if at >= 0 else None
    if data[:2] in (b"II", b"MM"):
        return b"Exif\0\0" + (b"II*\0" if data[:2] == b"II" else b"MM\0*") + data[4:]
    return None


class Raw:
    """A RAW file that is open; what it raises is LibRaw's."""

    def __init__(self, data: bytes) -> None:
        """Open it; raise PictureError where rawpy is not installed."""
        if not optional_decoders.has("raw"):
            raise optional_decoders.missing("raw", "camera RAW")
        import rawpy

        self._raw: Any = rawpy.imread(io.BytesIO(data))
        sizes = self._raw.sizes
        self._flip = sizes.flip
        self.pixels = max(sizes.raw_width * sizes.raw_height, sizes.width * sizes.height)
        across = self._flip in (5, 6)
        self.width, self.height = (  # upright
            (sizes.height, sizes.width) if across else (sizes.width, sizes.height)
        )

    def preview(self) -> bytes | Picture | None:
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

    def turned(self, picture: Picture, by_its_own: Picture) -> Picture:
        """Return a preview as the camera was held, of what it is and is by what it says itself.

        Some cameras store it upright, whatever is said of the whole file.
        """
        from PIL import Image

        turn = TURNS.get(self._flip)
        if by_its_own is picture and turn is not None:
            by_its_own = picture.transpose(Image.Transpose[turn])
        is_wide = self.width > self.height
        fits, fitted = (it.width > it.height for it in (by_its_own, picture))
        return picture if fits != is_wide and fitted == is_wide else by_its_own

    def develop(self) -> Picture:
        """Return the picture of the sensor, upright, at half its size."""
        from PIL import Image

        values = self._raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        picture: Picture = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
        return picture

    def close(self) -> None:
        """Free its memory."""
        self._raw.close()


def _directories(data: bytes) -> Iterator[dict[int, tuple[int, int, bytes]]]:
    """Yield a TIFF's directories, those below them too: by tag its type, count and value."""
    order = "<" if data[:2] == b"II" else ">"
    waiting, seen = [struct.unpack_from(f"{order}I", data, 4)[0]], set[int]()
    while waiting and len(seen) < DIRECTORIES:
        at = waiting.pop(0)
        if at in seen or at + 2 > len(data):
            continue
        seen.add(at)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        end = at + 2 + 12 * count
        if count > TAGS or end + 4 > len(data):
            continue
        tags: dict[int, tuple[int, int, bytes]] = {}
        for entry in range(at + 2, end, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
            value = data[entry + 8 : entry + 12]
            if order == ">":  # as if it were little-endian; a short is in the first two bytes
                value = value[1::-1] + value[:1:-1] if kind == 3 else value[::-1]
            tags[tag] = kind, values, value
        yield tags
        if SUB in tags:
            _, values, value = tags[SUB]
            place = int.from_bytes(value, "little")
            below = [place] if values == 1 else [
                int.from_bytes(data[place + 4 * n : place + 4 * n + 4],
                               "little" if order == "<" else "big")
                for n in range(min(values, DIRECTORIES))
            ]  # fmt: skip
            waiting += below
        waiting.append(struct.unpack_from(f"{order}I", data, end)[0])


def _number(tags: dict[int, tuple[int, int, bytes]], tag: int) -> int:
    kind, count, value = tags.get(tag, (0, 0, b""))
    return int.from_bytes(value[: 2 if kind == 3 else 4], "little") if count == 1 else -1


def _text(data: bytes, tags: dict[int, tuple[int, int, bytes]]) -> str:
    _, count, value = tags.get(MAKE, (0, 0, b""))
    at = int.from_bytes(value, "little")
    return data[at : at + min(count, 64)].split(b"\0")[0].decode("ascii", "replace").strip()
