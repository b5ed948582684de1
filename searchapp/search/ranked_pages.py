"""Rank the embeddings of an index by a vector, in pages that do not depend on count and offset."""

from __future__ import annotations

from collections.abc import Iterator

from searchapp.engines import Vector
from searchapp.vectors import SearchIndex, Selection

# Matches on the first page of a ranking. Each next page has 3 times the matches before it. The
# pages are the same for every count and offset. Otherwise an index that is not exact would rank
# other candidates for each of them, and hits would be lost or repeated between two requests.
FIRST_PAGE_MATCHES = 64

RankedPage = list[tuple[int, float]]  # (embedding id, score), best first


def iter_ranked_pages(
    index: SearchIndex,
    vector: Vector,
    selection: Selection | None,
    first_count: int = FIRST_PAGE_MATCHES,
    first_found: RankedPage | None = None,
) -> Iterator[RankedPage]:
    """Yield all matches in pages, nearest first; matches with equal scores by ascending id.

    first_found: the first_count nearest matches, if they are already known.
    Each match occurs once. The last score of a page may have more matches than were found.
    Then all matches with this score are moved to the next page, so that they are sorted correctly.

    If the index is not exact, it can miss a match of a page. Such a match occurs on a later page,
    although its score is higher.
    """
    match_limit = index.estimate_max_matches(selection)
    requested_count, seen = min(first_count, match_limit), set[int]()
    while requested_count:
        if first_found is None:
            first_found = index.search(vector, requested_count, selection)
        found = sorted(first_found, key=lambda match: (-match[1], match[0]))
        first_found = None
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
