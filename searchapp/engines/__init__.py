"""Who runs the model."""

from __future__ import annotations

from searchapp.engines.base import Engine, Refusal, Vector, embed_isolating_failures
from searchapp.models import EngineInput, ModelSpec

__all__ = ["Engine", "EngineInput", "Refusal", "Vector", "embed_isolating_failures", "start_engine"]


def start_engine(
    spec: ModelSpec,
    *,
    seed: int = 0,
    verbose: bool = False,
    url: str | None = None,
    api_key: str | None = None,
) -> Engine:
    """Start the engine for a model: in this process, or at a URL where vLLM serves it.

    Errors: EngineError or ModelError where that fails.
    """
    if url is not None:
        from searchapp.engines.remote import RemoteEngine

        return RemoteEngine(spec, url, api_key=api_key)
    from searchapp.engines.local import LocalEngine

    return LocalEngine(spec, seed=seed, verbose=verbose)
