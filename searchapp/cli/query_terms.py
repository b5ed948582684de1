"""Build a query from the texts, pictures and weights on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Self

from searchapp.errors import QueryError
from searchapp.types import Example, Query, Region, Term

WEIGHT_PATTERN = re.compile(r"(.*):([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))", re.DOTALL)

ID_PATTERN = re.compile("[1-9][0-9]{0,17}")  # the ids of SQLite have 63 bits


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
    *,
    region: str | None = None,
    can_be_empty: bool = False,
) -> Query | list[Term]:
    """Return one query, or a list of terms if there are weights, several texts or pictures.

    region: the part of the only picture to search by. can_be_empty: whether a query without a text
    and a picture is an empty list. Otherwise it raises QueryError, as an empty part does.
    """
    pictures = [_split_picture_weight(image) for image in images]
    if region is not None and len(pictures) != 1:
        raise QueryError(
            f"--region needs exactly one --image, and there are {len(pictures)}. The region is the "
            "part of this picture to search by."
        )
    area = None if region is None else Region.parse(region)
    if can_be_empty and not (text or pictures or texts or minus_texts or minus_images):
        return []
    is_single = not (texts or minus_texts or minus_images) and len(pictures) <= 1
    if is_single and all(weight == 1 for _, weight in pictures):
        query = Query(text, pictures[0][0] if pictures else None, area)
        if query.modality is None:
            raise QueryError(
                'nothing to look for; give a text, --image FILE, or both: query "dog". A filter '
                "alone, such as query --rating 4+, lists pictures."
            )
        return query
    terms = [Term(Query(text))] if text and text.strip() else []
    for sign, part in [(1, texts), (-1, minus_texts)]:
        terms += [Term(Query(words), sign * weight) for words, weight in map(split_weight, part)]
    terms += [Term(Query(None, image, area), weight) for image, weight in pictures]
    terms += [
        Term(Query(None, image), -weight)
        for image, weight in map(_split_picture_weight, minus_images)
    ]
    if any(term.query.modality is None or term.query.image == "" for term in terms):
        raise QueryError("a text or picture of the query is empty; give it a value or omit it")
    return terms


def build_examples(likes: Sequence[str], unlikes: Sequence[str]) -> list[Example]:
    """Return the pictures of --like and --unlike. Raises QueryError if one is empty."""
    if not all((*likes, *unlikes)):
        raise QueryError("a --like or --unlike is empty. Give it a picture, or leave it out.")
    liked = [Example(_parse_picture(value)) for value in likes]
    return [*liked, *(Example(_parse_picture(value), False) for value in unlikes)]


@dataclass(frozen=True, slots=True)
class QuestionArguments:
    """The arguments of a command that are its question: words, pictures and examples."""

    text: str | None
    images: tuple[str, ...]
    texts: tuple[str, ...]
    minus_texts: tuple[str, ...]
    minus_images: tuple[str, ...]
    region: str | None
    likes: tuple[str, ...]
    unlikes: tuple[str, ...]

    @classmethod
    def pop_from(cls, arguments: dict[str, Any]) -> Self:
        """Remove the question from a command's arguments, and return it."""
        return cls(**{field.name: arguments.pop(field.name) for field in fields(cls)})

    @property
    def is_empty(self) -> bool:
        """Return whether the command has no part of a question."""
        return not any(astuple(self))

    def build_examples(self) -> list[Example]:
        """Return the liked and unliked pictures."""
        return build_examples(self.likes, self.unlikes)

    def build_query(self, *, can_be_empty: bool) -> Query | list[Term]:
        """Return the words and pictures to look for, without the examples."""
        return build_query(
            self.text,
            self.images,
            self.texts,
            self.minus_texts,
            self.minus_images,
            region=self.region,
            can_be_empty=can_be_empty,
        )


def format_title(query: Query | Sequence[Term], examples: Sequence[Example] = ()) -> str:
    """Return a query as a title for a page."""
    words = [f"{'like' if each.is_liked else 'unlike'} {each.image}" for each in examples]
    if isinstance(query, Query):
        region = f" ({query.region})" if query.region else ""
        title = " + ".join(f"{part}" for part in (query.text, query.image) if part) + region
    else:
        title = " ".join(map(_format_term, query)).removeprefix("+ ")
    return ", ".join(filter(None, (title, *words)))


def _format_term(term: Term) -> str:
    sign = "-" if term.weight < 0 else "+"
    return f"{sign} {_format_weight(abs(term.weight))}{format_title(term.query)}"


def _format_weight(weight: float) -> str:
    return "" if weight == 1 else f"{weight:g} × "


def _split_picture_weight(value: str) -> tuple[str | int, float]:
    """Split "PICTURE:WEIGHT" into picture and weight, unless the value is the name of a file."""
    if _is_file(value):
        return value, 1.0
    picture, weight = split_weight(value)
    return _parse_picture(picture), weight


def _parse_picture(value: str) -> str | int:
    """Return a number as the id of an image in the library, unless it is the name of a file."""
    return int(value) if ID_PATTERN.fullmatch(value) and not _is_file(value) else value


def _is_file(value: str) -> bool:
    return os.path.exists(value)  # noqa: PTH110 (it never raises)
