"""Who runs the model."""

from __future__ import annotations

from searchapp.engines.base import Engine, Refusal, Vector, embed_apart
from searchapp.models import EngineInput, ModelSpec

__all__ = ["Engine", "EngineInput", "Refusal", "Vector", "embed_apart", "start_engine"]


def start_engine(spec: ModelSpec, *, seed: int = 0, verbose: bool = False) -> Engine:
    """Start the engine for a model; raise EngineError or ModelError where that fails."""
    from searchapp.engines.local import LocalEngine

    return LocalEngine(spec, seed=seed, verbose=verbose)
