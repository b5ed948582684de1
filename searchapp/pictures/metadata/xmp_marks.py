"""Read the mark of searchapp's own keywords in an XMP sidecar, and take the keywords back.

The mark is a separate rdf:Description with the properties of MARK_SPACE. It lists the own keywords,
the edits of other lists, and the SHA-256 of the edited packet, which is computed with zeros in its
place. If the packet has another SHA-256, another program has changed the sidecar. Then the own
keywords are removed by name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from searchapp.pictures.metadata.xmp_layout import (
    HIERARCHICAL_SUBJECT,
    SEPARATOR,
    SUBJECT,
    Edit,
    Element,
    apply_edits,
    find_property,
    get_space_before,
    list_descriptions,
    list_items,
    parse_layout,
)

MARK_SPACE = "urn:searchapp:tags/1.0/"  # exiv2 adds a missing slash at the end
UNSIGNED = b"0" * hashlib.sha256().digest_size * 2
MARK_NAME = MARK_SPACE + SEPARATOR
EDIT_PATTERN = re.compile(r"(\d{1,9}),(\d{1,9}),((?:[0-9a-f]{2})*)")
XMLNS_PATTERN = rb"""\s+xmlns:%s\s*=\s*(?:"[^"]*"|'[^']*')"""
ATTRIBUTE_PATTERN = rb"""\s+%s:\w+\s*=\s*(?:"[^"]*"|'[^']*')"""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a sidecar says about searchapp's own keywords.

    subjects, paths: own values in dc:subject and in lr:hierarchicalSubject. rejected: own paths
    that a person has removed in another program. values: all
    properties as text.
    """

    subjects: tuple[str, ...]
    paths: tuple[str, ...]
    rejected: tuple[str, ...]
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """A packet without searchapp's own keywords.

    is_created: searchapp made the sidecar, and no other program has changed it.
    rejected: own paths that a person has removed in another program.
    """

    packet: bytes
    is_created: bool = False
    rejected: tuple[str, ...] = ()


def sign_packet(packet: bytes) -> bytes:
    """Return a packet whose mark has UNSIGNED as its hash with the hash of the packet."""
    return packet.replace(UNSIGNED, hashlib.sha256(packet).hexdigest().encode(), 1)


def _is_unchanged(packet: bytes, mark: Mark) -> bool:
    """Return whether no other program has changed a packet since it was signed."""
    signature = mark.values.get("Check", "").encode()
    return sign_packet(packet.replace(signature, UNSIGNED, 1)) == packet if signature else False


def remove_own_keywords(packet: bytes) -> Restored:
    """Return a packet in UTF-8 without searchapp's own keywords, and without their mark.

    Raises SidecarError if it is not XMP, or stores its keywords in an unusual way.
    """
    rdf = parse_layout(packet)
    mark = _read_mark(rdf)
    if mark is None:
        return Restored(packet)
    original = _undo_edits(packet, rdf, mark)
    if original is not None:
        return Restored(original, mark.values.get("Created") == "True", mark.rejected)
    present = {item.text for item in list_items(find_property(rdf, HIERARCHICAL_SUBJECT))}
    removed_by_person = [path for path in mark.paths if path not in present]
    spans = sorted(_find_own_spans(packet, rdf, mark))
    edits = list[Edit]()
    for start, end in spans:
        if not edits or start >= edits[-1].start + len(edits[-1].removed):
            edits.append(Edit(start, packet[start:end], b""))
    rejected = dict.fromkeys([*mark.rejected, *removed_by_person])
    return Restored(apply_edits(packet, edits), False, tuple(rejected))


def _read_mark(rdf: Element) -> Mark | None:
    values, lists = dict[str, str](), dict[str, list[str]]()
    for description in list_descriptions(rdf):
        for name, value in description.attributes.items():
            if name.startswith(MARK_NAME):
                values[name.removeprefix(MARK_NAME)] = value
        for child in description.children:
            if child.name.startswith(MARK_NAME):
                # exiftool and others write simple values as elements, too.
                name = child.name.removeprefix(MARK_NAME)
                values[name] = child.text
                if child.children:
                    lists[name] = [item.text for item in list_items(child)]
    if not values:
        return None
    return Mark(
        tuple(lists.get("Subject", ())),
        tuple(lists.get("HierarchicalSubject", ())),
        tuple(lists.get("Rejected", ())),
        values,
    )


def _undo_edits(packet: bytes, rdf: Element, mark: Mark) -> bytes | None:
    """Return the original packet; None if another program has changed the packet since."""
    edits = [
        (int(start), int(length), bytes.fromhex(removed))
        for start, length, removed in EDIT_PATTERN.findall(mark.values.get("Edits", ""))
    ]
    own = [each for each in list_descriptions(rdf) if f"{MARK_NAME}Check" in each.attributes]
    block = mark.values.get("Block", "")
    if len(own) != 1 or not block.isdecimal() or not _is_unchanged(packet, mark):
        return None
    moved = sum(length - len(removed) for _, length, removed in edits)
    restored = packet[: int(block) + moved] + packet[own[0].end :]
    for start, length, removed in reversed(edits):
        moved -= length - len(removed)
        place = start + moved
        restored = restored[:place] + removed + restored[place + length :]
    return restored


def _find_own_spans(packet: bytes, rdf: Element, mark: Mark) -> Iterator[tuple[int, int]]:
    """Yield the parts of a packet that belong to searchapp: its keywords, and its mark."""
    own_elements = list[Element]()
    for name, own in ((SUBJECT, mark.subjects), (HIERARCHICAL_SUBJECT, mark.paths)):
        element = find_property(rdf, name)
        items = list_items(element)
        own_items = [item for item in items if item.text in own]
        if element is not None and len(own_items) == len(items):
            own_items = [element]
        own_elements += own_items
    for description in list_descriptions(rdf):
        own_elements += (each for each in description.children if each.name.startswith(MARK_NAME))
        names = [*description.attributes, *(each.name for each in description.children)]
        is_own = any(name.startswith(MARK_NAME) for name in names)
        if is_own and all(child in own_elements for child in description.children):
            others = (name for name in description.attributes if not name.startswith(MARK_NAME))
            if all(name.endswith("about") for name in others):
                own_elements.append(description)
        tag = packet[description.start : description.tag_end]
        for prefix in _find_prefixes(tag):
            for pattern in (ATTRIBUTE_PATTERN, XMLNS_PATTERN):
                for match in re.finditer(pattern % re.escape(prefix), tag):
                    yield description.start + match.start(), description.start + match.end()
    yield from (_get_span(packet, element) for element in own_elements)


def _find_prefixes(tag: bytes) -> list[bytes]:
    """Return the prefixes that a tag declares for the properties of the mark."""
    space = re.escape(MARK_SPACE.encode())
    return re.findall(rb"""\s+xmlns:([^\s=]+)\s*=\s*["']%s["']""" % space, tag)


def _get_span(packet: bytes, element: Element) -> tuple[int, int]:
    """Return the span of an element, with the white space before it."""
    return element.start - len(get_space_before(packet, element.start)), element.end
