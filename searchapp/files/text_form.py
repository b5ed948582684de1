"""Convert texts to one Unicode form, so that equal texts compare as equal.

"é" is one code point in the form NFC, and two in the form NFD, which some file systems and programs
write. https://unicode.org/reports/tr15/
"""

from __future__ import annotations

from unicodedata import normalize


def normalize_text(text: str) -> str:
    """Return a text in the Unicode normal form NFC."""
    return text if text.isascii() else normalize("NFC", text)


def fold_text(text: str) -> str:
    """Return a text in a form that is equal for texts that differ only in case or normal form.

    Unicode 15, section 3.13, definition D145; but composed, so that "?" matches a letter.
    """
    if text.isascii():
        return text.casefold()
    return normalize("NFC", normalize("NFD", text).casefold())
