"""Find the images nearest to a vector, filter and judge them, and return them as hits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, LocatedImage
from searchapp.engines import Vector
from searchapp.errors import QueryError
from searchapp.files import storage
from searchapp.search.good_match import JudgeCache, QueryKind
from searchapp.search.unknown_folder import explain_unknown_folder
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
from searchapp.types.filter_values import list_values
from searchapp.vectors import SearchIndex, Selection
from searchapp.vectors.indexes import Indexes

logger = logging.getLogger(__name__)

MAX_JUDGED_HITS = 10  # The result has a good match if one of this many best hits is good.
# Matches on the first page of a ranking. Each next page has 3 times the matches before it. The
# pages are the same for every count and offset. Otherwise an index that is not exact would rank
# other candidates for each of them, and hits would be lost or repeated between two requests.
FIRST_PAGE_MATCHES = 64

SCORE_DIGITS = 6  # decimals of a hit's score, and of the comparison with min_score

RankedPage = list[tuple[int, float]]  # (embedding id, score), nearest first


class Ranking:
    """Find the images of a collection nearest to a vector that match the filter and the score."""

    def __init__(self, catalog: Catalog, indexes: Indexes, judges: JudgeCache) -> None:
        """Use the catalog, the indexes and the judges of an open library."""
        self._catalog, self._indexes = catalog, indexes
        self._judges = judges

    def find_nearest(
        self, collection: Collection, vector: Vector, options: SearchOptions, kind: QueryKind | None
    ) -> SearchResult:
        """Return the hits nearest to a vector: see LibraryReader.find_nearest."""
        index = self._indexes.open_index(collection)
        resolved_filter = resolve_filter_folder(options.base_filter)
        selection = None
        if resolved_filter.has_conditions:
            selection = Selection(
                partial(self._catalog.find_embedding_ids, collection, resolved_filter),
                partial(self._catalog.filter_to_conditions, resolved_filter),
            )
        judge_page = self._make_page_judge(collection, kind, index, selection)
        is_auto = options.min_score == AUTO_MIN_SCORE
        if is_auto and judge_page is None:
            raise QueryError(_explain_no_judge(kind))
        min_score = options.min_score if isinstance(options.min_score, (int, float)) else -np.inf
        end_rank = options.offset + options.count
        folders = [str(folder) for folder in list_values(resolved_filter.folder)]
        hits, has_good_match = _HitList(folders, end_rank), None
        for page in iter_ranked_pages(index, vector, selection):
            kept = [match for match in page if round(match[1], SCORE_DIGITS) >= min_score]
            is_last = len(kept) < len(page)  # Nearly all later matches have lower scores.
            if judge_page is not None and kept and (is_auto or has_good_match is None):
                are_good = judge_page(kept if is_auto else kept[:MAX_JUDGED_HITS])
                if has_good_match is None:
                    has_good_match = any(are_good[:MAX_JUDGED_HITS])
                if is_auto:
                    # A good match can follow one that is not good, but hardly after a whole page.
                    is_last = is_last or not any(are_good)
                    kept = [match for match, is_good in zip(kept, are_good, strict=True) if is_good]
            hits.add_page(kept, partial(self._locate_images, resolved_filter))
            if hits.is_full or is_last:
                break
        found = hits.hits[options.offset : end_rank]
        if judge_page is not None and found:
            are_good = judge_page(hits.matches[options.offset : end_rank])
            found = [
                replace(hit, good_match=is_good)
                for hit, is_good in zip(found, are_good, strict=True)
            ]
        warnings = () if hits.hits else list_warnings(self._catalog, resolved_filter)
        return SearchResult(tuple(found), has_good_match, warnings)

    def _locate_images(self, image_filter: Filter, ids: list[int]) -> dict[int, LocatedImage]:
        """Return images by embedding id; in each, the files that match the filter come first."""
        located = self._catalog.locate_images(ids)
        image_ids = {image.video_id for image in located.values() if image.file_infos}
        if not image_ids or not image_filter.has_conditions:
            return located
        matching = self._catalog.find_matching_paths(image_filter, image_ids)
        for id, image in located.items():
            own = matching.get(image.video_id, set())
            files = sorted(image.files, key=lambda file: file.path not in own)
            located[id] = replace(image, files=tuple(files))
        return located

    def _make_page_judge(
        self,
        collection: Collection,
        kind: QueryKind | None,
        index: SearchIndex,
        selection: Selection | None,
    ) -> Callable[[RankedPage], list[bool]] | None:
        """Return a function that judges a page of matches; None if judging is impossible."""
        judge = self._judges.get_judge(collection, kind) if kind is not None else None
        if judge is None:
            return None
        searched_count = index.count_matches(selection)
        logger.info(
            "A good match scores %.1f standard deviations above unrelated queries (%d pictures).",
            judge.compute_threshold(searched_count),
            searched_count,
        )
        return lambda page: self._judges.find_good_matches(judge, collection, page, searched_count)


class _HitList:
    """The hits of a search, best first; a video is one hit, at its best frame."""

    def __init__(self, folders: Sequence[str], max_hits: int) -> None:
        """Create an empty list for max_hits hits. folders: their files come first in a hit."""
        self.hits: list[Hit] = []
        self.matches: RankedPage = []  # of each hit
        self._folders, self._max_hits = folders, max_hits
        self._rank_by_video: dict[int, int] = {}

    @property
    def is_full(self) -> bool:
        """Return whether the list has reached its maximum number of hits."""
        return len(self.hits) >= self._max_hits

    def add_page(
        self, page: RankedPage, locate: Callable[[list[int]], Mapping[int, LocatedImage]]
    ) -> None:
        """Add a page of matches to the hits until the list is full; skip images without a file.

        locate: returns images with the paths of their files, by embedding id.
        """
        # Reading the files of images takes time, so only about as many as needed are read.
        part_size = 2 * self._max_hits
        for start in range(0, len(page), part_size):
            part = page[start : start + part_size]
            self._add_part(part, locate([id for id, _ in part]))
            if self.is_full:
                break

    def _add_part(self, part: RankedPage, image_by_id: Mapping[int, LocatedImage]) -> None:
        for id, score in part:
            if self.is_full:
                break
            image = image_by_id.get(id)
            hit = make_hit(image, score, self._folders)
            if hit is None or image is None:
                continue
            rank = self._rank_by_video.get(image.video_id)
            if rank is None:
                self._rank_by_video[image.video_id] = len(self.hits)
                self.hits.append(hit)
                self.matches.append((id, score))
            elif image.seconds is not None:  # another frame of the same video
                moments = (*self.hits[rank].moments, image.seconds)
                self.hits[rank] = replace(self.hits[rank], moments=moments)


def list_warnings(catalog: Catalog, image_filter: Filter) -> tuple[str, ...]:
    """Return why no picture can match a filter from resolve_filter_folder()."""
    folders: tuple[str | Path, ...] = list_values(image_filter.folder)
    explanations = [explain_unknown_folder(catalog, str(folder)) for folder in folders]
    unknown = tuple(text for text in explanations if text is not None)
    return unknown if len(unknown) == len(folders) else ()


def resolve_filter_folder(image_filter: Filter) -> Filter:
    """Return a filter whose folders are absolute paths or URLs, as in the catalog."""
    if image_filter.folder is None:
        return image_filter
    folders: tuple[str | Path, ...] = list_values(image_filter.folder)
    normalized = [storage.normalize_folder(folder, QueryError) for folder in folders]
    return replace(image_filter, folder=normalized)


def _explain_no_judge(kind: QueryKind | None) -> str:
    if kind is None:
        return (
            "--min-score auto needs a query of only words or only pictures, without negative "
            "weights; give a number"
        )
    return (
        "good matches cannot be judged: the collection has too few pictures, or the model refused "
        "too many sentences; give --min-score a number"
    )


def iter_ranked_pages(
    index: SearchIndex,
    vector: Vector,
    selection: Selection | None,
    first_count: int = FIRST_PAGE_MATCHES,
) -> Iterator[RankedPage]:
    """Yield all matches in pages, nearest first; matches with equal scores by ascending id.

    Each match occurs once. The last score of a page may have more matches than were found.
    Then all matches with this score are moved to the next page, so that they are sorted correctly.

    If the index is not exact, it can miss a match of a page. Such a match occurs on a later page,
    although its score is higher.
    """
    match_limit = index.estimate_max_matches(selection)
    requested_count, seen = min(first_count, match_limit), set[int]()
    while requested_count:
        found = sorted(
            index.search(vector, requested_count, selection),
            key=lambda match: (-match[1], match[0]),
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
    """Return hits in the requested order. Hits with equal keys stay in the given order."""
    if order == "date":
        return sorted(hits, key=lambda hit: hit.date or "", reverse=True)
    return sorted(hits, key=lambda hit: hit.score, reverse=True)


def make_hit(image: LocatedImage | None, score: float, folders: Sequence[str] = ()) -> Hit | None:
    """Convert an image to a hit; return None if no file of the image exists.

    folders: files below these folders come first in the hit.
    """
    paths = [path for path in (image.paths if image else ()) if storage.can_exist(path)]
    if image is None or not paths:
        return None
    if folders:
        paths.sort(key=lambda path: not any(storage.is_below(path, folder) for folder in folders))
    first_path, *other_paths = paths
    companions = [path for owner, path in image.companions if owner == first_path]
    return Hit(
        first_path,
        round(score, SCORE_DIGITS),
        image.sha256,
        tuple(other_paths),
        image.image_id,
        image.seconds,
        companions=tuple(filter(storage.can_exist, companions)),
        **{name: getattr(image.get_file_info(first_path), name) for name in SUMMARY_FIELDS},
    )
