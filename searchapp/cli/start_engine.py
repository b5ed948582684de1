"""The engine of a single command: it says that it starts, and ends with the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from searchapp import engines
from searchapp.cli.shared_options import note, shown
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.models import EngineInput, ModelSpec, check_trust


class UntilExit:
    """An engine that the end of the process closes: to free a model tidily takes seconds."""

    def __init__(self, engine: engines.Engine) -> None:
        """Wrap an engine."""
        self._engine = engine

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""
        return self._engine.spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Prepare: see Engine."""
        return self._engine.prepare(item)

    def embed(self, inputs: Sequence[EngineInput]) -> list[engines.Vector | engines.Refusal]:
        """Embed: see Engine."""
        return self._engine.embed(inputs)

    def count_tokens(self, prompt: str) -> int:
        """Count: see Engine."""
        return self._engine.count_tokens(prompt)

    def close(self) -> None:
        """Leave it to the process's end."""


def start_until_exit(
    choice: EngineChoice, *, announce: bool = True
) -> Callable[[ModelSpec], engines.Engine]:
    """Return what starts the engine of a command; announce: say so, unless it runs elsewhere."""

    def start(spec: ModelSpec) -> engines.Engine:
        check_trust(spec)
        if announce and choice.url is None:
            note(f"starting vLLM with {shown(Path(spec.name).name)} ...")
        engine = choice.start(spec)
        return engine if choice.url else UntilExit(engine)

    return start
