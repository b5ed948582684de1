"""Make hits of ranked images, and sort them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from searchapp.catalog import LocatedImage
from searchapp.files import storage
from searchapp.search.ranked_pages import RankedPage
from searchapp.types import SUMMARY_FIELDS, Hit, Match, SortOrder

SCORE_DIGITS = 6  # decimals of a hit's score, and of the comparison with min_score


class HitList:
    """The hits of a search, best first; a video is one hit, at its best frame."""

    def __init__(
        self,
        folders: Sequence[str],
        max_hits: int,
        locate: Callable[[list[int]], Mapping[int, LocatedImage]],
        explain: Callable[[int, LocatedImage], tuple[LocatedImage, tuple[Match, ...]]],
    ) -> None:
        """Create an empty list for max_hits hits.

        folders: their files come first in a hit. locate: returns images with the paths of their
        files, by embedding id. explain: returns the image of an embedding id with the files first
        that match the words of the query, and all its texts that match.
        """
        self.hits: list[Hit] = []
        self.matches: RankedPage = []  # of each hit
        self._folders, self._max_hits = folders, max_hits
        self._locate, self._explain = locate, explain
        self._rank_by_video: dict[int, int] = {}

    @property
    def is_full(self) -> bool:
        """Return whether the list has reached its maximum number of hits."""
        return len(self.hits) >= self._max_hits

    def add_page(self, page: RankedPage, nearest: frozenset[int]) -> None:
        """Add a page of matches to the hits until the list is full; skip images without a file.

        nearest: the ids that the ranking by vectors contains.
        """
        # Reading the files of images takes time, so only about as many as needed are read.
        part_size = 2 * self._max_hits
        for start in range(0, len(page), part_size):
            part = page[start : start + part_size]
            self._add_part(part, nearest, self._locate([id for id, _ in part]))
            if self.is_full:
                break

    def _add_part(
        self,
        part: RankedPage,
        nearest: frozenset[int],
        image_by_id: Mapping[int, LocatedImage],
    ) -> None:
        for id, score in part:
            if self.is_full:
                break
            if id not in image_by_id:
                continue
            image, match = self._explain(id, image_by_id[id])
            if id in nearest:
                match = (Match("vector"), *match)
            hit = make_hit(image, score, self._folders, match)
            if hit is None:
                continue
            rank = self._rank_by_video.get(image.video_id)
            if rank is None:
                self._rank_by_video[image.video_id] = len(self.hits)
                self.hits.append(hit)
                self.matches.append((id, score))
            elif image.seconds is not None:  # another frame of the same video
                moments = (*self.hits[rank].moments, image.seconds)
                self.hits[rank] = replace(self.hits[rank], moments=moments)


def sort_hits(hits: Sequence[Hit], order: SortOrder) -> list[Hit]:
    """Return hits in the requested order. Hits with equal keys stay in the given order.

    In the order "score", a hit keeps its place if its text matches, or if it was reranked.
    """
    if order == "date":
        return sorted(hits, key=lambda hit: hit.date or "", reverse=True)

    def keeps_place(hit: Hit) -> bool:
        return hit.has_text_match or hit.rerank_score is not None

    by_score = sorted(hits, key=lambda hit: hit.score, reverse=True)
    others = iter([hit for hit in by_score if not keeps_place(hit)])
    return [hit if keeps_place(hit) else next(others) for hit in hits]


def make_hit(
    image: LocatedImage,
    score: float,
    folders: Sequence[str] = (),
    match: tuple[Match, ...] = (),
) -> Hit | None:
    """Convert an image to a hit; return None if no file of the image exists.

    folders: files below these folders come first in the hit. match: why the image is a hit.
    """
    paths = [path for path in image.paths if storage.can_exist(path)]
    if not paths:
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
        match=match,
        **{name: getattr(image.get_file_info(first_path), name) for name in SUMMARY_FIELDS},
    )
