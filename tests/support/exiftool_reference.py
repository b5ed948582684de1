"""Compare searchapp's metadata with that of exiftool, and name the kind of each disagreement."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchapp.pictures import decode, metadata
from searchapp.pictures.metadata.sanitize import clean_text
from searchapp.types import PictureInfo

Values = dict[str, Any]
Tags = dict[str, dict[str, Any]]
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"
STRICT_PATTERN = re.compile(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d|[+-]\d\d:\d\d")
# The order in which searchapp documents its sources. exiftool reads each, and chooses none.
DATE_TAGS = (
    ("Composite:SubSecDateTimeOriginal", "ExifIFD:DateTimeOriginal"),
    ("XMP-exif:DateTimeOriginal",), ("XMP-photoshop:DateCreated",),
    ("Composite:DateTimeCreated", "IPTC:DateCreated"),
    ("Composite:SubSecCreateDate", "ExifIFD:CreateDate"), ("XMP-xmp:CreateDate",),
    ("Composite:SubSecModifyDate", "IFD0:ModifyDate"),
)  # fmt: skip
TEXT_TAGS = {
    "title": ("XMP-dc:Title", "IPTC:ObjectName", "IFD0:XPTitle"),
    "description": ("XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription"),
}
KEYWORD_TAGS = ("XMP-dc:Subject", "IPTC:Keywords", "IFD0:XPKeywords")
RATING_TAGS = ("XMP-xmp:Rating", "IFD0:Rating")
# Each kind of disagreement, with its reason. The names are those that explain_difference() returns.
REASONS = {
    "unknown direction": "exiftool counts an unknown direction as north or east; we know no place",
    "impossible place": "exiftool shows a latitude above 90 or a longitude above 180; we drop it",
    "0/0": "exiftool's composite tag counts a coordinate of 0/0 as 0 degrees",
    "direction apart": "exiftool ignores the direction that XMP stores in another property",
    "UTF-16 without mark": "exiftool does not recognize a sidecar in UTF-16 without a mark",
    "IPTC without encoding": "exiftool reads UTF-8 as Windows-1252 if it is not declared",
    "24:00 or :60": "Python has no such time: midnight of the next day, or second 59",
    "incomplete date": "exiftool counts zeros back, to the month before; we count the first",
    "impossible time": "exiftool counts impossible hours on; we keep the day",
    "odd separators": "exiftool reads a comma, or a date without separators, in another way",
    "completed date": "another source has the same moment more exactly",
    "zone of the GPS": "exiftool does not derive the time zone from the GPS time",
    "lax text": "exiftool joins a zone and a fraction only to a strictly written date",
    "not a rating": "we drop ratings outside -1 to 5",
}


@dataclass
class Comparison:
    """Numbers of compared values by field, and disagreements by kind."""

    compared: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    @property
    def agreement(self) -> float:
        """Return the share of equal values among the values that exiftool or searchapp found."""
        return self.agreed.total() / max(1, self.compared.total())


def read_with_exiftool(files: Iterable[Path]) -> list[Tags]:
    """Return the tags of files, by group and name, in one call of exiftool."""
    command = ["exiftool", "-q", "-q", "-json", "-long", "-a", "-G1", "-d", DATE_FORMAT]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, check=False)
    rows: list[Tags] = json.loads(done.stdout)
    return rows


def read_with_searchapp(file: Path) -> PictureInfo:
    """Return the metadata of a picture, or of a sidecar alone."""
    if file.suffix == ".xmp":
        return metadata.apply_sidecar(
            PictureInfo(format="JPEG", width=1, height=1), file.read_bytes()
        )
    state = file.stat()
    info = decode.read_picture_info(str(file), state.st_size, state.st_mtime_ns)
    assert info is not None, file
    return info


def compare_files(files: Iterable[Path]) -> Comparison:
    """Compare all fields of files with exiftool."""
    result = Comparison()
    files = list(files)
    for file, tags in zip(files, read_with_exiftool(files), strict=True):
        expected, found = simplify_tags(tags), simplify_info(read_with_searchapp(file))
        for name in sorted(expected.keys() | found.keys()):
            one, other = expected.get(name), found.get(name)
            if one is None and other is None:
                continue
            result.compared[name] += 1
            if one == other:
                result.agreed[name] += 1
                continue
            kind = explain_difference(name, one, other, tags, file)
            result.kinds[kind or "unexplained"] += 1
            if kind is None:
                result.unexplained.append(f"{file}: {name}: exiftool {one!r}, searchapp {other!r}")
    return result


def simplify_info(info: PictureInfo) -> Values:
    """Return the fields of searchapp's metadata to compare."""
    date = info.taken_at or ""
    fraction, zone = re.match(r"(?:\.(\d+))?(.*)", date[19:]).groups()  # type: ignore[union-attr]
    return {
        "date": date[:19] or None,
        "sub-seconds": (fraction or "").rstrip("0") or None,
        "zone": zone or None,
        "place": None if info.latitude is None else _round_place(info.latitude, info.longitude),
        "rating": info.rating,
        "keywords": info.keywords or None,
        "title": info.title,
        "description": info.description,
        "camera": info.camera,
        "lens": info.lens,
    }


def simplify_tags(tags: Tags) -> Values:
    """Return the fields of exiftool's tags to compare, by the documented order of sources."""
    values: Values = {
        name: next(filter(None, (clean_text(get_text(tags, t), 2000) for t in names)), None)
        for name, names in TEXT_TAGS.items()
    }
    date_tag = find_date_tag(tags)
    if date_tag is not None:
        shown, raw = tags[date_tag]["val"], get_text(tags, date_tag)
        values["date"] = str(shown)[:19].replace("24:00:00", "00:00:00")
        parts = re.search(r"\d:\s?\d?\d:\s?\d?\d(?:[.,](\d*))?\s*([-+]\d\d:?\d\d|Z)?$", raw)
        if parts and " " in raw.strip():
            values["sub-seconds"] = (parts[1] or "").rstrip("0") or None
        if parts and parts[2]:
            zone = parts[2].replace("Z", "+00:00")
            values["zone"] = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    for tag in RATING_TAGS:
        if tag in tags:
            with_point = get_text(tags, tag).replace(",", ".")
            values["rating"] = round(float(with_point)) or None if with_point.strip() else None
            break
    for tag in KEYWORD_TAGS:
        if found := _list_keywords(tags, tag):
            values["keywords"] = found
            break
    values["place"] = _find_place(tags)
    for name, make_tags, model_tags in (
        ("camera", ("IFD0:Make", "XMP-tiff:Make"), ("IFD0:Model", "XMP-tiff:Model")),
        ("lens", ("ExifIFD:LensMake", ""), ("ExifIFD:LensModel", "XMP-aux:Lens")),
    ):
        for make_tag, model_tag in zip(make_tags, model_tags, strict=True):
            make, model = get_text(tags, make_tag), get_text(tags, model_tag)
            joined = model if make.split(" ")[0] in model else f"{make} {model}"
            if values.get(name) is None and joined.strip():
                values[name] = joined.strip()
    return values


def find_date_tag(tags: Tags) -> str | None:
    """Return the first tag with a date that exiftool recognized; its year must be plausible."""
    for names in DATE_TAGS:
        for name in names:
            shown = str(tags.get(name, {}).get("val", ""))
            if re.match(r"(1[89]|2[01])\d\d-", shown) and name != "Composite:DateTimeCreated":
                return name
            if re.match(r"(1[89]|2[01])\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", shown):
                return name
    return None


def get_text(tags: Tags, name: str) -> str:
    """Return the text of a tag before exiftool formatted it; "" if there is none."""
    tag = tags.get(name, {})
    value = tag.get("num", tag.get("val", ""))
    return str(value[0] if isinstance(value, list) else value)


def _list_keywords(tags: Tags, name: str) -> tuple[str, ...]:
    value = tags.get(name, {}).get("val", [])
    words = [str(word) for word in (value if isinstance(value, list) else [value])]
    if name.endswith("XPKeywords"):
        words = words[0].split(";") if words else []
    cleaned = [word for each in words if (word := clean_text(each, 100))]
    return tuple({word.casefold(): word for word in reversed(cleaned)}.values())[::-1]


def _find_place(tags: Tags) -> tuple[float, float] | None:
    for latitude, longitude in (
        ("Composite:GPSLatitude", "Composite:GPSLongitude"),
        ("XMP-exif:GPSLatitude", "XMP-exif:GPSLongitude"),
    ):
        texts = get_text(tags, latitude), get_text(tags, longitude)
        if all(texts):
            return _round_place(*map(float, texts))
    return None


def _round_place(latitude: float, longitude: float | None) -> tuple[float, float]:
    return round(latitude, 5), round(longitude or 0.0, 5)


def explain_difference(name: str, one: Any, other: Any, tags: Tags, file: Path) -> str | None:
    """Return the kind of a difference of exiftool's and searchapp's value; None if unexplained."""
    data = file.read_bytes()
    if file.suffix == ".xmp" and data[:2] in (b"<\0", b"\0<") and one is None:
        return "UTF-16 without mark"
    if name == "place":
        return _explain_place(one, other, tags, data.replace(b"\0", b""))
    if name in ("date", "zone", "sub-seconds"):
        return _explain_date(name, one, tags)
    if name == "rating":
        return "not a rating" if other is None and not -1 <= float(one) <= 5 else None
    is_undeclared = "IPTC:CodedCharacterSet" not in tags and b"8BIM\x04\x04" in data
    is_misread = re.search("[\u00c3\u00e2]", str(one)) is not None
    return "IPTC without encoding" if is_undeclared and is_misread else None


def _explain_place(one: Any, other: Any, tags: Tags, data: bytes) -> str | None:
    names = ("GPS:GPSLatitude", "GPS:GPSLongitude")
    directions = [get_text(tags, f"{name}Ref") for name in names if name in tags]
    if other is None and one is None:
        return None
    if other is None and one == (0.0, 0.0) and not any(get_text(tags, name) for name in names):
        return "0/0"
    if other is None and (abs(one[0]) > 90 or abs(one[1]) > 180):
        return "impossible place"
    if other is None and any(text.strip()[:1].upper() not in "NSEW" for text in directions):
        return "unknown direction"
    if other is None and not directions and re.search(rb"GPSLatitude>[^<]*X", data):
        return "unknown direction"
    if "XMP-exif:GPSLongitudeRef" in tags and one and other and one[1] == -other[1]:
        return "direction apart"
    return None


def _explain_date(name: str, one: Any, tags: Tags) -> str | None:
    tag = find_date_tag(tags)
    raw = get_text(tags, tag) if tag else ""
    texts = [get_text(tags, each) for names in DATE_TAGS for each in names if each in tags]
    if any(re.search(r"\d{8} \d{6}|,", text) for text in texts):
        return "odd separators"
    if re.search(r":60|24:00", raw):
        return "24:00 or :60"
    if re.search(r"^\d{4}:00|^\d{4}:\d\d:00|: |^\d{8}$", raw):
        return "incomplete date"
    if "99:99" in raw:
        return "impossible time"
    if name == "zone" and one is None and "GPS:GPSTimeStamp" in tags:
        return "zone of the GPS"
    parts = [get_text(tags, each) for each in tags if re.search("ExifIFD:.*(Date|OffsetT)", each)]
    if name != "date" and not all(STRICT_PATTERN.fullmatch(part) for part in parts):
        return "lax text"
    others = [text for text in texts if text[:10] == raw[:10] and len(text) > len(raw)]
    is_shortened = any(text.startswith(raw) for text in texts if len(text) > len(raw))
    return "completed date" if others or is_shortened else None
