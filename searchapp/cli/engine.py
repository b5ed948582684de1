"""Start the engine for a single question, and say so: it takes a while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchapp import engines
from searchapp.cli.options import note, shown
from searchapp.models import ModelSpec


def starter(verbose: bool, seed: int = 0) -> Callable[[ModelSpec], engines.Engine]:
    """Return what a library starts its engine with."""

    def start(spec: ModelSpec) -> engines.Engine:
        note(f"starting vLLM with {shown(Path(spec.name).name)} ...")
        return engines.start_engine(spec, seed=seed, verbose=verbose)

    return start
