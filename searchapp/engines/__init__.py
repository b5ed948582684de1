"""Run an embedding model: with vLLM in this process, or on a vLLM server over HTTP."""

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
    """Start a model with vLLM in this process or, if `url` is given, connect to a vLLM server.

    Raises EngineError or ModelError if the engine cannot be started or reached.
    """
    if url is not None:
        from searchapp.engines.remote import RemoteEngine

        return RemoteEngine(spec, url, api_key=api_key)
    from searchapp.engines.local import LocalEngine

    return LocalEngine(spec, seed=seed, verbose=verbose)
