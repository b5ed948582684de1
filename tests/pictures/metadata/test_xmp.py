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


def make_faulty_packets() -> dict[str, str]:
    """Return packets with the small faults of lax programs, by the fault."""
    title = "<dc:title>Tom & Jerry</dc:title>"
    text = make_xmp('xmp:Rating="4"').decode()
    start = text.index("<x:xmpmeta")
    return {
        "text behind": f"{text}\n garbage",
        "second end": f"{text}</x:xmpmeta>",
        "text before": f"XMP\n{text[start:]}",
        "late declaration": text[:start] + '<?xml version="1.0"?>' + text[start:],
        "ampersand": make_xmp('xmp:Rating="4"', title).decode(),
        "entity": make_xmp('xmp:Rating="4" dc:format="a&nbsp;b"').decode(),
        "control character": make_xmp('xmp:Rating="4" dc:format="a\x0b"').decode(),
        "control reference": make_xmp('xmp:Rating="4" dc:format="a&#0;&#x1F;"').decode(),
        "unknown prefix": make_xmp('xmp:Rating="4" other:name="1"').decode(),
        "no declaration": text.replace(' xmlns:x="adobe:ns:meta/"', "").replace(
            ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"', ""
        ),
    }


@pytest.mark.parametrize("fault", make_faulty_packets())
def test_packets_with_small_faults_are_repaired(fault: str) -> None:
    """Other programs read them as well."""
    parsed = parse_xmp(make_faulty_packets()[fault].encode())
    assert parsed is not None
    assert parsed.rating == 4


def test_an_ampersand_is_part_of_the_text() -> None:
    packet = make_xmp(elements="<dc:title>Tom & Jerry &lt;3 &#252;</dc:title>")
    assert parse_xmp(packet).title == "Tom & Jerry <3 \u00fc"  # type: ignore[union-attr]


def test_other_faults_and_attacks_are_not_repaired() -> None:
    text = PACKET.decode()
    entity = f'<!DOCTYPE x [<!ENTITY a "b">]>{text} garbage'
    for packet in (entity, text[: len(text) // 2], "<x:xmpmeta" * 100_000, "<" + "x" * 100_000):
        assert parse_xmp(packet.encode()) is None


def test_values_with_qualifiers_are_read() -> None:
    """ISO 16684-1, 7.8: then rdf:value has the value. Lists can also number their items."""
    as_resource = 'rdf:parseType="Resource"'
    packet = make_xmp(
        elements=f"<xmp:Rating {as_resource}><rdf:value>4</rdf:value></xmp:Rating>"
        "<exif:GPSLatitude><rdf:Description><rdf:value>60,30.0N</rdf:value></rdf:Description>"
        f'</exif:GPSLatitude><exif:GPSLongitude rdf:value="68,0W"/><dc:subject><rdf:Bag>'
        f"<rdf:li {as_resource}><rdf:value>heron</rdf:value><xmp:Label>x</xmp:Label></rdf:li>"
        "<rdf:_2>crane</rdf:_2></rdf:Bag></dc:subject>"
    )
    parsed = parse_xmp(packet)
    assert parsed is not None
    assert (parsed.rating, parsed.keywords) == (4, ("heron", "crane"))
    assert (parsed.latitude, parsed.longitude) == (60.5, -68.0)


@pytest.mark.parametrize(
    ("gps_time", "offset"),
    [
        ("2020-01-02T02:04:01Z", "+01:00"), ("2020:01:02 02:04:01", "+01:00"),
        ("2020-01-01T21:34:05Z", "+05:30"), ("2020-01-02T02:50:05Z", ""),
        ("2020-01-01T21:19:05Z", "+05:45"), ("2020-01-02T06:34:05Z", "-03:30"),
        ("2020-01-02T02:11:00Z", ""), ("2020-01-02", ""),
        ("2020-01-04T03:04:05Z", ""), ("", ""),
    ],
)  # fmt: skip
def test_gps_time_gives_the_utc_offset_that_xmp_does_not(gps_time: str, offset: str) -> None:
    for name in ("exif:DateTimeOriginal", "photoshop:DateCreated"):
        parsed = parse_xmp(make_xmp(f'{name}="2020-01-02T03:04:05" exif:GPSTimeStamp="{gps_time}"'))
        assert parsed is not None
        assert str(parsed.taken_at) == f"2020-01-02T03:04:05{offset}"
