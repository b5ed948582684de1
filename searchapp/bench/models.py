"""Measure start time, speed and memory of models, each in a new process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from searchapp.bench import indexing_stages
from searchapp.bench.subprocess_call import call_in_subprocess
from searchapp.errors import EngineError
from searchapp.models import resolve_model


def measure_models(
    models: Sequence[str], pictures: int, width: int, height: int, *, dummy: bool
) -> Iterator[str | dict[str, Any]]:
    """Yield the name of each model before its measurement, then its results.

    The results are those of indexing_stages.measure_model_cost. If that fails, the result is the
    text of the error, with the key "error". dummy: use random weights.
    Errors: ModelError for an unknown model, before any measurement.
    """
    for model in models:
        resolve_model(model)
    settings = {"pictures": pictures, "width": width, "height": height, "dummy": dummy}
    for model in models:
        yield model
        try:
            figures = call_in_subprocess(
                indexing_stages.measure_model_cost, {"model": model, **settings}
            )
        except EngineError as error:
            figures = {"error": str(error)}
        yield {"model": Path(model).name, **figures}
