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
from searchapp.models.spec import apply_model_options as _configured
from searchapp.types import Modality, ModelOptions

__all__ = [
    "MODELS",
    "EngineInput",
    "ModelSpec",
    "Prompts",
    "check_trust",
    "choose_default_model",
    "has_gpu",
    "list_available_models",
    "make_document_prompt",
    "make_query_prompt",
    "resolve_model",
]  # fmt: skip


class ModelFamily(Protocol):
    """A module for the models of an architecture."""

    ARCHITECTURE: str
    MODELS: tuple[ModelSpec, ...]

    def from_folder(self, folder: local_folder.ModelFolder) -> ModelSpec:
        """Describe a folder of this architecture."""


FAMILY_BY_ARCHITECTURE = {
    family.ARCHITECTURE: cast(ModelFamily, family)
    for family in (clip, siglip, e5_v, vlm2vec, qwen3_vl)
}
MODELS = {spec.name: spec for family in FAMILY_BY_ARCHITECTURE.values() for spec in family.MODELS}


def list_available_models() -> list[ModelSpec]:
    """Return the models that can be named, the one that ships first where it is there."""
    folder = starter.find_starter()
    starter_specs = [] if folder is None else [starter.set_starter_name(read_folder_spec(folder))]
    return [*starter_specs, *MODELS.values()]


def choose_default_model() -> str:
    """Name the model for people who name none: a large one where there is a GPU."""
    return "qwen3-vl-embedding-2b" if has_gpu() else "clip-vit-b-32"


def has_gpu() -> bool:
    """Tell whether there is an NVIDIA GPU, without loading anything of it."""
    return Path("/proc/driver/nvidia/gpus").exists() or shutil.which("nvidia-smi") is not None


def resolve_model(name: str, options: ModelOptions = ModelOptions()) -> ModelSpec:
    """Return the spec of a model's name, folder or file, as the user wants it."""
    spec = _configured(_find_spec(name), options)
    bounded = getattr(FAMILY_BY_ARCHITECTURE.get(spec.architecture), "apply_picture_options", None)
    if bounded is not None:
        return cast(ModelSpec, bounded(spec, options))
    for option, value in (("max-pixels", options.max_pixels), ("num-crops", options.num_crops)):
        if value is not None:
            raise ModelError(f"{spec.name} has no --{option}")
    return spec


def _find_spec(name: str) -> ModelSpec:
    known = MODELS.get(name.replace("_", "-"))  # the original example writes e5_v
    if known is not None:
        return known
    if name == starter.STARTER_NAME:
        folder = starter.find_starter()
        if folder is None:
            raise ModelError(starter.STARTER_MISSING_MESSAGE)
        return starter.set_starter_name(read_folder_spec(folder))
    path = Path(name).expanduser()
    if path.is_dir():
        return read_folder_spec(path)
    if path.suffix == ".toml":
        return custom.read_model_file(path)
    names = ", ".join([starter.STARTER_NAME, *MODELS])
    if os.sep in name or name.startswith((".", "~")):
        raise ModelError(f"no model folder at {name}; name a folder, or one of {names}")
    raise ModelError(f"unknown model {name}; known are {names}, or name a model's folder on disk")


def read_folder_spec(path: Path) -> ModelSpec:
    """Describe the model in a folder; raise ModelError where something is missing or unknown."""
    found = local_folder.read_model_folder(path)
    family = FAMILY_BY_ARCHITECTURE.get(found.architecture)
    if family is None:
        known = ", ".join(sorted(FAMILY_BY_ARCHITECTURE))
        raise ModelError(f"{path}: its architecture is {found.architecture}; known are {known}")
    try:
        return family.from_folder(found)
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: its configuration lacks {error}") from error


def make_query_prompt(spec: ModelSpec, modality: Modality, text: str | None) -> str:
    """Return the prompt of a query; raise UnsupportedModality where the model cannot do it."""
    prompt = spec.prompts.get_prompt(modality)
    if prompt is None:
        able = ", ".join(name for name, other in MODELS.items() if modality in other.modalities)
        raise UnsupportedModality(
            f"Unsupported query modality: '{modality}'; {Path(spec.name).name} takes "
            f"{' or '.join(spec.modalities)}. Models that can: {able}"
        )
    return _fill_prompt(spec, prompt, text)


def make_document_prompt(spec: ModelSpec) -> str:
    """Return the prompt of a picture that is indexed."""
    return _fill_prompt(spec, spec.prompts.document, None)


def _fill_prompt(spec: ModelSpec, prompt: str, text: str | None) -> str:
    words = (text or "").strip()
    if spec.placeholder and spec.placeholder in words:
        raise QueryError(
            f"the text holds {spec.placeholder}, which stands for a picture; leave it out"
        )
    if spec.lower_text:
        words = words.lower()
    values = {"instruction": spec.instruction or "", "text": words}
    return re.sub(r"\{(instruction|text)\}", lambda found: values[found[1]], prompt)
