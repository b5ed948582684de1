"""Find the images whose names, captions or recognized text contain the words of a query.

Each comparison is an FTS5 phrase of trigrams, so that SQLite evaluates it without reading rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from sqlite_utils import Database

from searchapp.catalog.filters.columns import EMPTY_IDS, Ids
from searchapp.files.text_form import make_search_form
from searchapp.types import Collection

# A quotation mark after a letter or digit is a sign for inches: 12" x 14".
QUOTED = re.compile(r'(?<!\w)"([^"]*)"(?!\w)|“([^”]*)”')
MIN_TRIGRAM = 3  # FTS5 cannot find fewer characters.
MIN_WORD_LETTERS = 3  # Shorter words of Latin letters, such as "a" and "of", need not occur.
# SQLite needs seconds for the trigrams of a longer text.
MAX_FORM_CHARACTERS = 500
MAX_NAME_CANDIDATES = 1000  # names that begin with the words of a query
MAX_PLACE_WORDS = 6  # of the name of a place in a query, such as "rio de janeiro"
MAX_JOINED_WORDS = 5  # of a query; each further word doubles the number of ways to join them


class TextLevel(IntEnum):
    """How the words of a query occur in the texts of an image, best first."""

    # They are the complete file name, with or without suffix, or the complete title or place.
    # Several words can also be the complete recognized text.
    EXACT = 0
    PHRASE = 1  # They follow each other, as complete words; a reader may have joined them.
    WORDS = 2  # Each is a complete word.
    PREFIX = 3  # Each is at the start of a word.
    PART = 4  # Each is in a word.


@dataclass(frozen=True)
class TextQuery:
    """The words to find in texts, as search forms.

    form: all words. terms: parts that spaces separate in the query; the words of a part follow each
    other, as in IMG_2201. phrases: the parts in quotation marks, which must occur.
    """

    form: str
    terms: tuple[str, ...]
    phrases: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TextQuery:
        """Parse the text of a query; a part between quotation marks is a phrase."""
        quoted = [make_search_form(match[1] or match[2] or "") for match in QUOTED.finditer(text)]
        phrases = tuple(dict.fromkeys(form for form in quoted if form))
        words = tuple(make_search_form(part) for part in QUOTED.sub(" ", text).split())
        terms = tuple(dict.fromkeys(form for form in words if form))
        form = make_search_form(text)
        return cls(form, tuple(t for t in terms if not _is_short(t)) or terms, phrases)

    @property
    def is_empty(self) -> bool:
        """Return whether the query has no words."""
        return not self.form

    @property
    def is_too_long(self) -> bool:
        """Return whether the query is too long to be found in names and captions."""
        return len(self.form) > MAX_FORM_CHARACTERS

    @cached_property
    def is_code(self) -> bool:
        """Return whether each term has a digit, as in a file name or a number.

        A vector says little about such a text.
        """
        return all(any(map(str.isdigit, term)) for term in self.terms or self.phrases)

    def occurs_in(self, text: str) -> bool:
        """Return whether a text contains a term or a phrase of the query."""
        form = make_search_form(text)
        return any(_make_part(term) in form for term in (*self.terms, *self.phrases))

    @property
    def can_be_phrase(self) -> bool:
        """Return whether the words are specific enough to count as a phrase."""
        return bool(self.phrases) or self.is_code or " " in self.form.strip()

    @cached_property
    def joined_forms(self) -> tuple[str, ...]:
        """Return the search forms in which some words of the query are joined.

        A reader of text can miss the space between two words: "WARNINGELEVATOR". Short words are
        not joined: "a cross" is not "across".
        """
        words = self.form.split()
        if self.phrases or not 1 < len(words) <= MAX_JOINED_WORDS:
            return ()
        can_join = [len(word) >= MIN_WORD_LETTERS and word.isalpha() for word in words]
        separators = [(" ", "") if all(pair) else (" ",) for pair in pairwise(can_join)]
        forms = (
            "".join(map("".join, zip(words, (*chosen, ""), strict=True)))
            for chosen in product(*separators)
        )
        return tuple(f" {form} " for form in forms)[1:]


def remove_quotes(text: str) -> str:
    """Return the text of a query without the quotation marks of its phrases."""
    return QUOTED.sub(lambda match: match[1] or match[2] or "", text)


def _is_short(term: str) -> bool:
    word = term.strip()
    return len(word) < MIN_WORD_LETTERS and word.isascii() and word.isalpha()


class TextSearch:
    """Search the table texts of a catalog."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads."""
        self._db = db

    def find_phrases(self, query: TextQuery) -> Ids:
        """Return the ids of all images that contain the phrases of a query, ascending."""
        return self._match(" AND ".join(map(_quote, query.phrases)))

    def find_levels(
        self, query: TextQuery, max_images: int, *, drop_frequent: bool
    ) -> Iterator[tuple[TextLevel, Ids]]:
        """Yield the images that contain the words of a query, by level; the best level is first.

        Each image occurs once. A level with more than max_images images ends the search. Its
        images are left out if drop_frequent is true, otherwise the oldest are yielded.
        """
        phrases = [_quote(phrase) for phrase in query.phrases]
        expressions = {
            level: " AND ".join([*phrases, *(_quote(make(term)) for term in query.terms)])
            for level, make in (
                (TextLevel.PART, _make_part), (TextLevel.PREFIX, _make_prefix),
                (TextLevel.WORDS, str),
            )
        }  # fmt: skip
        if query.can_be_phrase:
            expressions[TextLevel.PHRASE] = " AND ".join([*phrases, _quote(query.form)])
        levels: dict[TextLevel, Ids] = {}
        for level, expression in expressions.items():
            # Each level contains the next one, so most queries end here after the first statement.
            levels[level] = self._match(expression, max_images + 1)
            if not len(levels[level]):
                break
        if len(levels[TextLevel.PART]) and query.joined_forms:
            joined = " OR ".join(map(_quote, query.joined_forms))
            levels[TextLevel.PHRASE] = np.union1d(
                levels.get(TextLevel.PHRASE, EMPTY_IDS),
                self._match(f"{{text}} : ({joined})", max_images + 1),
            )
        if any(len(levels.get(level, EMPTY_IDS)) for level in (TextLevel.PHRASE, TextLevel.WORDS)):
            levels[TextLevel.EXACT] = self._find_exact(query)
        seen = EMPTY_IDS
        for level in sorted(levels):
            is_frequent = len(levels[level]) > max_images  # The next levels are even larger.
            if is_frequent and drop_frequent:
                break
            new = np.setdiff1d(levels[level], seen, assume_unique=True)
            if len(new):
                yield level, new[:max_images]
                seen = np.union1d(seen, new)
            if is_frequent:
                break

    def find_named_places(self, query: TextQuery, max_images: int) -> Ids:
        """Return the images taken in the places that a query names beside other words.

        If it names several places, these are the images in all of them, or else in any of them.
        None are returned if there are more than max_images: such a place says little.
        """
        forms = self._find_place_names(query.form.split())
        if not forms or query.form in forms or query.phrases:
            return EMPTY_IDS
        phrases = [_quote(_make_line(form)) for form in forms]
        for operator in (" AND ", " OR "):
            found = self._match(f"{{place}} : ({operator.join(phrases)})", max_images + 1)
            if len(found):
                return found if len(found) <= max_images else EMPTY_IDS
        return EMPTY_IDS

    def _find_place_names(self, words: list[str]) -> list[str]:
        """Return the search forms of the places that the words of a query name, longest first."""
        spans = {
            (start, end): f" {' '.join(words[start:end])} "
            for start in range(len(words))
            for end in range(start + 1, min(len(words), start + MAX_PLACE_WORDS) + 1)
        }
        rows = self._db.execute(
            "select form from place_names where form in (select value from json_each(?))",
            (json.dumps([*spans.values()]),),
        )
        known, used, forms = {row[0] for row in rows}, set[int](), []
        for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
            if spans[start, end] in known and used.isdisjoint(range(start, end)):
                used.update(range(start, end))
                forms.append(spans[start, end])
        return forms

    def find_embeddings(self, collection: Collection, image_ids: Ids) -> Ids:
        """Return the ids of a collection's embeddings of images, ascending."""
        rows = self._db.execute(
            "select id from embeddings where collection_id = ?"
            " and image_id in (select value from json_each(?)) order by id",
            (collection.id, json.dumps(image_ids.tolist())),
        )
        return np.fromiter((row[0] for row in rows), np.int64)

    def _find_exact(self, query: TextQuery) -> Ids:
        """Return the images whose file name, title or place has the words and no other words.

        A recognized text counts, too, if it is specific: a sign "CAT" is no picture of a cat.
        """
        line = _quote(_make_line(query.form))
        expression = f"{{title place}} : {line}"
        if query.can_be_phrase:
            joined = (_quote(_make_line(form)) for form in query.joined_forms)
            expression += f" OR {{text}} : ({' OR '.join([line, *joined])})"
        titles = self._match(expression)
        rows = self._db.execute(
            "select rowid, name from texts where texts match ? limit ?",
            (f"{{name}} : {_quote(_LINE_END + query.form)}", MAX_NAME_CANDIDATES),
        )
        is_name = re.compile(rf"\n{re.escape(query.form)}(\w+ )?\n").search  # \w+: the suffix
        names = [image_id for image_id, name in rows if is_name(name)]
        return np.union1d(titles, np.array(names, np.int64))

    def _match(self, expression: str, limit: int = -1) -> Ids:
        rows = self._db.execute(
            "select rowid from texts where texts match ? limit ?", (expression, limit)
        )
        return np.fromiter((row[0] for row in rows), np.int64)


_LINE_END = "\n"


def _quote(form: str) -> str:
    """Return an FTS5 string. A search form has no quotation marks."""
    return f'"{form}"'


def _make_line(form: str) -> str:
    return f"{_LINE_END}{form}{_LINE_END}"


def _make_prefix(term: str) -> str:
    prefix = term[:-1]
    return prefix if len(prefix) >= MIN_TRIGRAM else term


def _make_part(term: str) -> str:
    part = term.strip()
    return part if len(part) >= MIN_TRIGRAM else _make_prefix(term)
