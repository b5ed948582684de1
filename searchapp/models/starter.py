"""`starter`: the small SigLIP that comes with searchapp: everything runs with no download."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from searchapp.errors import ModelError
from searchapp.models.folder import from_folder
from searchapp.models.spec import ModelSpec

NAME = "starter"
PACKAGE = Path(__file__).parent.parent
# Installed, it lies in the package; in a clone, beside it.
PLACES = (PACKAGE / "starter", PACKAGE.parent / "data" / "starter")


def find() -> ModelSpec:
    """Describe the model that ships; raise ModelError where this installation lacks it."""
    for folder in PLACES:
        if (folder / "model.safetensors").is_file():
            return replace(from_folder(folder), name=NAME, licence="see its card")
    raise ModelError(
        "starter is not part of this installation; install searchapp from its wheel or its "
        "repository, or name another model (see `searchapp models`)"
    )
