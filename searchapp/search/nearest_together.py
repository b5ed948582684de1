"""Find the images nearest to several vectors, with few searches of the index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchapp.catalog import TextQuery
from searchapp.engines import Vector
from searchapp.errors import SearchAppError
from searchapp.search.good_match import QueryKind
from searchapp.search.ranked_pages import FIRST_PAGE_MATCHES
from searchapp.search.ranking import Ranking, SearchedAhead
from searchapp.types import Collection, SearchOptions, SearchResult
from searchapp.vectors.indexes import Indexes


@dataclass(frozen=True, slots=True)
class NearestQuestion:
    """Vector whose nearest images to find; the fields are as in LibraryReader.find_nearest."""

    collection: Collection
    vector: Vector
    options: SearchOptions
    kind: QueryKind | None
    text: TextQuery | None
    left_out: frozenset[int]


def find_nearest_together(
    ranking: Ranking, indexes: Indexes, questions: Sequence[NearestQuestion]
) -> list[SearchResult | SearchAppError]:
    """Return the result of each question, or its error, as if each was asked alone.

    Questions with the same filter share one selection and one search of the index.
    """
    groups = defaultdict[tuple[int, str], list[int]](list)
    for number, question in enumerate(questions):
        if not (question.text and question.text.phrases):  # A phrase restricts its own selection.
            # Lists, which a filter can have, have no hash.
            key = (question.collection.id, repr(question.options.base_filter))
            groups[key].append(number)
    outcomes = dict[int, SearchAppError]()
    ahead = dict[int, SearchedAhead]()
    for numbers in groups.values():
        try:
            ahead |= _search_ahead(ranking, indexes, questions, numbers)
        except SearchAppError as error:  # of the filter that all of them have
            outcomes |= dict.fromkeys(numbers, error)
    return [
        outcomes[number]
        if number in outcomes
        else _find_nearest(ranking, question, ahead.get(number))
        for number, question in enumerate(questions)
    ]


def _search_ahead(
    ranking: Ranking, indexes: Indexes, questions: Sequence[NearestQuestion], numbers: list[int]
) -> dict[int, SearchedAhead]:
    """Search the index for the first page of questions that have the same filter."""
    first = questions[numbers[0]]
    index = indexes.open_index(first.collection)
    selection = ranking.select(first.collection, first.options, None)
    count = min(FIRST_PAGE_MATCHES, index.estimate_max_matches(selection))
    vectors = np.stack([questions[number].vector for number in numbers])
    found = index.search_many(vectors, count, selection)
    return {
        number: SearchedAhead(selection, matches)
        for number, matches in zip(numbers, found, strict=True)
    }


def _find_nearest(
    ranking: Ranking, question: NearestQuestion, ahead: SearchedAhead | None
) -> SearchResult | SearchAppError:
    try:
        return ranking.find_nearest(
            question.collection, question.vector, question.options, question.kind, question.text,
            question.left_out, ahead,
        )  # fmt: skip
    except SearchAppError as error:
        return error
