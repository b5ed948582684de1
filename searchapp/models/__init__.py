"""Models by name, by folder, or by file: one module a family, and how their files are had."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Protocol, cast

from searchapp.errors import ModelError, QueryError, UnsupportedModality
from searchapp.models import clip, custom, e5_v, local_folder, qwen3_vl, siglip, starter, vlm2vec
from searchapp.models.spec import EngineInput, ModelSpec, Prompts, check_trust
from searchapp.models.spec import configured as _configured
from searchapp.types import Modality, ModelOptions

__all__ = [
    "MODELS", "EngineInput", "ModelSpec", "Prompts", "available", "check_trust", "default_model",
    "document_prompt", "has_gpu", "prompt_for", "resolve",
]  # fmt: skip


class Family(Protocol):
    """A module for the models of an architecture."""

    ARCHITECTURE: str
    MODELS: tuple[ModelSpec, ...]

    def from_folder(self, folder: local_folder.Folder) -> ModelSpec:
        """Describe a folder of this architecture."""


FAMILIES = {
    family.ARCHITECTURE: cast(Family, family) for family in (clip, siglip, e5_v, vlm2vec, qwen3_vl)
}
MODELS = {spec.name: spec for family in FAMILIES.values() for spec in family.MODELS}


def available() -> list[ModelSpec]:
    """Return the models that can be named, the one that ships first where it is there."""
    place = starter.find()
    ships = [] if place is None else [starter.describe(from_folder(place))]
    return [*ships, *MODELS.values()]


def default_model() -> str:
    """Name the model for people who name none: a large one where there is a GPU."""
    return "qwen3-vl-embedding-2b" if has_gpu() else "clip-vit-b-32"


def has_gpu() -> bool:
    """Tell whether there is an NVIDIA GPU, without loading anything of it."""
    return Path("/proc/driver/nvidia/gpus").exists() or shutil.which("nvidia-smi") is not None


def resolve(name: str, options: ModelOptions = ModelOptions()) -> ModelSpec:
    """Return the spec of a model's name, folder or file, as the user wants it."""
    spec = _configured(_find(name), options)
    bounded = getattr(FAMILIES.get(spec.architecture), "bounded", None)
    if bounded is not None:
        return cast(ModelSpec, bounded(spec, options))
    for option, value in (("max-pixels", options.max_pixels), ("num-crops", options.num_crops)):
        if value is not None:
            raise ModelError(f"{spec.name} has no --{option}")
    return spec


def _find(name: str) -> ModelSpec:
    known = MODELS.get(name.replace("_", "-"))  # the original example writes e5_v
    if known is not None:
        return known
    if name == starter.NAME:
        place = starter.find()
        if place is None:
            raise ModelError(starter.MISSING)
        return starter.describe(from_folder(place))
    path = Path(name).expanduser()
    if path.is_dir():
        return from_folder(path)
    if path.suffix == ".toml":
        return custom.read(path)
    names = ", ".join([starter.NAME, *MODELS])
    if os.sep in name or name.startswith((".", "~")):
        raise ModelError(f"no model folder at {name}; name a folder, or one of {names}")
    raise ModelError(f"unknown model {name}; known are {names}, or name a model's folder on disk")


def from_folder(path: Path) -> ModelSpec:
    """Describe the model in a folder; raise ModelError where something is missing or unknown."""
    found = local_folder.read(path)
    family = FAMILIES.get(found.architecture)
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ModelError(f"{path}: its architecture is {found.architecture}; known are {known}")
    try:
        return family.from_folder(found)
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: its configuration lacks {error}") from error


def prompt_for(spec: ModelSpec, modality: Modality, text: str | None) -> str:
    """Return the prompt of a query; raise UnsupportedModality where the model cannot do it."""
    prompt = spec.prompts.of(modality)
    if prompt is None:
        able = ", ".join(name for name, other in MODELS.items() if modality in other.modalities)
        raise UnsupportedModality(
            f"Unsupported query modality: '{modality}'; {Path(spec.name).name} takes "
            f"{' or '.join(spec.modalities)}. Models that can: {able}"
        )
    return _filled(spec, prompt, text)


def document_prompt(spec: ModelSpec) -> str:
    """Return the prompt of a picture that is indexed."""
    return _filled(spec, spec.prompts.document, None)


def _filled(spec: ModelSpec, prompt: str, text: str | None) -> str:
    words = (text or "").strip()
    if spec.placeholder and spec.placeholder in words:
        raise QueryError(
            f"the text holds {spec.placeholder}, which stands for a picture; leave it out"
        )
    if spec.lower_text:
        words = words.lower()
    values = {"instruction": spec.instruction or "", "text": words}
    return re.sub(r"\{(instruction|text)\}", lambda found: values[found[1]], prompt)
