"""The engine of a single command: it says that it starts, and ends with the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp import engines
from searchapp.cli.shared_options import note, shown
from searchapp.indexing.embedding import choose_engines
from searchapp.models import EngineInput, ModelSpec, check_trust, hub

if TYPE_CHECKING:
    from searchapp.indexing.embedding.cluster.driver import Cluster
    from searchapp.indexing.embedding.replicas import Replicas
    from searchapp.indexing.embedding.worker import Job


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


def starter(
    verbose: bool,
    *,
    seed: int = 0,
    tell: bool = True,
    url: str | None = None,
    api_key: str | None = None,
) -> Callable[[ModelSpec], engines.Engine]:
    """Return what a library starts its engine with; tell: say so, which index does by itself."""

    def start(spec: ModelSpec) -> engines.Engine:
        check_trust(spec)
        if tell and url is None:
            note(f"starting vLLM with {shown(Path(spec.name).name)} ...")
        engine = engines.start_engine(spec, seed=seed, verbose=verbose, url=url, api_key=api_key)
        return engine if url else UntilExit(engine)

    return start


def starter_of_many(verbose: bool) -> Callable[[Job, int, int | None], Replicas | None]:
    """Return what a library starts several engines with, in processes of their own."""

    def start(job: Job, files: int, wanted: int | None) -> Replicas | None:
        check_trust(job.spec)
        replicas = choose_engines.start_replicas(job, files, wanted, {"verbose": verbose})
        if replicas is not None:
            hub.fetch(job.spec)  # once for all of them, and with its progress shown
        return replicas

    return start


def starter_on(address: str, verbose: bool) -> Callable[[Job, int, int | None], Cluster]:
    """Return what a library starts engines with on the nodes of a Ray cluster."""

    def start(job: Job, files: int, wanted: int | None) -> Cluster:
        check_trust(job.spec)
        return choose_engines.start_cluster(job, address, wanted, {"verbose": verbose})

    return start
