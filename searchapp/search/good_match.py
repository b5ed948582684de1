"""Whether a match is a good one: nearer to the question than chance would bring a picture.

How high scores are differs from model to model, from picture to picture and from words to pictures.
So a picture's score is compared with what the same picture scores with some 200 unrelated questions
of the same kind: sentences about anything, or other pictures of the collection. It is a good match
when it lies as many standard deviations above their mean as the best of all the pictures searched
would do by chance, if scores were distributed normally: sqrt(2 ln n), times the collection's own
spread, measured on a sample.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from searchapp.catalog import Catalog
from searchapp.engines import Engine, Refusal, Vector
from searchapp.search import query_vector
from searchapp.search.sentences import CALIBRATION_SENTENCES
from searchapp.types import Collection, EmbeddingExtent, Query, Term
from searchapp.vectors import pack_vector, unpack_vectors

QueryKind = Literal["text", "image"]
MIN_UNRELATED_QUERIES = 50  # unrelated questions, or nothing is said
UNRELATED_SAMPLE_SIZE = 230  # pictures of the collection that serve as unrelated questions
SPREAD_SAMPLE_SIZE = 1000  # pictures of the collection that the spread is measured on
SAME_PICTURE_COSINE = 0.98  # a cosine from which two pictures are taken for one
TAIL_QUANTILE = 0.975  # where the spread is measured: beyond it there may be true matches
NORMAL_TAIL_DEVIATIONS = (
    1.96  # standard deviations that TAIL is at, where scores are distributed normally
)


def hash_sentences() -> str:
    """Return what tells these sentences from those of another version."""
    return hashlib.sha256("\n".join(CALIBRATION_SENTENCES).encode()).hexdigest()[:16]


def get_query_kind(terms: Iterable[Term]) -> QueryKind | None:
    """Return what a question is made of, where all of it is one kind, and asked for."""
    kinds = {term.query.modality if term.weight > 0 else None for term in terms}
    if kinds == {"text"}:
        return "text"
    return "image" if kinds == {"image"} else None


@dataclass(frozen=True, slots=True)
class Judge:
    """What tells good matches: unrelated questions, [m, dimensions], and the spread they show."""

    unrelated_vectors: Vector
    spread: float

    @classmethod
    def from_samples(cls, unrelated: Vector, sample: Vector) -> Judge | None:
        """Measure the spread on pictures, [n, dimensions]; None where there is too little."""
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
        """Return how many standard deviations a good match among so many pictures is above."""
        return self.spread * math.sqrt(2 * math.log(max(2, searched_count)))

    def find_good_matches(
        self, scores: Vector, pictures: Vector, searched_count: int
    ) -> np.ndarray:
        """Tell which pictures, [n, dimensions], match well, by their scores, [n]."""
        means, deviations, _ = _compare_with_unrelated(self.unrelated_vectors, pictures)
        good: np.ndarray = scores - means >= self.compute_threshold(searched_count) * deviations
        return good


def _compare_with_unrelated(unrelated: Vector, pictures: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the means and deviations of pictures' scores with unrelated questions, and these."""
    scores = unrelated @ pictures.T
    scores[scores > SAME_PICTURE_COSINE] = np.nan
    count = np.maximum(1, np.isfinite(scores).sum(axis=0))
    means = np.nansum(scores, axis=0) / count
    deviations = np.sqrt(np.nansum((scores - means) ** 2, axis=0) / count)
    return means, deviations, scores


class JudgeCache:
    """What tells good matches in the collections of a catalogue; read once, as they stand."""

    def __init__(self, catalog: Catalog) -> None:
        """Know of none yet."""
        self._catalog = catalog
        self._cached_judges: dict[tuple[int, QueryKind], tuple[EmbeddingExtent, Judge | None]] = {}
        self._unsaved_vectors: dict[int, bytes] = {}  # sentences' vectors, by collection

    def list_missing_sentences(self, collection: Collection) -> list[str]:
        """Return the sentences whose vectors a collection lacks: all of them, or none."""
        known = self._catalog.read_calibration(collection, hash_sentences())
        return [] if known is not None else list(CALIBRATION_SENTENCES)

    def save_sentence_vectors(self, collection: Collection, vectors: Sequence[Vector]) -> None:
        """Keep the vectors of the sentences; it is no harm where nothing can be written."""
        packed = b"".join(pack_vector(vector) for vector in vectors)
        self._catalog.save_calibration(collection, hash_sentences(), packed)
        self._unsaved_vectors[collection.id] = packed
        self._cached_judges.pop((collection.id, "text"), None)

    def embed_sentences(self, collection: Collection, engine: Engine, timeout_s: float) -> None:
        """Embed the sentences, unless it takes more seconds than there is patience for."""
        deadline, vectors = time.monotonic() + timeout_s, list[Vector]()
        sentences = iter(self.list_missing_sentences(collection))
        while batch := list(islice(sentences, 16)):
            if time.monotonic() > deadline:
                return
            outputs = engine.embed(
                [query_vector.make_engine_input(engine.spec, Query(s)) for s in batch]
            )
            vectors += [output for output in outputs if not isinstance(output, Refusal)]
        if vectors:
            self.save_sentence_vectors(collection, vectors)

    def get_judge(self, collection: Collection, kind: QueryKind) -> Judge | None:
        """Return what tells good matches in a collection; None where nothing does."""
        embedded = self._catalog.get_embeddings(collection)
        extent = embedded.read_extent()
        known = self._cached_judges.get((collection.id, kind))
        if known is not None and known[0] == extent:
            return known[1]
        if kind == "image":
            unrelated = unpack_vectors(
                embedded.sample_vectors(UNRELATED_SAMPLE_SIZE), collection.dimensions
            )
        else:
            packed = self._catalog.read_calibration(collection, hash_sentences())
            packed = packed or self._unsaved_vectors.get(collection.id)
            if packed is None:
                return None
            unrelated = unpack_vectors([packed], collection.dimensions)
        judge = Judge.from_samples(
            unrelated,
            unpack_vectors(embedded.sample_vectors(SPREAD_SAMPLE_SIZE), collection.dimensions),
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
        """Tell which of what was found (embedding id, score) among so many match well."""
        blobs = {
            id: blob
            for page in self._catalog.read_vectors([id for id, _ in matches])
            for id, blob in zip(*page, strict=True)
        }
        pictures = unpack_vectors([blobs[id] for id, _ in matches], collection.dimensions)
        scores = np.array([score for _, score in matches], dtype=np.float32)
        return [bool(good) for good in judge.find_good_matches(scores, pictures, searched_count)]
