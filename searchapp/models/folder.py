"""Recognise a Hugging Face folder on disk by what is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from searchapp.errors import ModelError
from searchapp.models import clip, siglip
from searchapp.models.spec import ModelSpec

FAMILIES: dict[str, Callable[..., ModelSpec]] = {
    family.ARCHITECTURE: family.from_folder for family in (clip, siglip)
}
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
SAMPLE = 1 << 20  # bytes read at the start, the middle and the end of a file of weights


def from_folder(folder: Path) -> ModelSpec:
    """Describe the model in a folder; raise ModelError where something is missing or unknown."""
    folder = folder.expanduser().resolve()
    config = _read_json(folder, folder / "config.json")
    processor = _read_json(folder, _first(folder, PROCESSORS, "image processor"))
    _first(folder, TOKENIZERS, "tokenizer")
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
    if not weights:
        raise ModelError(f"{folder}: no weights there (*.safetensors); copy the whole model folder")
    architecture = next(iter(config.get("architectures") or ["none"]), "none")
    family = FAMILIES.get(architecture)
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        raise ModelError(f"{folder}: its architecture is {architecture}; known are {known}")
    megabytes = sum(file.stat().st_size for file in weights) // 1_000_000
    processor = processor.get("image_processor", processor)
    try:
        return family(str(folder), fingerprint(folder, weights), megabytes, config, processor)
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder}: its configuration lacks {error}") from error


def fingerprint(folder: Path, weights: list[Path]) -> str:
    """Return a short hash of the configuration, whole, and of the weights, sampled."""
    total = hashlib.sha256()
    for file in [*sorted(folder.glob("*.json")), *weights]:
        total.update(f"{file.name} {file.stat().st_size}\n".encode())
        for part in _samples(file):
            total.update(part)
    return total.hexdigest()[:16]


def _samples(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if file.suffix == ".json":
            yield stream.read()
            return
        for start in (0, size // 2, max(0, size - SAMPLE)):
            stream.seek(start)
            yield stream.read(SAMPLE)


def _first(folder: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"{folder}: no {what} there ({' or '.join(names)}); copy the whole folder")


def _read_json(folder: Path, file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ModelError(f"{folder}: no {file.name} there, so it is no model folder")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file}: is not what a model's configuration looks like")
    return content
