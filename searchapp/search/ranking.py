"""The nearest images: what an index found, filtered, judged, and made into hits with files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from searchapp.catalog import Catalog, Located
from searchapp.engines import Vector
from searchapp.errors import QueryError
from searchapp.files import storage
from searchapp.search.good_match import Judges, Kind
from searchapp.types import (
    AUTO,
    SUMMARY_FIELDS,
    Answer,
    Collection,
    Filter,
    Hit,
    Order,
    SearchOptions,
)
from searchapp.vectors import Searched, Selection
from searchapp.vectors.indexes import Indexes

JUDGED = 10  # of the best, one of which has to be a good match


class Ranking:
    """The nearest images of a collection, as far as an index, filters and scores let them be."""

    def __init__(self, catalog: Catalog, indexes: Indexes, judges: Judges) -> None:
        """Rank what a library holds."""
        self._catalog, self._indexes = catalog, indexes
        self._judges = judges

    def nearest(
        self, collection: Collection, vector: Vector, options: SearchOptions, kind: Kind | None
    ) -> Answer:
        """Find the nearest: see LibraryReader.find_nearest."""
        index, wanted, among = self._indexes.current(collection), whole(options.filter), None
        if wanted.asks:
            among = Selection(
                partial(self._catalog.matching, collection, wanted),
                partial(self._catalog.conditions, wanted),
            )
        judge = self._judges.of(collection, kind) if kind is not None else None
        searched = index.count(among) if judge is not None else 0
        if options.min_score == AUTO and judge is None:
            raise QueryError(_not_judged(kind))
        least = options.min_score if isinstance(options.min_score, (int, float)) else -np.inf
        last = options.offset + options.count
        hits, good = list[Hit](), None
        videos = dict[int, int]()  # where in hits
        for page in ranked(index, vector, among, max(2 * last, JUDGED)):
            page = [(id, score) for id, score in page if score >= least]
            if judge is not None and page:
                best = page if options.min_score == AUTO else page[:JUDGED]
                well = self._judges.good(judge, collection, best, searched)
                if good is None:
                    good = any(well[:JUDGED])
                if options.min_score == AUTO:
                    page = [found for found, is_good in zip(page, well, strict=True) if is_good]
            located = self._catalog.locate([id for id, _ in page])
            for id, score in page:
                if len(hits) >= last:
                    break
                of = located.get(id)
                hit = hit_of(of, score, str(wanted.folder) if wanted.folder else None)
                if hit is None or of is None:
                    continue
                if of.video_id in videos:  # one hit a video, at its best frame
                    at = videos[of.video_id]
                    if of.seconds is not None:
                        moments = (*hits[at].moments, of.seconds)
                        hits[at] = replace(hits[at], moments=moments)
                    continue
                videos[of.video_id] = len(hits)
                hits.append(hit)
            if len(hits) >= last or not page:
                break
        return Answer(tuple(in_order(hits[options.offset : last], options.sort)), good)


def whole(wanted: Filter) -> Filter:
    """Return a filter with its folder's path as the catalogue has paths."""
    if wanted.folder is None:
        return wanted
    return replace(wanted, folder=storage.whole(wanted.folder))


def _not_judged(kind: Kind | None) -> str:
    if kind is None:
        return (
            "--min-score auto is for words alone or for pictures alone, without minus; "
            "give a number"
        )
    return (
        "the collection holds too little, or the model took too few sentences, to tell good "
        "matches; give --min-score a number"
    )


def ranked(
    index: Searched, vector: Vector, among: Selection | None, first: int
) -> Iterator[list[tuple[int, float]]]:
    """Yield all that is found in pages, nearest first, ties by age, nothing twice.

    Of equal scores at the end of what was asked for, others may lie beyond: they come with those.
    """
    most = index.most(among)
    asked, seen = min(first, most), set[int]()
    while asked:
        found = sorted(index.search(vector, asked, among), key=lambda it: (-it[1], it[0]))
        goes_on = asked < most and len(found) == asked
        page = [
            (id, score)
            for id, score in found
            if id not in seen and not (goes_on and score == found[-1][1])
        ]
        seen.update(id for id, _ in page)
        if page:
            yield page
        asked = min(most, 4 * asked) if goes_on else 0


def in_order(hits: Sequence[Hit], order: Order) -> list[Hit]:
    """Return hits, given best first, in the order asked for."""
    if order == "date":
        return sorted(hits, key=lambda hit: hit.date or "", reverse=True)
    return list(hits)


def hit_of(image: Located | None, score: float, folder: str | None) -> Hit | None:
    """Make a hit of an image that has files; those below the folder asked for come first."""
    paths = [path for path in (image.paths if image else ()) if storage.may_be_there(path)]
    if image is None or not paths:
        return None
    if folder is not None:
        paths.sort(key=lambda path: not storage.is_below(path, folder))
    best, *also = paths
    companions = [path for of, path in image.companions if of == best]
    return Hit(
        best,
        round(score, 6),
        image.sha256,
        tuple(also),
        image.image_id,
        image.seconds,
        companions=tuple(filter(storage.may_be_there, companions)),
        **{name: getattr(image.info, name) for name in SUMMARY_FIELDS},
    )
