"""Models by name, by folder, or by hub: one module a family, and how their files are had."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from searchapp.errors import ModelError, UnsupportedModality
from searchapp.models import clip, starter
from searchapp.models.folder import from_folder
from searchapp.models.spec import EngineInput, ModelSpec, Prompts
from searchapp.types import Modality

__all__ = ["MODELS", "EngineInput", "ModelSpec", "Prompts", "available", "prompt_for", "resolve"]

MODELS = {spec.name: spec for spec in clip.MODELS}


def available() -> list[ModelSpec]:
    """Return the models that can be named, the one that ships first where it is there."""
    try:
        return [starter.find(), *MODELS.values()]
    except ModelError:
        return list(MODELS.values())


def default_model() -> str:
    """Name the model for people who name none: a larger one where there is a GPU."""
    return "clip-vit-l-14" if has_gpu() else "clip-vit-b-32"


def has_gpu() -> bool:
    """Tell whether there is an NVIDIA GPU, without loading anything of it."""
    return Path("/proc/driver/nvidia/gpus").exists() or shutil.which("nvidia-smi") is not None


def resolve(name: str) -> ModelSpec:
    """Return the spec of a model's name, or of a folder that holds one."""
    if name == starter.NAME:
        return starter.find()
    if name in MODELS:
        return MODELS[name]
    if Path(name).expanduser().is_dir():
        return from_folder(Path(name))
    known = ", ".join([starter.NAME, *MODELS])
    if os.sep in name or name.startswith((".", "~")):
        raise ModelError(f"no model folder at {name}; name a folder, or one of {known}")
    raise ModelError(f"unknown model {name}; known are {known}, or name a model's folder on disk")


def prompt_for(spec: ModelSpec, modality: Modality, text: str | None) -> str:
    """Return the prompt of a query; raise UnsupportedModality where the model cannot do it."""
    prompt = spec.prompts.of(modality)
    if prompt is None:
        able = ", ".join(name for name, other in MODELS.items() if modality in other.modalities)
        raise UnsupportedModality(
            f"Unsupported query modality: '{modality}'; {Path(spec.name).name} takes "
            f"{' or '.join(spec.modalities)}"
            + (f". Models that can: {able}" if able else "; no known model can, yet")
        )
    return prompt.replace("{text}", (text or "").strip())
