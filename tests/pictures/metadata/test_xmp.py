"""XMP: packets in any UTF, lax values, and only the properties of the picture itself."""

from __future__ import annotations

import codecs

import pytest
from support.metadata_files import make_jpeg, make_list_property, make_xmp

from searchapp.pictures import decode, model_size
from searchapp.pictures.metadata.xmp import parse_xmp

PACKET = make_xmp('xmp:Rating="4"', make_list_property("dc:subject", "h\u00e9ron"))
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("has_mark", [True, False])
@pytest.mark.parametrize("declaration", ["", "\n \n", '<?xml version="1.0" encoding="UTF-16"?>\n'])
def test_packets_are_read_in_any_utf(encoding: str, has_mark: bool, declaration: str) -> None:
    """With or without a byte order mark, alone and in a JPEG, with padding after the packet."""
    text = declaration + PACKET.decode() + "  \n"
    packet = MARKS[encoding] * has_mark + text.encode(encoding)
    parsed = parse_xmp(packet)
    assert parsed is not None
    assert (parsed.rating, parsed.keywords) == (4, ("h\u00e9ron",))
    image_input = model_size.ImageInput("squash", 32)
    info = decode.prepare_picture(make_jpeg(xmp=packet), image_input).info
    assert (info.rating, info.keywords) == (4, ("h\u00e9ron",))


def test_packets_in_other_encodings_are_read() -> None:
    """A declared encoding is used; bytes that are not UTF-8 count as Windows-1252."""
    text = PACKET.decode()[PACKET.decode().index("<x:xmpmeta") :]
    declared = ('<?xml version="1.0" encoding="iso-8859-7"?>' + text).replace(
        "h\u00e9ron", "\u03ac"
    )
    for packet, keyword in (
        (declared.encode("iso8859-7"), "\u03ac"),
        (text.encode("cp1252"), "h\u00e9ron"),
        (text.replace("h\u00e9ron", "\u20ac").encode() + b"<!-- \x80 -->", "\u20ac"),
    ):
        parsed = parse_xmp(packet)
        assert parsed is not None
        assert parsed.keywords == (keyword,)


@pytest.mark.parametrize(
    ("rating", "expected"), [("5,0", 5), ("3.0", 3), ("-1,0", -1), ("1,2,3", None), ("", None)]
)
def test_ratings_may_have_a_decimal_comma(rating: str, expected: int | None) -> None:
    parsed = parse_xmp(make_xmp(f'xmp:Rating="{rating}"'))
    assert parsed is not None
    assert parsed.rating == expected


def test_coordinates_may_have_directions_of_their_own() -> None:
    """Apple writes decimal degrees, and the direction in another property."""
    elements = (
        "<exif:GPSLatitude>60.5</exif:GPSLatitude><exif:GPSLatitudeRef>N</exif:GPSLatitudeRef>"
        "<exif:GPSLongitude>68</exif:GPSLongitude><exif:GPSLongitudeRef>W</exif:GPSLongitudeRef>"
    )
    parsed = parse_xmp(make_xmp("", elements))
    assert parsed is not None
    assert (parsed.latitude, parsed.longitude) == (60.5, -68.0)
    unknown = parse_xmp(make_xmp("", elements.replace(">W<", ">?<").replace(">N<", ">Q<")))
    assert unknown is not None
    assert (unknown.latitude, unknown.longitude) == (None, None)


def test_dates_have_their_utc_offset_in_another_property() -> None:
    """Two dates of the same moment complete each other."""
    parsed = parse_xmp(
        make_xmp(
            'exif:DateTimeOriginal="2026:05:15 13:19:37" exif:SubSecTimeOriginal="25" '
            'photoshop:DateCreated="2026-05-15T13:19:37+08:00" xmp:CreateDate="2026-05-16"'
        )
    )
    assert parsed is not None
    assert str(parsed.taken_at) == "2026-05-15T13:19:37.250+08:00"
    assert str(parsed.created_at) == "2026-05-16T00:00:00"


def test_properties_of_ingredients_are_not_those_of_the_picture() -> None:
    """Photoshop stores the XMP of the pictures that were pasted into a picture."""
    ingredient = (
        '<rdf:Description xmp:Rating="2" photoshop:DateCreated="1999-01-01">'
        f"{make_list_property('dc:subject', 'pasted')}</rdf:Description>"
    )
    pantry = f"<xmp:Pantry><rdf:Bag><rdf:li>{ingredient}</rdf:li></rdf:Bag></xmp:Pantry>"
    parsed = parse_xmp(make_xmp("", pantry + make_list_property("dc:subject", "own")))
    assert parsed is not None
    assert (parsed.rating, parsed.keywords, parsed.taken_at) == (None, ("own",), None)
