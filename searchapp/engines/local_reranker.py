"""Run a reranker with vLLM in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from searchapp.engines.base import Refusal, Vector
from searchapp.engines.local import LocalEngine
from searchapp.engines.reranker import RerankQuestion
from searchapp.models import EngineInput, ModelSpec
from searchapp.models.qwen3_vl_reranker import make_rerank_prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class LocalReranker:
    """A reranker that vLLM runs in this process."""

    def __init__(self, spec: ModelSpec, *, seed: int = 0, verbose: bool = False) -> None:
        """Load the model; parameters and exceptions are those of LocalEngine."""
        self._engine = _ScoringEngine(spec, seed=seed, verbose=verbose)

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""
        return self._engine.spec

    def score(self, question: RerankQuestion, pictures: Sequence[Picture]) -> list[float | Refusal]:
        """Score pictures: see Reranker.score. The engine restarts after a failure."""
        prompt = make_rerank_prompt(question.text, has_picture=question.image is not None)
        outputs = self._engine.embed(
            [EngineInput(prompt, picture, question.image) for picture in pictures]
        )
        return [each if isinstance(each, Refusal) else float(each[0]) for each in outputs]

    def close(self) -> None:
        """Do nothing: the model stays loaded until the process ends."""


class _ScoringEngine(LocalEngine):
    """Engine whose result is the probability of "yes", an array of shape [1]."""

    _task = "classify"
    _max_pictures = 2

    def _read_output(self, values: Vector) -> Vector | Refusal:
        if values.shape != (1,) or not np.isfinite(values[0]):
            return Refusal("the reranker returned no score")
        return values
