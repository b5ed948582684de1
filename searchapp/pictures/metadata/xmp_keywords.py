"""Add searchapp's own keywords to an XMP sidecar, so that they can be taken back byte by byte.

The keywords go into dc:subject and lr:hierarchicalSubject. All other bytes of the sidecar stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

from searchapp.files.text_form import fold_text
from searchapp.pictures.metadata.xmp_layout import (
    HIERARCHICAL_SUBJECT,
    RDF,
    SUBJECT,
    Coding,
    Edit,
    Element,
    SidecarError,
    apply_edits,
    decode_sidecar,
    find_container,
    find_property,
    get_raw_name,
    get_space_before,
    list_descriptions,
    list_items,
    parse_layout,
)
from searchapp.pictures.metadata.xmp_marks import (
    MARK_SPACE,
    UNSIGNED,
    remove_own_keywords,
    sign_packet,
)

PATH_SEPARATOR = "|"  # between the levels of a hierarchical keyword, in Lightroom and darktable
RAW_NAMES = {SUBJECT: "dc:subject", HIERARCHICAL_SUBJECT: "lr:hierarchicalSubject"}
ABOUT_PATTERN = re.compile(rb"""\s(?:[^\s=:"']+:)?about\s*=\s*("[^"]*"|'[^']*')""")
NEW_PACKET = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
 </rdf:RDF>
</x:xmpmeta>
"""


def set_own_keywords(
    data: bytes | None,
    paths: Sequence[str],
    read_embedded: Callable[[], Sequence[str]] = tuple,
) -> bytes | None:
    """Return a sidecar that has exactly these own keywords; None: the sidecar is not needed.

    data: the sidecar; None if there is none. paths: keywords such as "Animals|Heron". dc:subject
    gets each level of them, as Lightroom and darktable do. Keywords that the sidecar already has,
    and own keywords that a person has removed, are not added.
    read_embedded: returns the keywords in the picture file. They are added too if the sidecar has
    no keywords, because the keywords of a sidecar replace those of the picture file.
    Raises SidecarError if the sidecar cannot be edited without a change of other metadata.
    """
    text, coding = (NEW_PACKET, Coding(b"", "utf-8")) if data is None else decode_sidecar(data)
    restored = remove_own_keywords(text)
    is_created = data is None or restored.is_created
    edited = _add_keywords(
        restored.packet, paths, restored.rejected, read_embedded, is_created=is_created
    )
    if edited is None:
        return None if is_created else coding.encode(restored.packet)
    return coding.encode(edited)


def clear_own_keywords(data: bytes) -> bytes | None:
    """Return a sidecar without own keywords; None if searchapp made it, so that it can be deleted.

    If no other program has changed the sidecar since, the result has the bytes from before.
    Raises SidecarError if the sidecar cannot be edited without a change of other metadata.
    """
    text, coding = decode_sidecar(data)
    restored = remove_own_keywords(text)
    return None if restored.is_created else coding.encode(restored.packet)


def _add_keywords(
    packet: bytes,
    paths: Sequence[str],
    rejected: Sequence[str],
    read_embedded: Callable[[], Sequence[str]],
    *,
    is_created: bool,
) -> bytes | None:
    """Return a packet with own keywords and their mark; None if there is nothing to add."""
    rdf = parse_layout(packet)
    properties = {name: find_property(rdf, name) for name in RAW_NAMES}
    present = _list_keywords(rdf)
    if paths and not any(present.values()):
        paths = [*read_embedded(), *paths]
    accepted = [path for path in paths if path not in rejected]
    subjects = (level for path in accepted for level in path.split(PATH_SEPARATOR))
    added = {
        SUBJECT: _list_missing(subjects, present[SUBJECT]),
        HIERARCHICAL_SUBJECT: _list_missing(accepted, present[HIERARCHICAL_SUBJECT]),
    }
    if not any(added.values()) and not rejected:
        return None
    if added[HIERARCHICAL_SUBJECT] and not present[HIERARCHICAL_SUBJECT]:
        # Programs that find lr:hierarchicalSubject ignore dc:subject.
        both = [*present[SUBJECT], *added[HIERARCHICAL_SUBJECT]]
        added[HIERARCHICAL_SUBJECT] = _list_missing(both, [])
    edits, new_properties = list[Edit](), dict[str, list[str]]()
    for name, values in added.items():
        element = properties[name]
        if element is None:
            new_properties[name] = values
        elif values:
            edits.append(_extend_list(packet, element, values, rdf))
    edits.sort(key=lambda edit: edit.start)
    block_start = rdf.children[-1].end if rdf.children else rdf.tag_end
    attributes = {
        "searchapp:Check": UNSIGNED.decode(),
        "searchapp:Edits": " ".join(
            f"{edit.start},{len(edit.inserted)},{edit.removed.hex()}" for edit in edits
        ),
        "searchapp:Block": str(block_start),
        **({"searchapp:Created": "True"} if is_created else {}),
    }
    lists = {
        **{RAW_NAMES[name]: values for name, values in new_properties.items()},
        "searchapp:Subject": added[SUBJECT],
        "searchapp:HierarchicalSubject": added[HIERARCHICAL_SUBJECT],
        "searchapp:Rejected": rejected,
    }
    block = _make_block(packet, rdf, attributes, lists)
    edited = sign_packet(apply_edits(packet, [*edits, Edit(block_start, b"", block)]))
    if _list_keywords(parse_layout(edited)) != {n: present[n] + added[n] for n in RAW_NAMES}:
        raise SidecarError("its keywords are stored in an unusual way")
    return edited


def _list_keywords(rdf: Element) -> dict[str, list[str]]:
    """Return the items of the two properties with keywords, by the name of the property."""
    return {name: [i.text for i in list_items(find_property(rdf, name))] for name in RAW_NAMES}


def _list_missing(values: Iterable[str], present: Iterable[str]) -> list[str]:
    """Return the values that are not present, without duplicates; case does not count."""
    known = set(map(fold_text, present))
    missing = list[str]()
    for value in values:
        if fold_text(value) not in known:
            known.add(fold_text(value))
            missing.append(value)
    return missing


def _extend_list(packet: bytes, element: Element, values: Sequence[str], rdf: Element) -> Edit:
    """Return the edit that appends items to a list property."""
    container = find_container(element)
    name = get_raw_name(packet, container or rdf)
    prefix = name[: name.rfind(b":") + 1]  # A packet can have several prefixes for a namespace.
    items = [b"<%sli>%s</%sli>" % (prefix, escape(each).encode(), prefix) for each in values]
    if container is None:
        bag = b"<%sBag>%s</%sBag>" % (prefix, b"".join(items), prefix)
        return _fill_element(packet, element, bag)
    if not container.children:
        return _fill_element(packet, container, b"".join(items))
    last = container.children[-1]
    space = get_space_before(packet, last.start)
    return Edit(last.end, b"", b"".join(space + item for item in items))


def _fill_element(packet: bytes, element: Element, content: bytes) -> Edit:
    """Return the edit that writes content into an element without children."""
    if not element.is_single_tag:
        return Edit(element.tag_end, b"", content)
    name = get_raw_name(packet, element)
    return Edit(element.tag_end - 2, b"/>", b">%s</%s>" % (content, name))


def _make_block(
    packet: bytes, rdf: Element, attributes: dict[str, str], lists: dict[str, Sequence[str]]
) -> bytes:
    """Return the description with the mark, and with the properties that the packet lacks.

    All descriptions of a packet have the same attribute rdf:about.
    """
    descriptions = list_descriptions(rdf)
    space = (get_space_before(packet, descriptions[-1].start) if descriptions else b"").decode()
    space = space if "\n" in space else "\n  "
    opening = {
        "xmlns:rdf": RDF.strip(),
        "xmlns:dc": SUBJECT.split(" ")[0],
        "xmlns:lr": HIERARCHICAL_SUBJECT.split(" ")[0],
        "xmlns:searchapp": MARK_SPACE,
        **attributes,
    }
    about = _get_raw_about(packet, descriptions)
    values = " ".join(f"{name}={quoteattr(value)}" for name, value in opening.items())
    lines = [f"<rdf:Description rdf:about={about} {values}>"]
    for name, keywords in lists.items():
        if keywords:
            items = [f"   <rdf:li>{escape(word)}</rdf:li>" for word in keywords]
            lines += [f" <{name}>", "  <rdf:Bag>", *items, "  </rdf:Bag>", f" </{name}>"]
    return "".join(space + line for line in [*lines, "</rdf:Description>"]).encode()


def _get_raw_about(packet: bytes, descriptions: Sequence[Element]) -> str:
    """Return the value of rdf:about as it is written, with its quotes.

    exiftool refuses to edit a packet in which the descriptions write the same value differently.
    """
    for description in descriptions:
        match = ABOUT_PATTERN.search(packet, description.start, description.tag_end)
        if match is not None:
            return match[1].decode()
    return '""'
