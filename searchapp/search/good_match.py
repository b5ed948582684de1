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
from searchapp.search.sentences import SENTENCES
from searchapp.types import Collection, Extent, Query, Term
from searchapp.vectors import pack, unpack

Kind = Literal["text", "image"]
FEWEST = 50  # unrelated questions, or nothing is said
ASKED = 230  # pictures of the collection that serve as unrelated questions
SAMPLED = 1000  # pictures of the collection that the spread is measured on
SAME = 0.98  # a cosine from which two pictures are taken for one
TAIL = 0.975  # where the spread is measured: beyond it there may be true matches
NORMAL_TAIL = 1.96  # standard deviations that TAIL is at, where scores are distributed normally


def sentences_hash() -> str:
    """Return what tells these sentences from those of another version."""
    return hashlib.sha256("\n".join(SENTENCES).encode()).hexdigest()[:16]


def kind_of(terms: Iterable[Term]) -> Kind | None:
    """Return what a question is made of, where all of it is one kind, and asked for."""
    kinds = {term.query.modality if term.weight > 0 else None for term in terms}
    if kinds == {"text"}:
        return "text"
    return "image" if kinds == {"image"} else None


@dataclass(frozen=True, slots=True)
class Judge:
    """What tells good matches: unrelated questions, [m, dimensions], and the spread they show."""

    unrelated: Vector
    spread: float

    @classmethod
    def of(cls, unrelated: Vector, sample: Vector) -> Judge | None:
        """Measure the spread on pictures, [n, dimensions]; None where there is too little."""
        if len(unrelated) < FEWEST or not len(sample):
            return None
        means, deviations, scores = _compared(unrelated, sample)
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = (scores - means) / deviations
        tail = float(np.nanquantile(apart, TAIL)) if np.isfinite(apart).any() else NORMAL_TAIL
        return cls(unrelated, max(1.0, tail / NORMAL_TAIL))

    def bar(self, searched: int) -> float:
        """Return how many standard deviations a good match among so many pictures is above."""
        return self.spread * math.sqrt(2 * math.log(max(2, searched)))

    def good(self, scores: Vector, pictures: Vector, searched: int) -> np.ndarray:
        """Tell which pictures, [n, dimensions], match well, by their scores, [n]."""
        means, deviations, _ = _compared(self.unrelated, pictures)
        good: np.ndarray = scores - means >= self.bar(searched) * deviations
        return good


def _compared(unrelated: Vector, pictures: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the means and deviations of pictures' scores with unrelated questions, and these."""
    scores = unrelated @ pictures.T
    scores[scores > SAME] = np.nan
    count = np.maximum(1, np.isfinite(scores).sum(axis=0))
    means = np.nansum(scores, axis=0) / count
    deviations = np.sqrt(np.nansum((scores - means) ** 2, axis=0) / count)
    return means, deviations, scores


class Judges:
    """What tells good matches in the collections of a catalogue; read once, as they stand."""

    def __init__(self, catalog: Catalog) -> None:
        """Know of none yet."""
        self._catalog = catalog
        self._known: dict[tuple[int, Kind], tuple[Extent, Judge | None]] = {}
        self._unsaved: dict[int, bytes] = {}  # sentences' vectors, by collection

    def missing(self, collection: Collection) -> list[str]:
        """Return the sentences whose vectors a collection lacks: all of them, or none."""
        known = self._catalog.calibration(collection, sentences_hash())
        return [] if known is not None else list(SENTENCES)

    def calibrate(self, collection: Collection, vectors: Sequence[Vector]) -> None:
        """Keep the vectors of the sentences; it is no harm where nothing can be written."""
        packed = b"".join(pack(vector) for vector in vectors)
        self._catalog.save_calibration(collection, sentences_hash(), packed)
        self._unsaved[collection.id] = packed
        self._known.pop((collection.id, "text"), None)

    def learn(self, collection: Collection, engine: Engine, patience: float) -> None:
        """Embed the sentences, unless it takes more seconds than there is patience for."""
        until, vectors = time.monotonic() + patience, list[Vector]()
        sentences = iter(self.missing(collection))
        while some := list(islice(sentences, 16)):
            if time.monotonic() > until:
                return
            outputs = engine.embed([query_vector.engine_input(engine.spec, Query(s)) for s in some])
            vectors += [output for output in outputs if not isinstance(output, Refusal)]
        if vectors:
            self.calibrate(collection, vectors)

    def of(self, collection: Collection, kind: Kind) -> Judge | None:
        """Return what tells good matches in a collection; None where nothing does."""
        embedded = self._catalog.embedded(collection)
        extent = embedded.extent()
        known = self._known.get((collection.id, kind))
        if known is not None and known[0] == extent:
            return known[1]
        if kind == "image":
            unrelated = unpack(embedded.sample(ASKED), collection.dimensions)
        else:
            packed = self._catalog.calibration(collection, sentences_hash())
            packed = packed or self._unsaved.get(collection.id)
            if packed is None:
                return None
            unrelated = unpack([packed], collection.dimensions)
        judge = Judge.of(unrelated, unpack(embedded.sample(SAMPLED), collection.dimensions))
        self._known[(collection.id, kind)] = extent, judge
        return judge

    def good(
        self, judge: Judge, collection: Collection, found: Sequence[tuple[int, float]], among: int
    ) -> list[bool]:
        """Tell which of what was found (embedding id, score) among so many match well."""
        blobs = {
            id: blob
            for page in self._catalog.vectors([id for id, _ in found])
            for id, blob in zip(*page, strict=True)
        }
        pictures = unpack([blobs[id] for id, _ in found], collection.dimensions)
        scores = np.array([score for _, score in found], dtype=np.float32)
        return [bool(good) for good in judge.good(scores, pictures, among)]
