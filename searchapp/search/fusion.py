"""Fuse the ranking by vectors with the images whose texts contain the words of a query.

Images with the complete name, title, place or phrase come first. For other words, the two rankings
are fused by reciprocal rank (Cormack et al. 2009, https://doi.org/10.1145/1571941.1572114). Words
that occur nowhere leave the ranking by vectors as it is.

A query such as "boat in Lisbon" names a place, and something that the vector finds. So the images
in the place get a higher score in the ranking by vectors: as much as the nearest images differ. An
image in Lisbon that is among the nearest comes before all others; one without a boat does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np

from searchapp.catalog import Catalog, TextLevel, TextQuery
from searchapp.catalog.filters.columns import EMPTY_IDS
from searchapp.engines import Vector
from searchapp.search.ranked_pages import FIRST_PAGE_MATCHES, RankedPage, iter_ranked_pages
from searchapp.types import Collection
from searchapp.vectors import Ids, SearchIndex, Selection
from searchapp.vectors.exact_cosines import FetchVectors, compute_cosines, select_best

RANK_OFFSET = 60  # k of the reciprocal rank fusion, as in the paper
MAX_FUSED_IMAGES = 20_000  # Words in more images say little beside a vector.
MAX_TEXT_IMAGES = 100_000  # of a search by text only
MAX_FIRST_IMAGES = 1000  # images with the complete phrase that come before all others
MAX_EXACT_COMPARISONS = 2000
PLACE_RANK = 16  # An image in a named place comes first if its vector is among so many nearest.
# Scores of a search by text only.
LEVEL_SCORES = {
    TextLevel.EXACT: 1.0, TextLevel.PHRASE: 0.9, TextLevel.WORDS: 0.8, TextLevel.PREFIX: 0.6,
    TextLevel.PART: 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class TextMatches:
    """Embeddings whose images contain the words of a query, by level, best first."""

    query: TextQuery
    levels: tuple[tuple[TextLevel, Ids], ...]
    level_by_id: dict[int, TextLevel] = field(default_factory=dict)
    # In a place that the query names beside other words.
    place_ids: Ids = field(default_factory=lambda: EMPTY_IDS)

    def has(self, id: int) -> bool:
        """Return whether an image contains the words of the query, or is in a place of it."""
        return id in self.level_by_id or id in self._place_id_set

    @cached_property
    def _place_id_set(self) -> frozenset[int]:
        return frozenset(self.place_ids.tolist())

    def is_first(self, level: TextLevel) -> bool:
        """Return whether images of a level come before those that only the vector finds."""
        return self.query.is_code or level <= TextLevel.PHRASE

    def is_good(self, id: int) -> bool:
        """Return whether the words of the query certainly belong to an image."""
        level = self.level_by_id.get(id)
        return level is not None and (level <= TextLevel.WORDS or self.is_first(level))

    def list_scored(self) -> RankedPage:
        """Return all embeddings with the score of their level, best first."""
        return [(id, LEVEL_SCORES[level]) for level, ids in self.levels for id in ids.tolist()]


def find_text_matches(
    catalog: Catalog,
    collection: Collection,
    query: TextQuery,
    selection: Selection | None,
    max_images: int,
    *,
    drop_frequent: bool,
) -> TextMatches:
    """Return the embeddings of a collection whose images contain the words of a query.

    selection: the embeddings that match the filter; None: all. max_images, drop_frequent: see
    TextSearch.find_levels.
    """
    levels = []
    for level, image_ids in catalog.texts.find_levels(
        query, max_images, drop_frequent=drop_frequent
    ):
        ids = catalog.texts.find_embeddings(collection, image_ids)
        if selection is not None:
            ids = np.intersect1d(ids, selection.ids, assume_unique=True)
        if len(ids):
            levels.append((level, ids))
    level_by_id = {id: level for level, ids in levels for id in ids.tolist()}
    return TextMatches(query, tuple(levels), level_by_id)


def add_place_matches(
    catalog: Catalog, collection: Collection, texts: TextMatches, selection: Selection | None
) -> TextMatches:
    """Return the matches with the embeddings in the places that the query names."""
    image_ids = catalog.texts.find_named_places(texts.query, MAX_TEXT_IMAGES)
    if not len(image_ids):
        return texts
    ids = catalog.texts.find_embeddings(collection, image_ids)
    if selection is not None:
        ids = np.intersect1d(ids, selection.ids, assume_unique=True)
    return replace(texts, place_ids=ids)


@dataclass(frozen=True, slots=True)
class FusedPage:
    """Part of a fused ranking. nearest: the ids in it that the ranking by vectors contains."""

    matches: RankedPage
    nearest: frozenset[int]
    is_by_score: bool  # The matches are sorted by score, after all other matches.


def iter_fused_pages(
    index: SearchIndex,
    vector: Vector,
    selection: Selection | None,
    texts: TextMatches | None,
    fetch: FetchVectors,
    first_found: RankedPage | None = None,
) -> Iterator[FusedPage]:
    """Yield all matches in pages, best first; each match occurs once.

    fetch: returns the stored vectors of embeddings. first_found: see iter_ranked_pages.
    The pages are the same for every count and offset: see ranked_pages.py.
    """
    pages = iter_ranked_pages(index, vector, selection, first_found=first_found)
    if texts is None or not (texts.levels or len(texts.place_ids)):
        for page in pages:
            yield FusedPage(page, frozenset(id for id, _ in page), is_by_score=True)
        return
    head = next(pages, [])
    nearest = frozenset(id for id, _ in head)
    first = _rank_levels(index, vector, texts, fetch, MAX_FIRST_IMAGES, is_first=True)
    yield FusedPage(first, nearest, is_by_score=False)
    seen = {id for id, _ in first}
    others = _rank_levels(index, vector, texts, fetch, FIRST_PAGE_MATCHES, is_first=False)
    in_place = _rank_ids(index, vector, texts.place_ids, fetch, FIRST_PAGE_MATCHES)
    fused = fuse_rankings(raise_places(head, in_place), others)
    fused = [match for match in fused if match[0] not in seen]
    yield FusedPage(fused, nearest, is_by_score=False)
    seen.update(id for id, _ in fused)
    for page in pages:
        rest = [match for match in page if match[0] not in seen]
        yield FusedPage(rest, frozenset(id for id, _ in page), is_by_score=True)


def _rank_levels(
    index: SearchIndex,
    vector: Vector,
    texts: TextMatches,
    fetch: FetchVectors,
    count: int,
    *,
    is_first: bool,
) -> RankedPage:
    """Return count embeddings of the levels that come first or not; nearest first in a level."""
    ranked: RankedPage = []
    for level, ids in texts.levels:
        rest = count - len(ranked)
        if texts.is_first(level) != is_first or not rest:
            continue
        ranked += _rank_ids(index, vector, ids, fetch, rest)
    return ranked


def _rank_ids(
    index: SearchIndex, vector: Vector, ids: Ids, fetch: FetchVectors, count: int
) -> RankedPage:
    """Return the count embeddings among ids that are nearest to a vector, nearest first."""
    if len(ids) <= MAX_EXACT_COMPARISONS:  # much faster than an exact index of a million
        query = np.asarray(vector, np.float32).reshape(1, -1)
        return select_best(*compute_cosines(query, ids, fetch, query.shape[1]), count)
    found = index.search(vector, count, ids)
    return sorted(found, key=lambda match: (-match[1], match[0]))


def raise_places(nearest: RankedPage, in_place: RankedPage) -> RankedPage:
    """Return the nearest matches and those in a place, by scores that are raised in the place.

    The matches keep their own scores. in_place: the nearest matches in the place.
    """
    if not nearest or not in_place:
        return nearest
    last = nearest[min(len(nearest), PLACE_RANK) - 1]
    rise, raised = nearest[0][1] - last[1], {id for id, _ in in_place}
    matches = dict(chain(nearest, in_place))
    return sorted(
        matches.items(),
        key=lambda match: (-match[1] - rise * (match[0] in raised), match[0] not in raised),
    )


def fuse_rankings(nearest: Sequence[tuple[int, float]], by_text: RankedPage) -> RankedPage:
    """Fuse two rankings by the sum of their reciprocal ranks; ties go to the text."""
    sums: dict[int, float] = {}
    for ranking in (by_text, nearest):
        for rank, (id, _) in enumerate(ranking, 1):
            sums[id] = sums.get(id, 0.0) + 1 / (RANK_OFFSET + rank)
    scores = dict(chain(by_text, nearest))
    return [(id, scores[id]) for id in sorted(sums, key=lambda id: -sums[id])]
