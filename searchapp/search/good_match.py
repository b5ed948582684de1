"""Judge whether a hit is a good match, that is, whether chance cannot explain its score.

The level of scores differs between models, pictures, and kinds of query. So a picture's score is
compared with its scores for about 200 unrelated queries of the same kind: calibration sentences,
or other pictures of the collection. A hit is a good match if it is sqrt(2 ln n) standard
deviations, times the collection's spread, above the mean of these scores. For normally
distributed scores, sqrt(2 ln n) is the expected maximum of n pictures. The spread is measured on a
sample of pictures.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from searchapp.catalog import Catalog
from searchapp.engines import Engine, Refusal, Vector
from searchapp.search import query_vector
from searchapp.search.sentences import CALIBRATION_SENTENCES
from searchapp.types import Collection, EmbeddingExtent, Example, Query, Term
from searchapp.vectors import pack_vector, unpack_vectors

logger = logging.getLogger(__name__)

QueryKind = Literal["text", "image"]
FIRST_BATCH, LATER_BATCH = 4, 16  # calibration sentences; the first batch measures the speed
MIN_UNRELATED_QUERIES = 50  # with fewer, hits are not judged
UNRELATED_SAMPLE_SIZE = 230  # pictures of the collection that serve as unrelated queries
SPREAD_SAMPLE_SIZE = 1000  # pictures of the collection to measure the spread with
SAME_PICTURE_COSINE = 0.98  # Above it, two pictures count as the same, and are not compared.
TAIL_QUANTILE = 0.975  # The spread is measured here; scores above it can be true matches.
NORMAL_TAIL_DEVIATIONS = 1.96  # standard deviations of TAIL_QUANTILE in a normal distribution


class CalibrationPace:
    """Divide sentences into batches, and stop as soon as all would take longer than a limit.

    After the first batch, the time of all sentences is estimated, so that a slow model loses
    little time.
    """

    def __init__(self, sentences: Sequence[str], limit_s: float = math.inf) -> None:
        """Start to measure the time."""
        self._sentences, self._limit_s = sentences, limit_s
        self.is_too_slow = False

    def __iter__(self) -> Iterator[Sequence[str]]:
        """Yield batches until all sentences are done, or the limit is out of reach."""
        started_at, done = time.monotonic(), 0
        while done < len(self._sentences):
            batch = self._sentences[done : done + (LATER_BATCH if done else FIRST_BATCH)]
            yield batch
            done += len(batch)
            seconds = time.monotonic() - started_at
            if seconds / done * len(self._sentences) > self._limit_s:
                self.is_too_slow = True
                return


def hash_sentences() -> str:
    """Return a hash that identifies the version of the calibration sentences."""
    return hashlib.sha256("\n".join(CALIBRATION_SENTENCES).encode()).hexdigest()[:16]


def get_query_kind(terms: Iterable[Term], examples: Sequence[Example] = ()) -> QueryKind | None:
    """Return the common kind of all terms; None if kinds differ or a weight is not positive.

    One liked picture alone is a query by this picture. Other examples have no kind: the mean of
    several vectors is nearer to all pictures than a single vector is.
    """
    kinds = {term.query.modality if term.weight > 0 else None for term in terms}
    if examples:
        is_one_picture = not kinds and [each.is_liked for each in examples] == [True]
        return "image" if is_one_picture else None
    if kinds == {"text"}:
        return "text"
    return "image" if kinds == {"image"} else None


def log_slow_model(collection: Collection, limit_s: float) -> None:
    """Log that embedding the calibration sentences would take too long."""
    logger.info(
        "Did not calibrate good matches of the collection %s: it takes over %.0f s.",
        collection.name,
        limit_s,
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """Judge whether hits are good matches, for one collection and one kind of query.

    unrelated_vectors: vectors of unrelated queries, [m, dimensions]. spread: the measured spread of
    the scores relative to a normal distribution, at least 1.
    """

    unrelated_vectors: Vector
    spread: float

    @classmethod
    def from_samples(cls, unrelated: Vector, sample: Vector) -> Judge | None:
        """Create a judge, with the spread of a sample; return None if there are too few vectors.

        unrelated: vectors of unrelated queries, [m, dimensions]. sample: vectors of pictures,
        [n, dimensions].
        """
        if len(unrelated) < MIN_UNRELATED_QUERIES or not len(sample):
            return None
        means, deviations, scores = _compare_with_unrelated(unrelated, sample)
        with np.errstate(invalid="ignore", divide="ignore"):
            z_scores = (scores - means) / deviations
        tail = (
            float(np.nanquantile(z_scores, TAIL_QUANTILE))
            if np.isfinite(z_scores).any()
            else NORMAL_TAIL_DEVIATIONS
        )
        return cls(unrelated, max(1.0, tail / NORMAL_TAIL_DEVIATIONS))

    def compute_threshold(self, searched_count: int) -> float:
        """Return the minimum score of a good match, in standard deviations above the mean."""
        return self.spread * math.sqrt(2 * math.log(max(2, searched_count)))

    def find_good_matches(
        self, scores: Vector, pictures: Vector, searched_count: int
    ) -> np.ndarray:
        """Return for each picture of a query whether it is a good match, bool [n].

        scores: scores for the query, [n]. pictures: their vectors, [n, dimensions]. searched_count:
        number of searched pictures.
        """
        good: np.ndarray = scores >= self.compute_min_scores(pictures, searched_count)
        return good

    def compute_min_scores(self, pictures: Vector, searched_count: int) -> Vector:
        """Return for each picture the minimum score of a good match, [n].

        pictures: vectors, [n, dimensions]. searched_count: number of pictures or queries
        among which the best is a match by chance.
        """
        means, deviations, _ = _compare_with_unrelated(self.unrelated_vectors, pictures)
        return means + self.compute_threshold(searched_count) * deviations


def _compare_with_unrelated(unrelated: Vector, pictures: Vector) -> tuple[Vector, Vector, Vector]:
    """Score n pictures with m unrelated queries; return (means, standard deviations, scores).

    Shapes: [n], [n] and [m, n]: each picture has a mean and a standard deviation over the queries.
    A score is NaN if query and picture are the same picture.
    """
    scores = unrelated @ pictures.T
    scores[scores > SAME_PICTURE_COSINE] = np.nan
    count = np.maximum(1, np.isfinite(scores).sum(axis=0))
    means = np.nansum(scores, axis=0) / count
    deviations = np.sqrt(np.nansum((scores - means) ** 2, axis=0) / count)
    return means, deviations, scores


class JudgeCache:
    """Create the judges of collections, and cache each judge until its collection changes."""

    def __init__(self, catalog: Catalog) -> None:
        """Create an empty cache of judges."""
        self._catalog = catalog
        self._cached_judges: dict[tuple[int, QueryKind], tuple[EmbeddingExtent, Judge | None]] = {}
        self._unsaved_vectors: dict[int, bytes] = {}  # sentence vectors by collection id
        self._tried_on_the_side = set[int]()  # ids of collections

    def list_missing_sentences(self, collection: Collection, *, on_the_side: bool) -> list[str]:
        """Return the calibration sentences to embed; none if the collection has their vectors.

        on_the_side: nobody has asked for them, so they are returned once only, whatever comes of
        it: the model may be too slow, and many searches may come at once.
        """
        if on_the_side and collection.id in self._tried_on_the_side:
            return []
        if self._catalog.get_calibrations(collection).read_vectors(hash_sentences()) is not None:
            return []
        if on_the_side:
            self._tried_on_the_side.add(collection.id)
        return list(CALIBRATION_SENTENCES)

    def save_sentence_vectors(self, collection: Collection, vectors: Sequence[Vector]) -> None:
        """Store the vectors of the calibration sentences, in memory if the library is read-only."""
        packed = b"".join(pack_vector(vector) for vector in vectors)
        self._catalog.get_calibrations(collection).save_vectors(hash_sentences(), packed)
        self._unsaved_vectors[collection.id] = packed
        self._cached_judges.pop((collection.id, "text"), None)

    def embed_sentences(self, collection: Collection, engine: Engine, limit_s: float) -> None:
        """Embed the calibration sentences and store their vectors, if this takes no longer."""
        pace = CalibrationPace(self.list_missing_sentences(collection, on_the_side=True), limit_s)
        vectors = list[Vector]()
        for batch in pace:
            outputs = engine.embed(
                [query_vector.make_engine_input(engine.spec, Query(text)) for text in batch]
            )
            vectors += [output for output in outputs if not isinstance(output, Refusal)]
        if pace.is_too_slow:
            log_slow_model(collection, limit_s)
        elif vectors:
            self.save_sentence_vectors(collection, vectors)

    def get_judge(self, collection: Collection, kind: QueryKind) -> Judge | None:
        """Return the judge of a collection for a kind of query; None if it has too few vectors."""
        embedded = self._catalog.get_embeddings(collection)
        extent = embedded.read_extent()
        cached = self._cached_judges.get((collection.id, kind))
        if cached is not None and cached[0] == extent:
            return cached[1]
        if kind == "image":
            unrelated = unpack_vectors(
                embedded.sample_vectors(UNRELATED_SAMPLE_SIZE), collection.dimensions
            )
        else:
            packed = self._catalog.get_calibrations(collection).read_vectors(hash_sentences())
            packed = packed or self._unsaved_vectors.get(collection.id)
            if packed is None:
                return None
            unrelated = unpack_vectors([packed], collection.dimensions)
        judge = Judge.from_samples(
            unrelated,
            unpack_vectors(embedded.sample_vectors(SPREAD_SAMPLE_SIZE), collection.dimensions),
        )
        logger.debug(
            "Judge of good matches in the collection %s for %s queries: %s.",
            collection.name,
            kind,
            "too few vectors to judge" if judge is None else f"spread {judge.spread:.2f}",
        )
        self._cached_judges[(collection.id, kind)] = extent, judge
        return judge

    def find_good_matches(
        self,
        judge: Judge,
        collection: Collection,
        matches: Sequence[tuple[int, float]],
        searched_count: int,
    ) -> list[bool]:
        """Return for each match whether it is a good match.

        matches: (embedding id, score). searched_count: number of searched pictures.
        """
        blobs = {
            id: blob
            for page in self._catalog.read_vectors([id for id, _ in matches])
            for id, blob in zip(*page, strict=True)
        }
        pictures = unpack_vectors([blobs[id] for id, _ in matches], collection.dimensions)
        scores = np.array([score for _, score in matches], dtype=np.float32)
        return [bool(good) for good in judge.find_good_matches(scores, pictures, searched_count)]
