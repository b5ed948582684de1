"""Write varied pictures and sidecars with the oddities of many programs, from a random seed."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, TiffImagePlugin

from support.metadata_files import make_jpeg, make_list_property, make_xmp

SIDE_PX = 8
DATES = (
    "2016:12:31 23:59:58", "2008/02/07 12:05:03", "2008.02.07 12:05:03", "2008-02-07 12:05:03",
    "2008:02:07:12:05:03", "2008:02: 7  9: 5: 3", "2008:2:7 9:5:3", "1993", "1993:07",
    "1993:07:04", "2016:12:31 23:59:60", "2016:12:31 24:00:00", "0000:00:00 00:00:00",
    "    :  :     :  :  ", "1993:00:00 00:00:00", "2005:07:00 00:00:00", "2008:02:07 12:05",
    "2008:02:07 12:05:  ", "2008:02:07   :  :  ", "2008:02:07 12:05:03,45", "2008,02,07 12:05:03",
    "20080207 120503", "2008:02:07 12:05:03Z", "2008:02:07 12:05:03+05:30", "soon", "",
)  # fmt: skip
OFFSETS = ("", "+02:00", "-08:00", "+05:30", "Z", "   :  ", "+0200")
FRACTIONS = ("", "", "450", "7", "000", "123456", "45 ")
DIRECTIONS = (
    ("N", "E"), ("S", "W"), ("South", "West"), ("s", "w"), ("North", "East"), ("X", "Q"), ("", ""),
)  # fmt: skip
XMP_COORDINATES = (
    ("60,30.0N", "68,0.0W"), ("60,30,15S", "68,0,30E"), ("60.5", "-68"), ("-60.5", "68.25"),
    ("60 deg 30' 15.00\" S", "68 deg 0' 0.00\" W"), ("60,30.0X", "68,0.0W"), ("", "68,0.0W"),
    ("60,30.0N", "198,0.0W"),
)  # fmt: skip
TEXTS = (
    "Tour Eiffel",
    "Z\u00fcrich",
    "It\u2019s \u201cfine\u201d \u20ac5",
    "\u65e5\u672c",
    "a  b",
    " ",
)
RATINGS = ("0", "1", "3", "5", "-1", "5,0", "4.0", "9", "")
CAMERAS = (("NIKON CORPORATION", "NIKON D70"), ("Apple", "iPhone 13"), ("", "X100"), ("Canon", ""))
LENSES = (("", "50mm f/2"), ("Lumora", "Lumora 35mm"), ("Lumora", "35mm"), ("", ""))


def write_corpus(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Write count files: a third by Pillow, a third by exiftool, a third as raw XMP and IPTC."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    third = count // 3
    files = [write_pillow_file(folder / f"pillow-{n:03}", rng) for n in range(third)]
    files += write_exiftool_files(folder, rng, third)
    return files + [write_raw_file(folder / f"raw-{n:03}", rng) for n in range(count - 2 * third)]


def make_small_picture() -> Image.Image:
    return Image.new("RGB", (SIDE_PX, SIDE_PX), "teal")


def write_pillow_file(stem: Path, rng: random.Random) -> Path:
    """Write EXIF as lax programs do, in a format that Pillow writes; return the file."""
    block = Image.Exif()
    make, model = rng.choice(CAMERAS)
    lens_make, lens = rng.choice(LENSES)
    block.update({tag: text for tag, text in ((0x010F, make), (0x0110, model)) if text})
    if rng.random() < 0.4:
        block[0x010E] = rng.choice(TEXTS).encode().decode("latin-1")
    if rng.random() < 0.3:
        block[0x9C9B] = f"{rng.choice(TEXTS)}\0".encode("utf-16-le")
    if rng.random() < 0.3:
        block[0x9C9E] = "one;two \u20ac\0".encode("utf-16-le")
    if rng.random() < 0.5:
        block[0x4746] = rng.randrange(6)
    if rng.random() < 0.3:
        block[0x0132] = "2024:12:22 06:39:25"
    camera = {0xA433: lens_make, 0xA434: lens}
    date_tag, offset_tag, fraction_tag = rng.choice(
        ((0x9003, 0x9011, 0x9291), (0x9003, 0x9010, 0x9290), (0x9004, 0x9012, 0x9292))
    )
    camera |= {date_tag: rng.choice(DATES), offset_tag: rng.choice(OFFSETS)}
    camera[fraction_tag] = rng.choice(FRACTIONS)
    block.get_ifd(0x8769).update({tag: text for tag, text in camera.items() if text})
    if rng.random() < 0.7:
        block.get_ifd(0x8825).update(make_gps_tags(rng))
    kind = rng.choice(("JPEG", "JPEG", "PNG", "WEBP", "TIFF"))
    file = stem.with_suffix(f".{kind.lower()}")
    make_small_picture().save(file, kind, exif=block)
    return file


def make_gps_tags(rng: random.Random) -> dict[int, Any]:
    """Return GPS tags with one to three numbers, of which some have a denominator of zero."""
    north, east = rng.choice(DIRECTIONS)
    zero = TiffImagePlugin.IFDRational(0, 0)
    latitude, longitude = rng.choice(
        (
            ((33.0, 51.0, 36.0), (151.0, 12.0, 0.0)),
            ((33.0, 51.6), (151.0, 12.0)),
            ((33.86,), (151.2,)),
            ((zero, zero, zero), (zero, zero, zero)),
            ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
            ((91.0, 0.0, 0.0), (151.0, 0.0, 0.0)),
        )
    )
    tags: dict[int, Any] = {2: latitude, 4: longitude}
    tags |= {number: text for number, text in ((1, north), (3, east)) if text}
    if rng.random() < 0.4:
        tags |= {29: "2008:02:07", 7: (10.0, 5.0, 3.0)}
    return tags


def write_exiftool_files(folder: Path, rng: random.Random, count: int) -> list[Path]:
    """Write valid tags of EXIF, IPTC and XMP with exiftool, in several formats."""
    files, rows = [], []
    for number in range(count):
        suffix = rng.choice((".jpg", ".jpg", ".png", ".webp", ".tif", ".xmp"))
        file = folder / f"exiftool-{number:03}{suffix}"
        if suffix == ".xmp":
            file.write_bytes(make_xmp())
        else:
            make_small_picture().save(file)
        files.append(file)
        rows.append({"SourceFile": str(file), **choose_exiftool_tags(rng)})
    table = folder / "tags.json"
    table.write_text(json.dumps(rows))
    subprocess.run(
        ["exiftool", "-q", "-q", "-m", "-overwrite_original", "-codedcharacterset=utf8",
         f"-json={table}", *map(str, files)],
        check=True,
    )  # fmt: skip
    table.unlink()
    return files


def choose_exiftool_tags(rng: random.Random) -> dict[str, Any]:
    """Return random tags with their group, as exiftool names them."""
    day = f"20{rng.randrange(24):02}:{rng.randrange(1, 13):02}:{rng.randrange(1, 29):02}"
    moment = f"{day} {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
    zone = rng.choice(("", "+02:00", "-03:30", "Z"))
    numeric_zone = zone.replace("Z", "+00:00")
    make, model = rng.choice(CAMERAS)
    lens_make, lens = rng.choice(LENSES)
    latitude, longitude = round(rng.uniform(-89, 89), 5), round(rng.uniform(-179, 179), 5)
    choices: list[dict[str, Any]] = [
        {"ExifIFD:DateTimeOriginal": moment, "ExifIFD:OffsetTimeOriginal": numeric_zone,
         "ExifIFD:SubSecTimeOriginal": str(rng.randrange(1000))},
        {"ExifIFD:CreateDate": moment, "IFD0:ModifyDate": "2024:12:22 06:39:25"},
        {"XMP-exif:DateTimeOriginal": moment + zone}, {"XMP-photoshop:DateCreated": moment + zone},
        {"XMP-photoshop:DateCreated": day[: rng.choice((4, 7, 10))]},
        {"XMP-xmp:CreateDate": moment + zone}, {"IPTC:DateCreated": day},
        {"IPTC:DateCreated": day, "IPTC:TimeCreated": moment[11:] + (numeric_zone or "+01:00")},
        {"GPS:GPSLatitude": abs(latitude), "GPS:GPSLongitude": abs(longitude),
         "GPS:GPSLatitudeRef": "NS"[latitude < 0], "GPS:GPSLongitudeRef": "EW"[longitude < 0]},
        {"XMP-exif:GPSLatitude": latitude, "XMP-exif:GPSLongitude": longitude},
        {"XMP-xmp:Rating": rng.choice((0, 2, 4, 5, -1))}, {"IFD0:Rating": rng.randrange(6)},
        {"XMP-dc:Subject": rng.sample(TEXTS[:5], 2)}, {"IPTC:Keywords": rng.sample(TEXTS[:5], 2)},
        {"XMP-dc:Title": rng.choice(TEXTS)}, {"IPTC:ObjectName": rng.choice(TEXTS)},
        {"XMP-dc:Description": rng.choice(TEXTS)}, {"IPTC:Caption-Abstract": rng.choice(TEXTS)},
        {"IFD0:ImageDescription": rng.choice(TEXTS)},
        {"IFD0:Make": make, "IFD0:Model": model}, {"XMP-tiff:Make": make, "XMP-tiff:Model": model},
        {"ExifIFD:LensMake": lens_make, "ExifIFD:LensModel": lens}, {"XMP-aux:Lens": lens},
    ]  # fmt: skip
    chosen: dict[str, Any] = {}
    for tags in rng.sample(choices, 9):
        chosen |= {name: value for name, value in tags.items() if value != ""}
    return chosen


def write_raw_file(stem: Path, rng: random.Random) -> Path:
    """Write XMP of lax programs, in a sidecar or a JPEG, or IPTC in some encoding."""
    if rng.random() < 0.3:
        file = stem.with_suffix(".jpg")
        file.write_bytes(make_jpeg(make_lax_iptc(rng)))
        return file
    latitude, longitude = rng.choice(XMP_COORDINATES)
    elements = f"<exif:GPSLatitude>{latitude}</exif:GPSLatitude>".replace('"', "&quot;")
    elements += f"<exif:GPSLongitude>{longitude}</exif:GPSLongitude>".replace('"', "&quot;")
    if latitude == "60.5" and rng.random() < 0.5:
        elements = elements.replace("-68", "68") + "<exif:GPSLongitudeRef>W</exif:GPSLongitudeRef>"
    elements += make_list_property("dc:subject", "heron", rng.choice(TEXTS))
    elements += make_list_property("dc:title", rng.choice(TEXTS), kind="Alt")
    date_name = rng.choice(("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"))
    attributes = f'{date_name}="{rng.choice(DATES)}" xmp:Rating="{rng.choice(RATINGS)}"'
    packet = make_xmp(attributes, elements)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"))
    packet = packet.decode().encode(encoding)
    is_sidecar = rng.random() < 0.5
    file = stem.with_suffix(".xmp" if is_sidecar else ".jpg")
    file.write_bytes(packet if is_sidecar else make_jpeg(xmp=packet))
    return file


def make_lax_iptc(rng: random.Random) -> bytes:
    """Return IPTC in UTF-8 or Windows-1252, with or without a declaration."""
    encoding = rng.choice(("utf-8", "cp1252"))
    declaration = rng.choice((b"", b"\x1b%G")) if encoding == "utf-8" else b""

    def iter_data_sets() -> Iterator[tuple[int, int, bytes]]:
        if declaration:
            yield 1, 90, declaration
        for number in (5, 25, 25, 120):
            yield 2, number, rng.choice(TEXTS[:3]).encode(encoding)
        yield 2, 55, rng.choice((b"20230617", b"20230600", b"00000000", b"19930000"))
        yield 2, 60, rng.choice((b"210500+0200", b"210500", b"999999"))

    return b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(value)) + value
        for record, number, value in iter_data_sets()
    )
