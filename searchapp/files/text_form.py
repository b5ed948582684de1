"""Convert texts to one Unicode form, so that equal texts compare as equal.

"é" is one code point in the form NFC, and two in the form NFD, which some file systems and programs
write. https://unicode.org/reports/tr15/
"""

from __future__ import annotations

import re
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


# A number, a character of a script without spaces between words, or letters of another script. The
# ranges are, in order: Thai and Lao, Myanmar, Khmer, kana, Han, Hangul, and Han beyond 16 bits.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"\d+|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+")
_ASCII_WORD = re.compile(r"[0-9]+|[a-z]+")
_DIACRITICS = re.compile("[\u0300-\u036f]")


def split_words(text: str) -> list[str]:
    """Return the words of a text, for a search that ignores case, diacritics and separators.

    Letters and numbers are separate words: IMG_2201 and img2201 have the words img and 2201. In
    scripts without spaces between words, each character is a word. Full-width letters become
    normal letters, and "ß" becomes "ss".
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = normalize("NFKC", text).casefold()
    plain = normalize("NFC", _DIACRITICS.sub("", normalize("NFD", folded)))
    return _WORD.findall(plain)


def make_search_form(text: str) -> str:
    """Return the words of a text with one space before and after each; "" if it has none.

    A text contains a word or phrase if its search form contains the search form of the phrase.
    """
    words = split_words(text)
    return f" {' '.join(words)} " if words else ""
