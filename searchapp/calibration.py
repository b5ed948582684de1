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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from searchapp.engines import Vector
from searchapp.sentences import SENTENCES
from searchapp.types import Term

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
