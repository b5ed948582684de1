"""Rerankers: models that score how well a picture answers a question, reading both together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from searchapp.engines.base import Refusal
from searchapp.models import ModelSpec

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class RerankQuestion:
    """The question of a reranker: a text, a picture, or both."""

    text: str | None
    image: Picture | None = None


class Reranker(Protocol):
    """A running reranker."""

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""

    def score(self, question: RerankQuestion, pictures: Sequence[Picture]) -> list[float | Refusal]:
        """Return a score from 0 to 1, or a refusal, for each picture, in order.

        Raises EngineError only if the reranker can neither continue nor restart.
        """

    def close(self) -> None:
        """Close connections. A model in this process stays loaded until the process ends."""


StartReranker = Callable[[str | None], Reranker]


class RerankerHolder:
    """Starts each reranker at its first use, and keeps it."""

    def __init__(self, start: StartReranker) -> None:
        """Store the function that starts a reranker by its name; None: the default one."""
        self._start = start
        self._rerankers: dict[str | None, Reranker] = {}

    def get(self, name: str | None) -> Reranker:
        """Return the running reranker; start it if it does not run yet.

        Raises ModelError or EngineError if it does not start.
        """
        if name not in self._rerankers:
            self._rerankers[name] = self._start(name)
        return self._rerankers[name]

    def is_ready(self, name: str | None) -> bool:
        """Return whether the reranker runs."""
        return name in self._rerankers

    def close(self) -> None:
        """Close the connections of all rerankers."""
        for reranker in self._rerankers.values():
            reranker.close()
        self._rerankers.clear()
