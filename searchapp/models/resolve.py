"""Resolve a model's name, folder or TOML file to its ModelSpec."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Protocol, cast

from searchapp.errors import ModelError
from searchapp.files.enter_path import enter_path, has_entered_folder
from searchapp.models import (
    clip,
    custom,
    e5_v,
    embedding_gemma2,
    local_folder,
    qwen2_vl,
    qwen3_vl,
    siglip,
    starter,
    vlm2vec,
)
from searchapp.models.gpu import has_gpu
from searchapp.models.qwen3_vl_reranker import RERANKERS
from searchapp.models.spec import ModelSpec, apply_model_options
from searchapp.types import ModelOptions

logger = logging.getLogger(__name__)


class ModelFamily(Protocol):
    """Interface of a module that makes the specs of models with one architecture."""

    ARCHITECTURE: str
    MODELS: tuple[ModelSpec, ...]

    def from_folder(self, folder: local_folder.ModelFolder) -> ModelSpec:
        """Return the spec of a model folder; raise KeyError if its configuration lacks a value."""


FAMILY_BY_ARCHITECTURE = {
    family.ARCHITECTURE: cast(ModelFamily, family)
    for family in (clip, siglip, e5_v, vlm2vec, qwen3_vl, embedding_gemma2, qwen2_vl)
}
MODELS = {spec.name: spec for family in FAMILY_BY_ARCHITECTURE.values() for spec in family.MODELS}

# Names in vLLM's examples; hyphens stand for underscores.
ALIASES = {
    "clip": "clip-vit-b-32",
    "dse-qwen2-vl": "dse-qwen2-2b",
    "qwen3-vl": "qwen3-vl-embedding-2b",
    "vlm2vec-phi3v": "vlm2vec",
    "vlm2vec-qwen2vl": "vlm2vec-qwen2vl-2b",
    "vlm2vec-v2.0": "vlm2vec-v2",
}
MODEL_FILE_HINT = (
    "if vLLM can embed pictures with it, write a model file and give --model FILE.toml. The file "
    f"needs {custom.REQUIRED_FIELDS}, and for most models placeholder and pooling; `searchapp docs "
    "models` shows examples"
)
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def list_available_models() -> list[ModelSpec]:
    """Return the specs of the models with short names; an installed starter model is first."""
    folder = starter.find_starter()
    starter_specs = [] if folder is None else [starter.set_starter_name(read_folder_spec(folder))]
    return [*starter_specs, *MODELS.values()]


def choose_default_model() -> str:
    """Return the name of the default model: a large model if the machine has a GPU."""
    return "qwen3-vl-embedding-2b" if has_gpu() else "clip-vit-b-32"


def resolve_model(name: str, options: ModelOptions = ModelOptions()) -> ModelSpec:
    """Return the spec of a model with the user's options applied.

    name: a known name, a model folder, or a TOML file.
    Raises ModelError if the model is unknown or incomplete, or does not support an option.
    """
    spec = apply_model_options(_find_spec(name), options)
    family = FAMILY_BY_ARCHITECTURE.get(spec.architecture)
    apply_picture_options = getattr(family, "apply_picture_options", None)
    if apply_picture_options is not None:
        return cast(ModelSpec, apply_picture_options(spec, options))
    for option, value in (("max-pixels", options.max_pixels), ("num-crops", options.num_crops)):
        if value is not None:
            raise ModelError(f"the model {spec.name} has no option --{option}; leave it out")
    return spec


def _find_spec(name: str) -> ModelSpec:
    short_name = name.replace("_", "-").lower()
    known_spec = MODELS.get(ALIASES.get(short_name, short_name))
    if known_spec is not None:
        return known_spec
    if name == starter.STARTER_NAME:
        folder = starter.find_starter()
        if folder is None:
            raise ModelError(starter.STARTER_MISSING_MESSAGE)
        return starter.set_starter_name(read_folder_spec(folder))
    path = enter_path(name, ModelError)
    if has_entered_folder(path, ModelError):
        return read_folder_spec(path)
    if path.suffix == ".toml":
        return custom.read_model_file(path, MODELS)
    for spec in MODELS.values():
        if name.lower() == spec.source.lower():
            return spec
    if any(short_name in (spec.name, spec.source.lower()) for spec in RERANKERS.values()):
        raise ModelError(f"{name} is a reranker; give it to `query --rerank`, with --reranker")
    names = ", ".join([starter.STARTER_NAME, *MODELS])
    if HUB_ID.fullmatch(name) and not name.startswith("."):
        raise ModelError(
            f"there is no model folder at {name}, and searchapp does not know the prompts of a "
            f"model on the hub with this name; {MODEL_FILE_HINT}. Or use {names}"
        )
    if os.sep in name or name.startswith((".", "~")):
        raise ModelError(f"there is no model folder at {name}; give another folder, or use {names}")
    raise ModelError(f"unknown model {name}; use {names}, or give the folder of a model on disk")


def read_folder_spec(path: Path) -> ModelSpec:
    """Return the spec of a model folder; raise ModelError if it is incomplete or unsupported."""
    folder = local_folder.read_model_folder(path)
    family = FAMILY_BY_ARCHITECTURE.get(folder.architecture)
    if family is None:
        raise ModelError(
            f"{path}: searchapp does not know the prompts of models with the architecture "
            f"{folder.architecture}; {MODEL_FILE_HINT}. Without a model file, a folder works if it "
            f"has one of these architectures: {', '.join(sorted(FAMILY_BY_ARCHITECTURE))}"
        )
    try:
        spec = family.from_folder(folder)
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"{path}: the model's configuration lacks {error}; copy the complete model folder"
        ) from error
    logger.info(
        "The model folder %s has the architecture %s and %d dimensions.",
        path,
        folder.architecture,
        spec.dimensions,
    )
    return spec
