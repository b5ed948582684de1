"""The nearest images: what an index found, filtered, judged, and made into hits with files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from searchapp.catalog import Catalog, LocatedImage
from searchapp.engines import Vector
from searchapp.errors import QueryError
from searchapp.files import storage
from searchapp.search.good_match import JudgeCache, QueryKind
from searchapp.types import (
    AUTO_MIN_SCORE,
    SUMMARY_FIELDS,
    Collection,
    Filter,
    Hit,
    SearchOptions,
    SearchResult,
    SortOrder,
)
from searchapp.vectors import SearchIndex, Selection
from searchapp.vectors.indexes import Indexes

MAX_JUDGED_HITS = 10  # of the best, one of which has to be a good match


class Ranking:
    """The nearest images of a collection, as far as an index, filters and scores let them be."""

    def __init__(self, catalog: Catalog, indexes: Indexes, judges: JudgeCache) -> None:
        """Rank what a library holds."""
        self._catalog, self._indexes = catalog, indexes
        self._judges = judges

    def find_nearest(
        self, collection: Collection, vector: Vector, options: SearchOptions, kind: QueryKind | None
    ) -> SearchResult:
        """Find the nearest: see LibraryReader.find_nearest."""
        index, resolved_filter, selection = (
            self._indexes.open_index(collection),
            resolve_filter_folder(options.base_filter),
            None,
        )
        if resolved_filter.has_conditions:
            selection = Selection(
                partial(self._catalog.find_embedding_ids, collection, resolved_filter),
                partial(self._catalog.filter_to_conditions, resolved_filter),
            )
        judge = self._judges.get_judge(collection, kind) if kind is not None else None
        searched_count = index.count_matches(selection) if judge is not None else 0
        if options.min_score == AUTO_MIN_SCORE and judge is None:
            raise QueryError(_explain_no_judge(kind))
        min_score = options.min_score if isinstance(options.min_score, (int, float)) else -np.inf
        end_rank = options.offset + options.count
        hits, has_good_match = list[Hit](), None
        hit_number_by_video = dict[int, int]()  # where in hits
        for page in iter_ranked_pages(index, vector, selection, max(2 * end_rank, MAX_JUDGED_HITS)):
            page = [(id, score) for id, score in page if score >= min_score]
            if judge is not None and page:
                judged_page = (
                    page if options.min_score == AUTO_MIN_SCORE else page[:MAX_JUDGED_HITS]
                )
                are_good = self._judges.find_good_matches(
                    judge, collection, judged_page, searched_count
                )
                if has_good_match is None:
                    has_good_match = any(are_good[:MAX_JUDGED_HITS])
                if options.min_score == AUTO_MIN_SCORE:
                    page = [found for found, is_good in zip(page, are_good, strict=True) if is_good]
            located = self._catalog.locate_images([id for id, _ in page])
            for id, score in page:
                if len(hits) >= end_rank:
                    break
                image = located.get(id)
                hit = make_hit(
                    image, score, str(resolved_filter.folder) if resolved_filter.folder else None
                )
                if hit is None or image is None:
                    continue
                if image.video_id in hit_number_by_video:  # one hit a video, at its best frame
                    hit_number = hit_number_by_video[image.video_id]
                    if image.seconds is not None:
                        moments = (*hits[hit_number].moments, image.seconds)
                        hits[hit_number] = replace(hits[hit_number], moments=moments)
                    continue
                hit_number_by_video[image.video_id] = len(hits)
                hits.append(hit)
            if len(hits) >= end_rank or not page:
                break
        return SearchResult(
            tuple(sort_hits(hits[options.offset : end_rank], options.sort)), has_good_match
        )


def resolve_filter_folder(image_filter: Filter) -> Filter:
    """Return a filter with its folder's path as the catalogue has paths."""
    if image_filter.folder is None:
        return image_filter
    return replace(image_filter, folder=storage.normalize_folder(image_filter.folder))


def _explain_no_judge(kind: QueryKind | None) -> str:
    if kind is None:
        return (
            "--min-score auto is for words alone or for pictures alone, without minus; "
            "give a number"
        )
    return (
        "the collection holds too little, or the model took too few sentences, to tell good "
        "matches; give --min-score a number"
    )


def iter_ranked_pages(
    index: SearchIndex, vector: Vector, selection: Selection | None, first_count: int
) -> Iterator[list[tuple[int, float]]]:
    """Yield all that is found in pages, nearest first, ties by age, nothing twice.

    Of equal scores at the end of what was asked for, others may lie beyond: they come with those.
    """
    match_limit = index.estimate_max_matches(selection)
    requested_count, seen = min(first_count, match_limit), set[int]()
    while requested_count:
        found = sorted(
            index.search(vector, requested_count, selection), key=lambda it: (-it[1], it[0])
        )
        has_more = requested_count < match_limit and len(found) == requested_count
        page = [
            (id, score)
            for id, score in found
            if id not in seen and not (has_more and score == found[-1][1])
        ]
        seen.update(id for id, _ in page)
        if page:
            yield page
        requested_count = min(match_limit, 4 * requested_count) if has_more else 0


def sort_hits(hits: Sequence[Hit], order: SortOrder) -> list[Hit]:
    """Return hits, given best first, in the order asked for."""
    if order == "date":
        return sorted(hits, key=lambda hit: hit.date or "", reverse=True)
    return list(hits)


def make_hit(image: LocatedImage | None, score: float, folder: str | None) -> Hit | None:
    """Make a hit of an image that has files; those below the folder asked for come first."""
    paths = [path for path in (image.paths if image else ()) if storage.can_exist(path)]
    if image is None or not paths:
        return None
    if folder is not None:
        paths.sort(key=lambda path: not storage.is_below(path, folder))
    first_path, *other_paths = paths
    companions = [path for of, path in image.companions if of == first_path]
    return Hit(
        first_path,
        round(score, 6),
        image.sha256,
        tuple(other_paths),
        image.image_id,
        image.seconds,
        companions=tuple(filter(storage.can_exist, companions)),
        **{name: getattr(image.info, name) for name in SUMMARY_FIELDS},
    )
