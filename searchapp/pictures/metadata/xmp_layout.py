"""Locate the elements of an XMP packet in its bytes, so that an edit can keep all other bytes.

Libraries for XMP, such as exempi and exiv2, write the complete packet anew. Python's expat parser
reports the position of each tag. Source of the format: ISO 16684-1.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from searchapp.errors import SearchAppError
from searchapp.pictures.metadata.xmp import MAX_PACKET_BYTES, NAMESPACES, detect_encoding

SEPARATOR = " "  # between namespace and name; a namespace cannot contain it
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#" + SEPARATOR
SUBJECT = f"{NAMESPACES['dc']}{SEPARATOR}subject"
HIERARCHICAL_SUBJECT = f"{NAMESPACES['lr']}{SEPARATOR}hierarchicalSubject"
CONTAINERS = (f"{RDF}Bag", f"{RDF}Seq", f"{RDF}Alt")
TAG_PATTERN = re.compile(rb"<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")
RAW_NAME_PATTERN = re.compile(rb"<([^\s/>]+)")
DECLARED_ENCODING_PATTERN = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([^"']*)""", re.I)
MARKS = (  # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MAX_ELEMENTS = 200_000


class SidecarError(SearchAppError):
    """A sidecar cannot be edited without a change of other metadata."""


@dataclass(slots=True, eq=False)
class Element:
    """An XML element, with the positions of its tags in the bytes of the packet.

    name: namespace, SEPARATOR and local name. start, tag_end: of the start tag. close, end: of the
    end tag; equal to tag_end if the element is a single tag.
    """

    name: str
    attributes: dict[str, str]
    start: int
    tag_end: int
    close: int = 0
    end: int = 0
    is_single_tag: bool = False
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, *names: str) -> list[Element]:
        """Return the children with one of these names."""
        return [child for child in self.children if child.name in names]


@dataclass(frozen=True, slots=True)
class Coding:
    """How the text of a sidecar is stored: the byte order mark, and the UTF."""

    mark: bytes
    encoding: str

    def encode(self, utf8: bytes) -> bytes:
        """Return the bytes of the sidecar for a text in UTF-8."""
        return self.mark + utf8.decode().encode(self.encoding)


def decode_sidecar(data: bytes) -> tuple[bytes, Coding]:
    """Return the text of a sidecar in UTF-8, and how it is stored; raise SidecarError if neither.

    Decoding and encoding again gives the same bytes.
    """
    if len(data) > MAX_PACKET_BYTES:
        raise SidecarError(f"it has more than {MAX_PACKET_BYTES >> 20} MiB")
    mark, encoding = next(
        (item for item in MARKS if data.startswith(item[0])), (b"", detect_encoding(data))
    )
    declared = DECLARED_ENCODING_PATTERN.match(data)
    if declared and not declared[1].lower().startswith(b"utf"):
        raise SidecarError("its encoding is not a UTF")
    try:
        return data[len(mark) :].decode(encoding).encode(), Coding(mark, encoding)
    except UnicodeError as error:
        raise SidecarError(f"it is not valid {encoding.upper()}") from error


def parse_layout(packet: bytes) -> Element:
    """Return the element rdf:RDF of a packet in UTF-8, with all elements in it.

    Raises SidecarError if the packet is not XMP, or has a document type definition, whose entities
    can be an attack.
    """
    found: list[Element] = []
    open_elements: list[Element] = []
    count = 0

    def start_element(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        start = parser.CurrentByteIndex
        tag = TAG_PATTERN.match(packet, start)
        if tag is None or count > MAX_ELEMENTS:
            raise SidecarError("it has more elements than XMP needs")
        element = Element(name, attributes, start, tag.end())
        element.is_single_tag = tag[0].endswith(b"/>")
        if open_elements:
            open_elements[-1].children.append(element)
        if name == f"{RDF}RDF":
            found.append(element)
        open_elements.append(element)

    def end_element(name: str) -> None:
        element = open_elements.pop()
        if element.is_single_tag:
            element.close = element.end = element.tag_end
        else:
            element.close = parser.CurrentByteIndex
            element.end = packet.index(b">", element.close) + 1

    def add_text(text: str) -> None:
        if open_elements:
            open_elements[-1].text += text

    def refuse_doctype(*_: object) -> None:
        raise SidecarError("it has a document type definition, which XMP does not use")

    parser = expat.ParserCreate("utf-8", SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = start_element
    parser.EndElementHandler = end_element
    parser.CharacterDataHandler = add_text
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(packet, True)
    except expat.ExpatError as error:
        raise SidecarError(f"it is not valid XML ({error})") from error
    if len(found) != 1 or found[0].is_single_tag:
        raise SidecarError("it is not XMP: it has no element rdf:RDF with content")
    return found[0]


def list_descriptions(rdf: Element) -> list[Element]:
    """Return the descriptions of the picture; nested ones describe other things."""
    return rdf.find(f"{RDF}Description")


def find_property(rdf: Element, name: str) -> Element | None:
    """Return the element of a list property; None if the packet does not have it.

    Raises SidecarError if the packet has it twice, or not as an element.
    """
    descriptions = list_descriptions(rdf)
    found = [element for each in descriptions for element in each.find(name)]
    if len(found) > 1 or any(name in each.attributes for each in descriptions):
        raise SidecarError("its keywords are stored in an unusual way")
    return found[0] if found else None


def find_container(element: Element) -> Element | None:
    """Return the list in a property; None if the property is empty.

    Raises SidecarError if the property has other content.
    """
    lists = element.find(*CONTAINERS)
    is_plain = not element.attributes and len(element.children) == len(lists) <= 1
    if not is_plain or element.text.strip():
        raise SidecarError("its keywords are stored in an unusual way")
    return lists[0] if lists else None


def list_items(element: Element | None) -> list[Element]:
    """Return the items of a list property."""
    container = None if element is None else find_container(element)
    return [] if container is None else container.find(f"{RDF}li")


def get_raw_name(packet: bytes, element: Element) -> bytes:
    """Return the name of an element as it is written, with its prefix."""
    match = RAW_NAME_PATTERN.match(packet, element.start)
    assert match is not None  # The parser accepted the tag.
    return match[1]


def get_space_before(packet: bytes, start: int) -> bytes:
    """Return the white space before a position."""
    before = packet[max(0, start - 200) : start]
    return before[len(before.rstrip(b" \t\r\n")) :]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replacement of bytes at a position of the original."""

    start: int
    removed: bytes
    inserted: bytes


def apply_edits(packet: bytes, edits: Sequence[Edit]) -> bytes:
    """Return a packet with edits, which are sorted and do not overlap."""
    return b"".join(_iter_edited(packet, edits))


def _iter_edited(packet: bytes, edits: Sequence[Edit]) -> Iterator[bytes]:
    position = 0
    for edit in edits:
        yield packet[position : edit.start]
        yield edit.inserted
        position = edit.start + len(edit.removed)
    yield packet[position:]
