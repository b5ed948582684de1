"""Wrap an engine so that its user cannot close it."""

from __future__ import annotations

from collections.abc import Sequence

from searchapp.engines.base import Engine, Refusal, Vector
from searchapp.models import EngineInput, ModelSpec


class UnclosedEngine:
    """Wraps an engine; `close` does nothing, because the owner of the engine closes it."""

    def __init__(self, engine: Engine) -> None:
        """Store the engine to wrap."""
        self._engine = engine

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""
        return self._engine.spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Prepare an input: see Engine."""
        return self._engine.prepare(item)

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed inputs: see Engine."""
        return self._engine.embed(inputs)

    def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt: see Engine."""
        return self._engine.count_tokens(prompt)

    def close(self) -> None:
        """Do nothing: the owner closes the engine."""
