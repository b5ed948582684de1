"""`starter`: the small SigLIP that comes with searchapp: everything runs with no download."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from searchapp.models.spec import ModelSpec

STARTER_NAME = "starter"
PACKAGE_FOLDER = Path(__file__).parent.parent
# Installed, it lies in the package; in a clone, beside it.
STARTER_FOLDERS = (PACKAGE_FOLDER / "starter", PACKAGE_FOLDER.parent / "data" / "starter")
STARTER_MISSING_MESSAGE = (
    "starter is not part of this installation; install searchapp from its wheel or its repository, "
    "or name another model (see `searchapp models`)"
)


def find_starter() -> Path | None:
    """Return the folder of the model that ships; None where this installation lacks it."""
    return next(
        (place for place in STARTER_FOLDERS if (place / "model.safetensors").is_file()), None
    )


def set_starter_name(spec: ModelSpec) -> ModelSpec:
    """Call the model in that folder by its name: it is the same wherever it lies."""
    return replace(spec, name=STARTER_NAME)
