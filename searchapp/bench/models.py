"""Measure what models cost on this machine, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from searchapp.bench import subprocess_call
from searchapp.errors import EngineError
from searchapp.models import resolve_model


def measure_models(
    models: Sequence[str], pictures: int, width: int, height: int, *, dummy: bool
) -> Iterator[str | dict[str, Any]]:
    """Yield for each model its name, before it is measured, and then its figures.

    The figures are those of indexing_stages.cost, or "error". dummy: use random weights.
    Errors: ModelError for an unknown model, before any is measured.
    """
    for model in models:
        resolve_model(model)
    settings = {"pictures": pictures, "width": width, "height": height, "dummy": dummy}
    for model in models:
        yield model
        try:
            figures = subprocess_call.call_in_subprocess(
                "searchapp.bench.indexing_stages:measure_model_cost", {"model": model, **settings}
            )
        except EngineError as error:
            figures = {"error": str(error)}
        yield {"model": Path(model).name, **figures}
