"""Write metadata for tests: EXIF with Pillow, XMP and IPTC as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin, TiffImagePlugin

from support.sample_pictures import make_picture

XMP_NAMESPACES = {
    "aux": "http://ns.adobe.com/exif/1.0/aux/", "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/", "lr": "http://ns.adobe.com/lightroom/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/", "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}  # fmt: skip


def make_exif(
    date: str | None = None,
    offset: str | None = None,
    coordinates: tuple[float, float] | None = None,
    gps_time: tuple[str, tuple[int, int, int]] | None = None,
    **tags: Any,
) -> Image.Exif:
    """Return EXIF as cameras and Windows write it."""
    block = Image.Exif()
    numbers = {"make": 0x010F, "model": 0x0110, "rating": 0x4746, "caption": 0x010E, "file": 0x0132}
    for name, number in numbers.items():
        if name in tags:
            block[number] = tags[name]
    for name, number in (("title", 0x9C9B), ("keywords", 0x9C9E)):
        if name in tags:
            block[number] = f"{tags[name]}\0".encode("utf-16-le")
    camera = {0x9003: date, 0x9011: offset, 0xA434: tags.get("lens")}
    block.get_ifd(0x8769).update({tag: value for tag, value in camera.items() if value})
    gps: dict[int, Any] = {}
    if coordinates:
        gps |= {1: "NS"[coordinates[0] < 0], 2: (abs(coordinates[0]), 0.0, 0.0)}
        gps |= {3: "EW"[coordinates[1] < 0], 4: (abs(coordinates[1]), 0.0, 0.0)}
    if gps_time:
        gps |= {29: gps_time[0], 7: tuple(float(part) for part in gps_time[1])}
    block.get_ifd(0x8825).update(gps)
    return block


def make_xmp(attributes: str = "", elements: str = "") -> bytes:
    """Return an XMP packet with one rdf:Description."""
    spaces = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in XMP_NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces} {attributes}>{elements}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'
    ).encode()


def make_list_property(name: str, *values: str, kind: str = "Bag") -> str:
    """Return an XMP property with several values."""
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def make_iptc(**values: str | list[str]) -> bytes:
    """Return a block of IPTC data sets, in UTF-8."""
    numbers = {"title": 5, "keywords": 25, "day": 55, "time": 60, "caption": 120}
    block = b"\x1c\x01\x5a\0\x03\x1b%G"
    for name, value in values.items():
        for each in [value] if isinstance(value, str) else value:
            data = each.encode()
            block += struct.pack(">BBBH", 0x1C, 2, numbers[name], len(data)) + data
    return block


def make_jpeg(block: bytes = b"", **options: Any) -> bytes:
    """Return a JPEG; a block of IPTC goes into the APP13 segment, as Photoshop writes it."""
    buffer = io.BytesIO()
    make_picture().save(buffer, "JPEG", **options)
    data = buffer.getvalue()
    if not block:
        return data
    resource = (
        b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + b"\0" * (len(block) % 2)
    )
    segment = b"Photoshop 3.0\0" + resource
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


def make_late_metadata_png(exif_block: bytes, packet: bytes) -> bytes:
    """Return a PNG whose metadata chunks follow the pixels."""
    buffer = io.BytesIO()
    make_picture().save(buffer, "PNG")
    data = buffer.getvalue()
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + packet

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    return data[:-12] + chunk(b"eXIf", exif_block) + chunk(b"iTXt", text) + data[-12:]


def save_with_metadata(file: Path, kind: str, block: Image.Exif, packet: bytes) -> Path:
    """Save a picture with EXIF and XMP in a format; return its file."""
    options: dict[str, Any] = {"exif": block, "xmp": packet}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"exif": block, "pnginfo": text}
    if kind == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[700] = packet
        tags.tagtype[700] = 1
        tags[33723] = make_iptc(caption="of the desk")
        tags.tagtype[33723] = 7
        options = {"exif": block, "tiffinfo": tags}
        for tag, value in block.items():
            tags[tag] = value
        options.pop("exif")
    make_picture().save(file, kind, **options)
    return file
