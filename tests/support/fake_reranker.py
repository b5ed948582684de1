"""Rerank without a model: the score is how near a picture is to the color of the question.

A question without a color means black.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PIL import ImageColor
from PIL.Image import Image as Picture

from searchapp.engines import Refusal
from searchapp.engines.reranker import RerankQuestion
from searchapp.models import ModelSpec
from searchapp.models.qwen3_vl_reranker import DEFAULT_RERANKER, RERANKERS


class FakeReranker:
    """Scores pictures by the distance of their mean color; keeps the questions for assertions.

    As a starter of rerankers it returns itself, and keeps the names that were asked for.
    """

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.questions: list[RerankQuestion] = []
        self.scored_count = 0
        self.refused_color: tuple[int, int, int] | None = None
        self.is_closed = False

    def __call__(self, name: str | None) -> FakeReranker:
        self.names.append(name)
        return self

    @property
    def spec(self) -> ModelSpec:
        return RERANKERS[DEFAULT_RERANKER]

    def score(self, question: RerankQuestion, pictures: Sequence[Picture]) -> list[float | Refusal]:
        self.questions.append(question)
        self.scored_count += len(pictures)
        wanted = _read_color(question)
        return [self._score_picture(wanted, picture) for picture in pictures]

    def close(self) -> None:
        self.is_closed = True

    def _score_picture(self, wanted: np.ndarray, picture: Picture) -> float | Refusal:
        color = _mean_color(picture)
        if self.refused_color is not None and np.abs(color - self.refused_color).max() < 8:
            return Refusal("a picture that the reranker does not take")
        return 1 - float(np.abs(color - wanted).mean()) / 255


def _read_color(question: RerankQuestion) -> np.ndarray:
    for word in re.findall(r"[a-z]+", question.text or ""):
        if word in ImageColor.colormap:
            return np.array(ImageColor.getrgb(word), float)
    return np.zeros(3) if question.image is None else _mean_color(question.image)


def _mean_color(picture: Picture) -> np.ndarray:
    color: np.ndarray = np.asarray(picture, float).reshape(-1, 3).mean(axis=0)
    return color
