"""Build a query from the texts, pictures and weights on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from searchapp.errors import QueryError
from searchapp.types import Query, Term

WEIGHT_PATTERN = re.compile(r"(.*):([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))", re.DOTALL)


def split_weight(value: str) -> tuple[str, float]:
    """Split "TEXT:WEIGHT" into text and weight; without a weight at the end, the weight is 1."""
    match = WEIGHT_PATTERN.fullmatch(value)
    return (match[1], float(match[2])) if match else (value, 1.0)


def build_query(
    text: str | None,
    images: Sequence[str],
    texts: Sequence[str] = (),
    minus_texts: Sequence[str] = (),
    minus_images: Sequence[str] = (),
) -> Query | list[Term]:
    """Return one query, or a list of terms if there are weights, several texts or pictures.

    Raises QueryError if there is no text and no picture, or if a part is empty.
    """
    pictures = [_split_picture_weight(image) for image in images]
    is_single = not (texts or minus_texts or minus_images) and len(pictures) <= 1
    if is_single and all(weight == 1 for _, weight in pictures):
        query = Query(text, pictures[0][0] if pictures else None)
        if query.modality is None:
            raise QueryError('nothing to look for; give a text, --image FILE, or both: query "dog"')
        return query
    terms = [Term(Query(text))] if text and text.strip() else []
    for sign, part in [(1, texts), (-1, minus_texts)]:
        terms += [Term(Query(words), sign * weight) for words, weight in map(split_weight, part)]
    terms += [Term(Query(None, image), weight) for image, weight in pictures]
    terms += [
        Term(Query(None, image), -weight)
        for image, weight in map(_split_picture_weight, minus_images)
    ]
    if any(term.query.modality is None or term.query.image == "" for term in terms):
        raise QueryError("a text or picture of the query is empty; give it a value or omit it")
    return terms


def format_title(query: Query | Sequence[Term]) -> str:
    """Return a query as a title for a page."""
    if isinstance(query, Query):
        return " + ".join(str(part) for part in (query.text, query.image) if part)
    return " ".join(map(_format_term, query)).removeprefix("+ ")


def _format_term(term: Term) -> str:
    sign = "-" if term.weight < 0 else "+"
    return f"{sign} {_format_weight(abs(term.weight))}{format_title(term.query)}"


def _format_weight(weight: float) -> str:
    return "" if weight == 1 else f"{weight:g} × "


def _split_picture_weight(value: str) -> tuple[str, float]:
    """Split "PICTURE:WEIGHT" into picture and weight, unless the value is the name of a file."""
    is_file = os.path.exists(value)  # noqa: PTH110 (it never raises)
    return (value, 1.0) if is_file else split_weight(value)
