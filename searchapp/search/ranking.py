"""Find the images nearest to a vector, filter and judge them, and return them as hits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import or_
from pathlib import Path

import numpy as np

from searchapp.catalog import Catalog, LocatedImage, TextQuery
from searchapp.engines import Vector
from searchapp.errors import QueryError
from searchapp.files import storage
from searchapp.search.explain_match import explain_match, put_matching_names_first
from searchapp.search.fusion import (
    MAX_FUSED_IMAGES,
    MAX_TEXT_IMAGES,
    TextMatches,
    add_place_matches,
    find_text_matches,
    iter_fused_pages,
)
from searchapp.search.good_match import JudgeCache, QueryKind
from searchapp.search.hit_list import SCORE_DIGITS, HitList, make_hit
from searchapp.search.ranked_pages import RankedPage
from searchapp.search.unknown_folder import explain_unknown_folder
from searchapp.types import (
    AUTO_MIN_SCORE,
    Collection,
    Filter,
    Hit,
    Match,
    SearchOptions,
    SearchResult,
)
from searchapp.types.filter_values import list_values
from searchapp.vectors import SearchIndex, Selection
from searchapp.vectors.indexes import Indexes

logger = logging.getLogger(__name__)

MAX_JUDGED_HITS = 10  # The result has a good match if one of this many best hits is good.


@dataclass(frozen=True, slots=True)
class SearchedAhead:
    """First steps of a search that are done: the selection, and the nearest matches in it."""

    selection: Selection | None
    matches: RankedPage  # as many as the first page of a ranking has


class Ranking:
    """Find the images of a collection nearest to a vector that match the filter and the score."""

    def __init__(self, catalog: Catalog, indexes: Indexes, judges: JudgeCache) -> None:
        """Use the catalog, the indexes and the judges of an open library."""
        self._catalog, self._indexes = catalog, indexes
        self._judges = judges

    def find_nearest(
        self,
        collection: Collection,
        vector: Vector,
        options: SearchOptions,
        kind: QueryKind | None,
        text: TextQuery | None = None,
        left_out: frozenset[int] = frozenset(),
        ahead: SearchedAhead | None = None,
    ) -> SearchResult:
        """Return the hits nearest to a vector: see LibraryReader.find_nearest.

        ahead: the selection and the first matches, if they are already known.
        """
        index = self._indexes.open_index(collection)
        selection = ahead.selection if ahead else self.select(collection, options, text)
        texts = None
        if text is not None and not text.is_empty:
            texts = find_text_matches(
                self._catalog, collection, text, selection, MAX_FUSED_IMAGES, drop_frequent=True
            )
            texts = add_place_matches(self._catalog, collection, texts, selection)
        judge_page = self._make_page_judge(collection, kind, index, selection)
        is_auto = options.min_score == AUTO_MIN_SCORE
        if is_auto and judge_page is None:
            raise QueryError(_explain_no_judge(kind))
        min_score = options.min_score if isinstance(options.min_score, (int, float)) else -np.inf
        hits, has_good_match = self._make_hit_list(options, texts), None
        fetch, first_found = self._catalog.read_vectors, ahead.matches if ahead else None
        for page in iter_fused_pages(index, vector, selection, texts, fetch, first_found):
            matches = [match for match in page.matches if match[0] not in left_out]
            kept = [match for match in matches if round(match[1], SCORE_DIGITS) >= min_score]
            # Nearly all later matches have lower scores.
            is_last = page.is_by_score and len(kept) < len(matches)
            are_good = [texts is not None and texts.is_good(id) for id, _ in kept]
            if not is_auto and any(are_good[:MAX_JUDGED_HITS]) and not has_good_match:
                has_good_match = True
            if judge_page is not None and kept and (is_auto or has_good_match is None):
                judged = judge_page(kept if is_auto else kept[:MAX_JUDGED_HITS])
                are_good = [*map(or_, are_good, judged)]
                if has_good_match is None:
                    has_good_match = any(are_good[:MAX_JUDGED_HITS])
                if is_auto:
                    # A good match can follow one that is not good, but hardly after a whole page.
                    is_last = is_last or (page.is_by_score and not any(are_good))
                    kept = [match for match, is_good in zip(kept, are_good, strict=True) if is_good]
            hits.add_page(kept, page.nearest)
            if hits.is_full or is_last:
                break

        def judge_hits(matches: RankedPage) -> list[bool | None]:
            by_text = [texts is not None and texts.is_good(id) for id, _ in matches]
            if judge_page is None or not matches:
                return [is_good or None for is_good in by_text]
            return [*map(or_, by_text, judge_page(matches))]

        return self._make_result(hits, options, has_good_match, judge_hits)

    def find_by_text(
        self, collection: Collection, text: TextQuery, options: SearchOptions
    ) -> SearchResult:
        """Return the hits whose texts contain the words: see LibraryReader.find_by_text."""
        selection = self.select(collection, options, None)
        # The filter comes first: an invalid one is an error even if no picture has the words.
        if selection is not None and not len(selection.ids):
            texts = TextMatches(text, (), {})
        else:
            texts = find_text_matches(
                self._catalog, collection, text, selection, MAX_TEXT_IMAGES, drop_frequent=False
            )
        matches = texts.list_scored()
        if options.min_score == AUTO_MIN_SCORE:
            matches = [match for match in matches if texts.is_good(match[0])]
        elif options.min_score is not None:
            matches = [match for match in matches if match[1] >= options.min_score]
        hits = self._make_hit_list(options, texts)
        hits.add_page(matches, frozenset())

        def judge_hits(matches: RankedPage) -> list[bool | None]:
            return [texts.is_good(id) for id, _ in matches]

        has_good_match = any(judge_hits(matches[:MAX_JUDGED_HITS]))
        return self._make_result(hits, options, has_good_match, judge_hits)

    def _locate_images(self, image_filter: Filter, ids: list[int]) -> dict[int, LocatedImage]:
        """Return images by embedding id; in each, the files that match the filter come first."""
        return self._put_matching_files_first(image_filter, self._catalog.locate_images(ids))

    def _put_matching_files_first(
        self, image_filter: Filter, located: dict[int, LocatedImage]
    ) -> dict[int, LocatedImage]:
        """Put the files first that match the filter; the keys of located stay.

        Does not compare the folders of the filter: see make_hit.
        """
        image_ids = {
            image.video_id
            for image in located.values()
            if image.file_infos or (image_filter.where is not None and len(image.files) > 1)
        }
        if not image_ids or not image_filter.has_conditions:
            return located
        matching = self._catalog.filters.find_matching_paths(image_filter, image_ids)
        for id, image in located.items():
            own = matching.get(image.video_id, set())
            files = sorted(image.files, key=lambda file: file.path not in own)
            located[id] = replace(image, files=tuple(files))
        return located

    def list_hits(self, image_ids: Sequence[int], image_filter: Filter) -> list[Hit]:
        """Return images as hits with score 0; in each, the files that match a filter come first.

        Images that the library does not have, and images without an existing file, are left out.
        """
        wanted = resolve_filter_folder(image_filter)
        located = self._put_matching_files_first(wanted, self._catalog.find_images([*image_ids]))
        folders = [str(folder) for folder in list_values(wanted.folder)]
        known = (located[image_id] for image_id in image_ids if image_id in located)
        hits = (make_hit(image, 0.0, folders) for image in known)
        return [hit for hit in hits if hit is not None]

    def select(
        self, collection: Collection, options: SearchOptions, text: TextQuery | None
    ) -> Selection | None:
        """Return the embeddings that match the filter and contain the phrases; None: all."""
        resolved_filter = resolve_filter_folder(options.base_filter)
        selection = None
        if resolved_filter.has_conditions:
            selection = Selection(
                partial(self._catalog.filters.find_embedding_ids, collection.id, resolved_filter),
                partial(self._catalog.filter_to_conditions, resolved_filter),
            )
        if text is None or not text.phrases:
            return selection
        texts = self._catalog.texts
        ids = texts.find_embeddings(collection, texts.find_phrases(text))
        if selection is not None:
            ids = np.intersect1d(ids, selection.ids, assume_unique=True)
        return Selection(lambda: ids)

    def _make_hit_list(self, options: SearchOptions, texts: TextMatches | None) -> HitList:
        """Return an empty list for the hits up to the last one of the requested page."""
        resolved_filter = resolve_filter_folder(options.base_filter)

        def explain(id: int, image: LocatedImage) -> tuple[LocatedImage, tuple[Match, ...]]:
            if texts is None or not texts.has(id):
                return image, ()
            lines = self._catalog.recognized_texts.read_lines(image.image_id) or ()
            if not resolved_filter.has_conditions:
                image = put_matching_names_first(texts.query, image)
            return image, explain_match(texts.query, image, lines)

        folders: tuple[str | Path, ...] = list_values(resolved_filter.folder)
        return HitList(
            list(map(str, folders)),
            options.offset + options.count,
            partial(self._locate_images, resolved_filter),
            explain,
        )

    def _make_result(
        self,
        hits: HitList,
        options: SearchOptions,
        has_good_match: bool | None,
        judge_hits: Callable[[RankedPage], list[bool | None]],
    ) -> SearchResult:
        """Return the requested page of the hits, and warnings if there are no hits.

        judge_hits: returns whether the matches of hits are good matches; None: unknown.
        """
        image_filter = resolve_filter_folder(options.base_filter)
        page = slice(options.offset, options.offset + options.count)
        found = zip(hits.hits[page], judge_hits(hits.matches[page]), strict=True)
        return SearchResult(
            tuple(replace(hit, good_match=is_good) for hit, is_good in found),
            has_good_match,
            () if hits.hits else list_warnings(self._catalog, image_filter),
        )

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
            "weights and examples; give a number"
        )
    return (
        "good matches cannot be judged: the collection has too few pictures, or the model refused "
        "too many sentences; give --min-score a number"
    )
