"""Parse XMP packets, from a picture file or a sidecar. Source: ISO 16684-1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import EmbeddedMetadata

# Programs that store an edit history write about 100,000 bytes.
MAX_PACKET_BYTES = 4 << 20
MAX_VALUES_PER_PROPERTY = 1000
RDF_NAMESPACE = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
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
PREFIX_BY_NAMESPACE = {f"{{{space}": prefix for prefix, space in NAMESPACES.items()}
DEGREES_PATTERN = re.compile(r"(\d+),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])")

# Values by property name, such as dc:title; the default language comes first.
PropertyValues = dict[str, list[str]]


def parse_xmp(packet: bytes) -> EmbeddedMetadata | None:
    """Return the metadata in an XMP packet; None if it is not valid XMP.

    A packet with a document type definition is refused: XMP does not use one, and its entities can
    be an attack.
    """
    from defusedxml.ElementTree import fromstring

    if len(packet) > MAX_PACKET_BYTES:
        return None
    try:
        values = _collect_properties(fromstring(packet.strip(b"\0 \t\r\n"), forbid_dtd=True))
    except Exception:  # The XML is invalid, or defusedxml refused it as an attack.
        return None

    def get_first_value(*names: str) -> str | None:
        return next((v for name in names for v in values.get(name, ()) if v.strip()), None)

    latitude, longitude = _parse_position(
        get_first_value("exif:GPSLatitude"), get_first_value("exif:GPSLongitude")
    )
    taken_at_values = (
        sanitize.normalize_date(get_first_value(name))
        for name in ("exif:DateTimeOriginal", "photoshop:DateCreated")
    )
    return EmbeddedMetadata(
        taken_at=next(filter(None, taken_at_values), None),
        written_at=sanitize.normalize_date(get_first_value("xmp:CreateDate")),
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


def _collect_properties(root: Any) -> PropertyValues:
    """Return the values of XMP properties, which a packet stores as attributes or as elements."""
    values: PropertyValues = {}
    for description in root.iter(f"{RDF_NAMESPACE}Description"):
        for tag, value in description.attrib.items():
            if (name := _get_prefixed_name(tag)) is not None:
                values.setdefault(name, []).append(value)
        for element in description:
            if (name := _get_prefixed_name(element.tag)) is not None:
                values.setdefault(name, []).extend(_read_element_texts(element))
    return values


def _get_prefixed_name(tag: object) -> str | None:
    space, _, name = str(tag).rpartition("}")
    return f"{PREFIX_BY_NAMESPACE[space]}:{name}" if space in PREFIX_BY_NAMESPACE else None


def _read_element_texts(element: Any) -> list[str]:
    """Return the text of an XMP element, or the texts of its list, default language first."""
    texts: list[str] = []
    for item in _iter_list_items(element):
        if len(texts) < MAX_VALUES_PER_PROPERTY:
            default = item.get("{http://www.w3.org/XML/1998/namespace}lang") == "x-default"
            texts.insert(0 if default else len(texts), item.text or "")
    return texts or [element.text or ""]


def _iter_list_items(element: Any) -> Iterator[Any]:
    for kind in ("Bag", "Seq", "Alt"):
        for listed in element.findall(f"{RDF_NAMESPACE}{kind}"):
            yield from listed.findall(f"{RDF_NAMESPACE}li")


def _parse_position(
    latitude: str | None, longitude: str | None
) -> tuple[float | None, float | None]:
    north, east = _parse_degrees(latitude), _parse_degrees(longitude)
    return (
        (None, None) if north is None or east is None else sanitize.validate_position(north, east)
    )


def _parse_degrees(text: str | None) -> float | None:
    """Return the degrees in 48,51.5N or 48,51,30N; south and west are negative."""
    found = DEGREES_PATTERN.fullmatch((text or "").strip()[:60])
    if found is None:
        return None
    degrees = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    return -degrees if found[4] in "SW" else degrees
