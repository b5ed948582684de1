"""Repair XMP packets of lax programs, so that an XML parser reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

# The outermost element of XMP (early programs: x:xapmeta).
START_PATTERN = re.compile(r"<(\w+:(?:xmpmeta|xapmeta|RDF))\b")
# Characters that XML 1.0 forbids, also as references (https://www.w3.org/TR/xml/#charsets).
FORBIDDEN_PATTERN = re.compile(
    r"[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:x0*(?:[0-8bcef]|1[0-9a-f]);|0*(?:[0-8]|1[1245-9]|2\d|3[01]);)",
    re.IGNORECASE,
)
BARE_AMPERSAND_PATTERN = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)")
PREFIX_PATTERN = re.compile(r"[<\s]([A-Za-z_][\w.-]*):[A-Za-z_][\w.-]*(?=[\s=/>])")
DECLARATION_PATTERN = re.compile(r"\sxmlns:([\w.-]+)\s*=")


def repair_packet(text: str, spaces: Mapping[str, str]) -> str | None:
    """Return the XMP in a text as valid XML, if only small faults make it invalid; else None.

    Removes what is around the XMP, and characters that XML forbids. Escapes bare ampersands, and
    declares prefixes that are not declared. A text with a document type is not repaired.
    spaces: the namespace by prefix.
    """
    start = START_PATTERN.search(text)
    if start is None or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    end = text.find(f"</{start[1]}", start.end())
    if end < 0:
        return None
    content = FORBIDDEN_PATTERN.sub("", text[start.end() : end])
    content = BARE_AMPERSAND_PATTERN.sub("&amp;", content)
    used = set(PREFIX_PATTERN.findall(f"{start[0]} {content}"))
    undeclared = used - set(DECLARATION_PATTERN.findall(content)) - {"xml", "xmlns"}
    declarations = "".join(
        f' xmlns:{prefix}="{spaces.get(prefix, f"unknown:{prefix}")}"'
        for prefix in sorted(undeclared)
    )
    return f"{start[0]}{declarations}{content}</{start[1]}>"
