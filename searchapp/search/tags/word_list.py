"""Read a list of words to tag pictures with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from searchapp.errors import QueryError
from searchapp.files.enter_path import enter_path
from searchapp.files.local import read_bounded_file
from searchapp.files.text_form import normalize_text
from searchapp.types.tags import TagWord

MAX_LIST_BYTES = 4 << 20
MAX_WORDS = 10_000
PATH_SEPARATOR, SYNONYM_MARK, COMMENT_MARK = "|", "=", "#"


def read_word_list(file: str | Path) -> list[TagWord]:
    """Return the words in a text file: see parse_word_list. Raises QueryError if it has none."""
    path = enter_path(file, QueryError)
    try:
        text = read_bounded_file(path, MAX_LIST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise QueryError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise QueryError(f"{path} is not a text in UTF-8. Save it in this encoding.") from error
    try:
        return parse_word_list(text.splitlines())
    except QueryError as error:
        raise QueryError(f"{path}: {error}") from error


def parse_word_list(lines: Iterable[str]) -> list[TagWord]:
    """Return the words of lines such as "Animals|Birds|Heron = egret, grey heron".

    The phrases are the last level of the hierarchy, and its synonyms after "=". Empty lines, and
    lines that begin with "#", are ignored. Raises QueryError if a line is not valid.
    """
    phrases_by_path: dict[str, dict[str, None]] = {}
    for number, line in enumerate(lines, 1):
        text = normalize_text(line).strip()
        if not text or text.startswith(COMMENT_MARK):
            continue
        if not text.replace("\t", " ").isprintable():
            raise QueryError(f"line {number} has a control character; remove it")
        name, _, synonyms = text.partition(SYNONYM_MARK)
        levels = [" ".join(level.split()) for level in name.split(PATH_SEPARATOR)]
        if not all(levels):
            raise QueryError(
                f"line {number} has an empty keyword: {text!r}. Write Heron, or Animals|Heron"
            )
        phrases = phrases_by_path.setdefault(PATH_SEPARATOR.join(levels), {levels[-1]: None})
        phrases.update(
            (" ".join(each.split()), None) for each in synonyms.split(",") if each.strip()
        )
    if not phrases_by_path:
        raise QueryError("there are no words; write one keyword on each line")
    if len(phrases_by_path) > MAX_WORDS:
        raise QueryError(f"there are more than {MAX_WORDS:,} words; divide the list")
    return [TagWord(path, tuple(phrases)) for path, phrases in phrases_by_path.items()]
