"""XMP, in a picture or in a sidecar beside it: what people write. Source: ISO 16684-1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from searchapp.pictures.metadata import sanitize
from searchapp.pictures.metadata.sanitize import Said

LARGEST = 4 << 20  # bytes; programs that keep their whole history in it write some 100,000
VALUES = 1000  # of one property
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
SPACES = {
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
}
PREFIXES = {f"{{{space}": prefix for prefix, space in SPACES.items()}
DEGREES = re.compile(r"(\d+),(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?([NSEW])")

Values = dict[str, list[str]]  # by name, such as dc:title; the default language comes first


def read(packet: bytes) -> Said | None:
    """Return what a packet says; None where it is no XMP, or has entities, which XMP has not."""
    from defusedxml.ElementTree import fromstring

    if len(packet) > LARGEST:
        return None
    try:
        values = _values(fromstring(packet.strip(b"\0 \t\r\n"), forbid_dtd=True))
    except Exception:  # broken XML, and whatever is hostile in it
        return None

    def first(*names: str) -> str | None:
        return next((v for name in names for v in values.get(name, ()) if v.strip()), None)

    latitude, longitude = _place(first("exif:GPSLatitude"), first("exif:GPSLongitude"))
    taken = (
        sanitize.moment(first(name)) for name in ("exif:DateTimeOriginal", "photoshop:DateCreated")
    )
    return Said(
        taken_at=next(filter(None, taken), None),
        written_at=sanitize.moment(first("xmp:CreateDate")),
        camera=sanitize.model_name(first("tiff:Make"), first("tiff:Model")),
        lens=sanitize.text(first("exifEX:LensModel", "aux:Lens"), sanitize.NAME),
        latitude=latitude,
        longitude=longitude,
        rating=sanitize.stars(first("xmp:Rating")),
        keywords=sanitize.keywords(
            [*values.get("dc:subject", ()), *values.get("lr:hierarchicalSubject", ())]
        ),
        title=sanitize.text(first("dc:title"), sanitize.TITLE),
        description=sanitize.text(first("dc:description"), sanitize.DESCRIPTION),
    )


def _values(root: Any) -> Values:
    """Return properties by name, whether they were written as attributes or as elements."""
    values: Values = {}
    for description in root.iter(f"{RDF}Description"):
        for tag, value in description.attrib.items():
            if (name := _name(tag)) is not None:
                values.setdefault(name, []).append(value)
        for element in description:
            if (name := _name(element.tag)) is not None:
                values.setdefault(name, []).extend(_texts(element))
    return values


def _name(tag: object) -> str | None:
    space, _, name = str(tag).rpartition("}")
    return f"{PREFIXES[space]}:{name}" if space in PREFIXES else None


def _texts(element: Any) -> list[str]:
    """Return an element's text, or those of its list; in several languages, the default's first."""
    texts: list[str] = []
    for item in _items(element):
        if len(texts) < VALUES:
            default = item.get("{http://www.w3.org/XML/1998/namespace}lang") == "x-default"
            texts.insert(0 if default else len(texts), item.text or "")
    return texts or [element.text or ""]


def _items(element: Any) -> Iterator[Any]:
    for kind in ("Bag", "Seq", "Alt"):
        for listed in element.findall(f"{RDF}{kind}"):
            yield from listed.findall(f"{RDF}li")


def _place(latitude: str | None, longitude: str | None) -> tuple[float | None, float | None]:
    north, east = _degrees(latitude), _degrees(longitude)
    return (None, None) if north is None or east is None else sanitize.place(north, east)


def _degrees(text: str | None) -> float | None:
    """Return degrees of 48,51.5N or 48,51,30N, north and east positive."""
    found = DEGREES.fullmatch((text or "").strip()[:60])
    if found is None:
        return None
    degrees = int(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    return -degrees if found[4] in "SW" else degrees
