"""`starter`: the small SigLIP that comes with searchapp: everything runs with no download."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from searchapp.models.spec import ModelSpec

NAME = "starter"
PACKAGE = Path(__file__).parent.parent
# Installed, it lies in the package; in a clone, beside it.
PLACES = (PACKAGE / "starter", PACKAGE.parent / "data" / "starter")
MISSING = (
    "starter is not part of this installation; install searchapp from its wheel or its repository, "
    "or name another model (see `searchapp models`)"
)


def find() -> Path | None:
    """Return the folder of the model that ships; None where this installation lacks it."""
    return next((place for place in PLACES if (place / "model.safetensors").is_file()), None)


def describe(spec: ModelSpec) -> ModelSpec:
    """Call the model in that folder by its name: it is the same wherever it lies."""
    return replace(spec, name=NAME)
