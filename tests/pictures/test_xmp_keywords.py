"""Own keywords in sidecars: all else stays byte for byte, and undo restores every byte."""

from __future__ import annotations

import codecs
import json
import re
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.sidecar_shapes import make_sidecar

from searchapp.pictures.metadata.xmp import parse_xmp
from searchapp.pictures.metadata.xmp_keywords import clear_own_keywords, set_own_keywords
from searchapp.pictures.metadata.xmp_layout import SidecarError

TAGS = ["Animals|Birds|Heron", "R&D", "Übung"]
OWN_FIELDS = re.compile(
    "XMP-dc:Subject|XMP-lr:HierarchicalSubject|XMP-searchapp:|SourceFile|System:"
)
FILE_FIELDS = re.compile("SourceFile|System:")
PACKET = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">CONTENT</rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


def read_fields(folder: Path) -> list[dict[str, Any]]:
    """Return the fields of all sidecars in a folder, in one call of exiftool."""
    command = [
        "exiftool",
        "-q",
        "-q",
        "-json",
        "-struct",
        "-a",
        "-G1",
        "-n",
        "-fileOrder",
        "FileName",
    ]
    done = subprocess.run([*command, str(folder)], capture_output=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def list_values(value: Any) -> list[str]:
    return [
        str(each) for each in (value if isinstance(value, list) else [value]) if str(each).strip()
    ]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
def test_exiftool_finds_all_other_fields_equal(tmp_path: Path) -> None:
    """200 sidecars: other fields are equal, keywords are complete, and undo restores the bytes."""
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    after.mkdir()
    for number in range(200):
        data = make_sidecar(Random(number))
        tagged = set_own_keywords(data, TAGS)
        assert tagged is not None
        assert set_own_keywords(tagged, TAGS) == tagged, number
        assert clear_own_keywords(tagged) == data, number
        (before / f"{number:03}.xmp").write_bytes(data)
        (after / f"{number:03}.xmp").write_bytes(tagged)
    rows = list(zip(read_fields(before), read_fields(after), strict=True))
    assert len(rows) == 200
    for old, new in rows:
        name = old["SourceFile"]
        others = [{k: v for k, v in row.items() if not OWN_FIELDS.match(k)} for row in (old, new)]
        assert others[0] == others[1], name
        assert len(others[0]) > 5, name
        old_words = list_values(old.get("XMP-dc:Subject", []))
        words = list_values(new["XMP-dc:Subject"])
        assert words[: len(old_words)] == old_words, name
        expected = {*old_words, "Animals", "Birds", "Heron", "R&D", "Übung"}
        assert set(words) == expected, name
        assert len(words) == len(expected), name
        old_paths = list_values(old.get("XMP-lr:HierarchicalSubject", []))
        kept = {*old_paths} or {*old_words}  # programs would ignore dc:subject from now on
        assert {*list_values(new["XMP-lr:HierarchicalSubject"])} == kept | {*TAGS}, name


@pytest.mark.parametrize(
    "command",
    [
        ("exiftool", "-q", "-overwrite_original", "-XMP-xmp:Label=blue"),
        ("exiv2", "-M", "set Xmp.xmp.Label blue"),  # darktable and digiKam save with its library
    ],
    ids=["exiftool", "exiv2"],
)
def test_undo_after_an_edit_by_another_program(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The sidecar is as if the program had edited the one without own keywords."""
    if shutil.which("exiftool") is None or shutil.which(command[0]) is None:
        pytest.skip(f"needs exiftool and {command[0]}")
    plain, tagged = tmp_path / "plain", tmp_path / "tagged"
    for folder in (plain, tagged):
        folder.mkdir()
    for number in range(40):
        data = make_sidecar(Random(number))
        (plain / f"{number:03}.xmp").write_bytes(data)
        (tagged / f"{number:03}.xmp").write_bytes(set_own_keywords(data, TAGS) or b"")
    for folder in (plain, tagged):  # exiv2 refuses UTF-16, and leaves these files as they are.
        subprocess.run([*command, *sorted(folder.iterdir())], capture_output=True, check=False)
    for file in tagged.iterdir():
        edited = file.read_bytes()
        again = set_own_keywords(edited, TAGS)
        assert again is not None
        assert set_own_keywords(again, TAGS) == again, file.name
        cleared = clear_own_keywords(edited)
        assert cleared is not None
        assert b"searchapp" not in cleared
        assert clear_own_keywords(again) == cleared, file.name
        file.write_bytes(cleared)
    edited_count = 0
    for old, new in zip(read_fields(plain), read_fields(tagged), strict=True):
        edited_count += old.get("XMP-xmp:Label") == "blue"
        for row in (old, new):  # A list without items counts as a missing list.
            lists = [name for name in row if OWN_FIELDS.match(name) and not list_values(row[name])]
            for name in [*lists, *(name for name in row if FILE_FIELDS.match(name))]:
                del row[name]
        assert old == new, old
    assert edited_count > 30


def test_new_sidecar_has_the_keywords_and_is_deleted_by_undo() -> None:
    """A sidecar that searchapp made is valid XMP, and is not needed without keywords."""
    made = set_own_keywords(None, TAGS)
    assert made is not None
    found = parse_xmp(made)
    assert found is not None
    assert {*found.keywords} == {"Animals", "Birds", "Heron", "R&D", "Übung"}
    assert set_own_keywords(made, TAGS) == made
    assert clear_own_keywords(made) is None
    assert set_own_keywords(made, []) is None
    assert set_own_keywords(None, []) is None


def test_other_words_replace_own_words() -> None:
    """Own keywords of an earlier run go; the result does not depend on it."""
    for number in range(60):
        data = make_sidecar(Random(number))
        first = set_own_keywords(data, ["Dog", "Animals|Cow"])
        assert first is not None
        assert set_own_keywords(first, TAGS) == set_own_keywords(data, TAGS)
        assert set_own_keywords(first, []) == data


@pytest.mark.parametrize(
    "data",
    [
        # The prefix of the list is not that of rdf:RDF, and rdf stands for something else.
        PACKET.replace(b"rdf:", b"r:")
        .replace(b"xmlns:rdf", b"xmlns:r")
        .replace(
            b"CONTENT",
            b'<dc:subject><q:Bag xmlns:q="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            b'<q:li>cat</q:li></q:Bag></dc:subject><rdf:x xmlns:rdf="urn:other"/>',
        ),
        # RDF is the default namespace.
        b'<RDF xmlns="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:d='
        b"\"http://purl.org/dc/elements/1.1/\"><Description about=''><d:subject><Seq><li>cat</li>"
        b"</Seq></d:subject></Description></RDF>",
        # The prefixes dc and lr stand for something else.
        PACKET.replace(b"xmlns:dc", b"xmlns:k").replace(
            b"CONTENT",
            b"<k:subject><rdf:Seq><rdf:li>cat</rdf:li></rdf:Seq></k:subject><dc:subject xmlns:dc="
            b'"urn:other">x</dc:subject><lr:hierarchicalSubject xmlns:lr="urn:other"/>',
        ),
        PACKET.replace(
            b"CONTENT", b"<dc:subject><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></dc:subject>"
        )
        + b"\n"
        + b" " * 2048
        + b'<?xpacket end="w"?>',
        codecs.BOM_UTF16_LE
        + ('<?xml version="1.0" encoding="UTF-16"?>\r\n' + PACKET.decode())
        .replace("CONTENT", "<dc:subject><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></dc:subject>")
        .encode("utf-16-le"),
    ],
    ids=["prefixes", "default-namespace", "taken-prefixes", "padding", "utf-16"],
)
def test_other_forms_of_packets(data: bytes) -> None:
    """Other prefixes, a list in order, and padding: all other bytes stay."""
    tagged = set_own_keywords(data, TAGS)
    assert tagged is not None
    found = parse_xmp(tagged)
    assert found is not None
    assert found.keywords == ("cat", "Animals", "Birds", "Heron", "R&D", "Übung")
    assert set_own_keywords(tagged, TAGS) == tagged
    assert clear_own_keywords(tagged) == data


def test_change_by_another_program_stays() -> None:
    """After another program has changed the sidecar, own keywords are removed by their names."""
    for number in range(60):
        data = make_sidecar(Random(number))
        tagged = set_own_keywords(data, TAGS)
        assert tagged is not None
        encoding = "utf-16" if data.startswith(b"\xfe\xff") else "utf-8"
        changed = tagged + "\n".encode("utf-16-be" if encoding == "utf-16" else encoding)
        cleared = clear_own_keywords(changed)
        assert cleared is not None
        text = cleared.decode(encoding)
        assert "searchapp" not in text
        assert "Übung" not in text
        again = set_own_keywords(changed, TAGS)
        assert again is not None
        assert set_own_keywords(again, TAGS) == again
        assert clear_own_keywords(again) == cleared


def test_removed_keyword_is_not_added_again() -> None:
    """A person has removed an own keyword in another program: it stays away, until undo."""
    made = set_own_keywords(None, ["Dog", "Cat"])
    assert made is not None
    with_other = made.replace(b"<rdf:li>Cat</rdf:li>", b"<rdf:li>Mine</rdf:li>", 1)
    assert b"Mine" in (clear_own_keywords(with_other) or b"")
    start = made.index(b"<searchapp:Subject>")
    without = made[:start].replace(b"<rdf:li>Cat</rdf:li>", b"") + made[start:]
    again = set_own_keywords(without, ["Dog", "Cat"])
    assert again is not None
    found = parse_xmp(again)
    assert found is not None
    assert found.keywords == ("Dog",)
    assert set_own_keywords(again, ["Dog", "Cat"]) == again
    assert b"searchapp" not in (clear_own_keywords(again) or b"")


def test_mark_survives_in_the_form_of_exiv2() -> None:
    """exiv2, and so darktable and digiKam, joins all descriptions into one when it saves."""
    joined = PACKET.replace(
        b"CONTENT",
        b"<dc:subject><rdf:Bag><rdf:li>cat</rdf:li><rdf:li>Dog</rdf:li></rdf:Bag></dc:subject>"
        b"<searchapp:Subject><rdf:Bag><rdf:li>Dog</rdf:li></rdf:Bag></searchapp:Subject>",
    ).replace(
        b'rdf:about=""',
        b'rdf:about="" xmlns:searchapp="urn:searchapp:tags/1.0/" searchapp:Edits=""'
        b' searchapp:Check="00" searchapp:Block="9"',
    )
    assert clear_own_keywords(joined) == PACKET.replace(
        b"CONTENT", b"<dc:subject><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></dc:subject>"
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not valid XML"),
        (b"<a>", "not valid XML"),
        (b"<a/>", "rdf:RDF"),
        (b"\xff" + PACKET, "not valid UTF-8"),
        (PACKET + b"\0\0", "not valid XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]>' + PACKET, "document type"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + PACKET, "encoding"),
        (PACKET.replace(b"CONTENT", b"<dc:subject>cat</dc:subject>"), "unusual"),
        (PACKET.replace(b'about=""', b'about="" dc:subject="cat"'), "unusual"),
        (PACKET.replace(b"CONTENT", b"<dc:subject/><dc:subject/>"), "unusual"),
        (PACKET.replace(b"CONTENT", b'<dc:subject rdf:parseType="Literal"/>'), "unusual"),
        (b"x" * ((4 << 20) + 1), "more than"),
        (PACKET.replace(b"CONTENT", b"<dc:x/>" * 200_001), "more elements"),
    ],
    ids=range(13),
)
def test_unusual_sidecar_is_refused(data: bytes, reason: str) -> None:
    """A sidecar that cannot be edited safely is an error, and never a guess."""
    with pytest.raises(SidecarError, match=reason):
        set_own_keywords(data, TAGS)
