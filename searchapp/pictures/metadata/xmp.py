"""Parse XMP packets, from a picture file or a sidecar. Source: ISO 16684-1."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from searchapp.pictures.metadata import coordinates, dates, sanitize, xmp_repair
from searchapp.pictures.metadata.dates import PartialDate
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

# Programs that store an edit history write about 100,000 bytes.
MAX_PACKET_BYTES = 4 << 20
MAX_VALUES_PER_PROPERTY = 1000
RDF_NAMESPACE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
VALUE_NAME = f"{RDF_NAMESPACE}value"
# Items of a list: rdf:li, or rdf:_1, rdf:_2 (https://www.w3.org/TR/rdf-syntax-grammar/, 2.15).
ITEM_PATTERN = re.compile(re.escape(RDF_NAMESPACE) + r"(?:li|_\d+)")
NAMESPACES = {
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
DECLARED_SPACES = NAMESPACES | {"rdf": RDF_NAMESPACE.strip("{}"), "x": "adobe:ns:meta/"}
PREFIX_BY_NAMESPACE = {f"{{{space}": prefix for prefix, space in NAMESPACES.items()}
ENCODING_BY_MARK = {  # UTF-32 first: its mark begins with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
XML_ENCODING_PATTERN = re.compile(rb"<\?xml[^>]+encoding=", re.I)
# Values by property name, such as dc:title; the default language comes first.
PropertyValues = dict[str, list[str]]


def parse_xmp(packet: bytes) -> EmbeddedMetadata | None:
    """Return the metadata in an XMP packet; None if it is not valid XMP.

    A packet with a document type definition is refused: XMP does not use one, and its entities can
    be an attack.
    """
    if not packet or len(packet) > MAX_PACKET_BYTES:
        return None
    text = _decode_packet(packet)
    root = _parse_xml(text)
    if root is None and isinstance(text, str):
        root = _parse_xml(xmp_repair.repair_packet(text, DECLARED_SPACES))
    if root is None:
        return None
    values = _collect_properties(root)

    def get_first_value(*names: str) -> str | None:
        return next((v for name in names for v in values.get(name, ()) if v.strip()), None)

    def get_date(name: str, kind: str = "") -> PartialDate | None:
        """Return a date; kind names the properties with its UTC offset and its fraction."""
        return dates.parse_date(
            get_first_value(name),
            get_first_value(f"exifEX:OffsetTime{kind}", f"exif:OffsetTime{kind}") if kind else None,
            get_first_value(f"exif:SubSecTime{kind}") if kind else None,
        )

    gps_time = get_date("exif:GPSTimeStamp")
    taken_at, created_on = (
        dates.add_gps_offset(get_date("exif:DateTimeOriginal", "Original"), gps_time),
        dates.add_gps_offset(get_date("photoshop:DateCreated"), gps_time),
    )
    latitude, longitude = coordinates.validate_position(
        coordinates.parse_xmp_degrees(
            get_first_value("exif:GPSLatitude"),
            get_first_value("exif:GPSLatitudeRef"),
            is_latitude=True,
        ),
        coordinates.parse_xmp_degrees(
            get_first_value("exif:GPSLongitude"),
            get_first_value("exif:GPSLongitudeRef"),
            is_latitude=False,
        ),
    )
    return EmbeddedMetadata(
        taken_at=taken_at.complete_from(created_on) if taken_at else created_on,
        created_at=get_date("xmp:CreateDate") or get_date("exif:DateTimeDigitized", "Digitized"),
        camera=sanitize.join_make_and_model(
            get_first_value("tiff:Make"), get_first_value("tiff:Model")
        ),
        lens=sanitize.clean_text(
            get_first_value("exifEX:LensModel", "aux:Lens"), sanitize.MAX_NAME_CHARS
        ),
        latitude=latitude,
        longitude=longitude,
        rating=sanitize.parse_rating(get_first_value("xmp:Rating")),
        keywords=sanitize.clean_keywords(
            [*values.get("dc:subject", ()), *values.get("lr:hierarchicalSubject", ())]
        ),
        title=sanitize.clean_text(get_first_value("dc:title"), sanitize.MAX_TITLE_CHARS),
        description=sanitize.clean_text(
            get_first_value("dc:description"), sanitize.MAX_DESCRIPTION_CHARS
        ),
    )


def _parse_xml(text: str | bytes | None) -> Any:
    """Return the root of an XML document; None if it is invalid, or an attack."""
    from defusedxml.ElementTree import fromstring

    if text is None:
        return None
    with suppress(Exception):  # The XML is invalid, or defusedxml refused it.
        return fromstring(text, forbid_dtd=True)
    return None


def _decode_packet(packet: bytes) -> str | bytes:
    """Return the text of a packet in any UTF.

    Returns the bytes if they are not UTF and an XML declaration names another encoding. Without a
    declaration, bytes that are not UTF-8 count as Windows-1252.
    """
    encoding = detect_encoding(packet)
    try:
        text = packet.decode(encoding)
    except UnicodeDecodeError:
        if encoding == "utf-8" and XML_ENCODING_PATTERN.match(packet):
            return packet.strip(b"\0 \t\r\n")
        is_utf8 = encoding.startswith("utf-8")  # Others can be cut off in a character.
        text = packet.decode(encoding, sanitize.INVALID_BYTES_HANDLER if is_utf8 else "ignore")
    return text.strip("\ufeff\0 \t\r\n")


def detect_encoding(packet: bytes) -> str:
    """Return the UTF of a packet, by its byte order mark or by the NUL bytes after the first "<".

    Source: ISO 16684-1, which allows UTF-16 and UTF-32 in files.
    """
    for mark, encoding in ENCODING_BY_MARK.items():
        if packet.startswith(mark):
            return encoding
    start = max(0, packet.find(b"<"))
    if packet[start + 1 : start + 4] == b"\0\0\0":
        return "utf-32-be" if start % 4 else "utf-32-le"
    if packet[start + 1 : start + 2] == b"\0":
        return "utf-16-be" if start % 2 else "utf-16-le"
    return "utf-8"


def _collect_properties(root: Any) -> PropertyValues:
    """Return the values of XMP properties, which a packet stores as attributes or as elements.

    Only the descriptions directly in rdf:RDF describe the picture. Nested ones describe others,
    such as the pictures that are its ingredients.
    """
    values: PropertyValues = {}
    for description in _iter_descriptions(root):
        for tag, value in description.attrib.items():
            if (name := _get_prefixed_name(tag)) is not None:
                values.setdefault(name, []).append(value)
        for element in description:
            if (name := _get_prefixed_name(element.tag)) is not None:
                values.setdefault(name, []).extend(_read_element_texts(element))
    return values


def _iter_descriptions(root: Any) -> Iterator[Any]:
    if root.tag == f"{RDF_NAMESPACE}Description":
        yield root
    for rdf in root.iter(f"{RDF_NAMESPACE}RDF"):
        yield from rdf.findall(f"{RDF_NAMESPACE}Description")


def _get_prefixed_name(tag: object) -> str | None:
    space, _, name = str(tag).rpartition("}")
    return f"{PREFIX_BY_NAMESPACE[space]}:{name}" if space in PREFIX_BY_NAMESPACE else None


def _read_element_texts(element: Any) -> list[str]:
    """Return the text of an XMP element, or the texts of its list, default language first."""
    texts: list[str] = []
    for item in _iter_list_items(element):
        if len(texts) < MAX_VALUES_PER_PROPERTY:
            default = item.get("{http://www.w3.org/XML/1998/namespace}lang") == "x-default"
            texts.insert(0 if default else len(texts), _read_text(item))
    return texts or [_read_text(element)]


def _read_text(element: Any) -> str:
    """Return the text of an element; rdf:value has it if there are qualifiers beside it."""
    for holder in (element, *element.findall(f"{RDF_NAMESPACE}Description")):
        value = holder.get(VALUE_NAME) or holder.findtext(VALUE_NAME)
        if value is not None:
            return str(value)
    return element.text or ""


def _iter_list_items(element: Any) -> Iterator[Any]:
    for kind in ("Bag", "Seq", "Alt"):
        for listed in element.findall(f"{RDF_NAMESPACE}{kind}"):
            yield from (item for item in listed if ITEM_PATTERN.fullmatch(str(item.tag)))
