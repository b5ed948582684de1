"""The `starter` model: a small SigLIP that is shipped with searchapp, so it needs no download."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from searchapp.models.spec import ModelSpec

STARTER_NAME = "starter"
PACKAGE_FOLDER = Path(__file__).parent.parent
# In an installed package, and in a clone of the repository.
STARTER_FOLDERS = (PACKAGE_FOLDER / "starter", PACKAGE_FOLDER.parent / "data" / "starter")
STARTER_MISSING_MESSAGE = (
    "the model starter is not part of this installation; install searchapp from its wheel or its "
    "repository, or choose another model (see `searchapp models`)"
)


def find_starter() -> Path | None:
    """Return the folder of the starter model; None if this installation lacks it."""
    return next(
        (folder for folder in STARTER_FOLDERS if (folder / "model.safetensors").is_file()), None
    )


def set_starter_name(spec: ModelSpec) -> ModelSpec:
    """Return the spec with the name `starter` instead of the path of its folder.

    The name `starter` stays the same if the installation moves to another folder.
    """
    return replace(spec, name=STARTER_NAME)
