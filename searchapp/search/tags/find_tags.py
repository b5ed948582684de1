"""Find the words of a list that fit pictures, by their stored vectors (zero-shot tagging).

A word fits a picture if it is a good match: see good_match.py. A picture is compared with all
phrases, so their number decides how high a score chance can explain. Neither the filter nor the
size of the library changes the tags of a picture.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from searchapp.catalog import LocatedImage
from searchapp.engines import Vector
from searchapp.errors import QueryError
from searchapp.search.good_match import Judge
from searchapp.search.hit_list import SCORE_DIGITS, make_hit
from searchapp.search.library_reader import LibraryReader
from searchapp.search.query_part import QueryPart
from searchapp.search.search import calibrate_collection, embed_parts
from searchapp.search.search_calls import SearchCalls
from searchapp.types import Collection, Query, SearchOptions
from searchapp.types.tags import Tag, TaggedPicture, TagOptions, TagWord

logger = logging.getLogger(__name__)

BATCH_PHRASES = 256  # that the engine embeds in one call
PICTURE_ROWS = 1000  # whose scores are computed at once
MIN_COMPARED_PHRASES = 128  # A short list is judged like one of this length.
PHRASE_TEMPLATE = "a photo of {}"  # CLIP and SigLIP were trained with sentences, not with words


async def find_tags(
    calls: SearchCalls, words: Sequence[TagWord], options: TagOptions
) -> list[TaggedPicture]:
    """Return the pictures that match the filter and get a tag, in the order of the catalog.

    Each phrase is embedded once, and no picture is. The tags of a video are those of its frames.
    Raises QueryError if good matches cannot be judged, or the filter is invalid; also the errors
    of search.search.
    """
    search_options = SearchOptions(
        collection=options.collection,
        **{name: getattr(options, name) for name in options.base_filter.__dataclass_fields__},
    )
    collection, spec = await calls.read_library(
        lambda reader: reader.choose_nonempty_collection(search_options)
    )
    phrases = [(phrase, n) for n, word in enumerate(words) for phrase in word.phrases]
    vectors = list[Vector]()
    for start in range(0, len(phrases), BATCH_PHRASES):
        batch = phrases[start : start + BATCH_PHRASES]
        parts = [QueryPart(Query(PHRASE_TEMPLATE.format(phrase))) for phrase, _ in batch]
        vectors += await embed_parts(calls, spec, parts, truncate=False)
    await calibrate_collection(calls, collection, spec, on_the_side=False)
    owners = np.array([n for _, n in phrases])
    paths = [word.path for word in words]
    return await calls.read_library(
        lambda reader: choose_tags(
            reader, collection, search_options, np.stack(vectors), owners, paths, options.max_tags
        )
    )


def choose_tags(
    reader: LibraryReader,
    collection: Collection,
    options: SearchOptions,
    phrase_vectors: Vector,
    owners: NDArray[np.int64],
    paths: Sequence[str],
    max_tags: int,
) -> list[TaggedPicture]:
    """Return the pictures that get a tag, in the order of the catalog.

    phrase_vectors: [n, dimensions]. owners: the number of the word of each phrase, [n]. paths: the
    keywords, by the number of the word. Raises QueryError as find_tags does.
    """
    judge = reader.judges.get_judge(collection, "text")
    if judge is None:
        raise QueryError(
            "tags cannot be judged: the collection has too few pictures, or the model refused too "
            "many sentences. Index more pictures, or use another model."
        )
    _, ids = reader.find_matching(options)
    scores_by_image: dict[int, dict[int, float]] = {}
    image_by_id: dict[int, LocatedImage] = {}
    for page, page_scores in _iter_scores(reader, collection, ids, phrase_vectors, owners, judge):
        found = {id: scores for id, scores in zip(page, page_scores, strict=True) if scores}
        located = reader.locate_images(list(found))
        for id, scores in found.items():
            if id in located:
                image = image_by_id.setdefault(located[id].video_id, located[id])
                known = scores_by_image.setdefault(image.video_id, {})
                for word, score in scores.items():
                    known[word] = max(score, known.get(word, -1.0))
    tagged = list[TaggedPicture]()
    for image_id, scores in scores_by_image.items():
        best = sorted(scores.items(), key=lambda item: item[1], reverse=True)[:max_tags]
        hit = make_hit(replace(image_by_id[image_id], seconds=None), best[0][1])
        if hit is not None:
            tags = tuple(Tag(paths[n], round(score, SCORE_DIGITS)) for n, score in best)
            tagged.append(TaggedPicture(hit, tags))
    return tagged


def _iter_scores(
    reader: LibraryReader,
    collection: Collection,
    ids: NDArray[np.int64],
    phrases: Vector,
    owners: NDArray[np.int64],
    judge: Judge,
) -> Iterator[tuple[list[int], list[dict[int, float]]]]:
    """Yield pages of embedding ids, with the scores of the words that fit each, by word."""
    compared_count = max(MIN_COMPARED_PHRASES, len(phrases))
    logger.info(
        "A tag scores %.1f standard deviations above unrelated sentences (%d phrases).",
        judge.compute_threshold(compared_count),
        len(phrases),
    )
    for page, pictures in reader.read_vectors(collection, ids):
        for start in range(0, len(page), PICTURE_ROWS):
            rows = pictures[start : start + PICTURE_ROWS]
            scores = rows @ phrases.T
            good = scores >= judge.compute_min_scores(rows, compared_count)[:, None]
            found = list[dict[int, float]]()
            for row, is_good in zip(scores, good, strict=True):
                best: dict[int, float] = {}
                for n in np.flatnonzero(is_good):
                    word = int(owners[n])
                    best[word] = max(float(row[n]), best.get(word, -1.0))
                found.append(best)
            yield page[start : start + PICTURE_ROWS].tolist(), found
