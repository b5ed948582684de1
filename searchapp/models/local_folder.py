"""Read a Hugging Face model folder: configuration, fingerprint, size; weights are not loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp.errors import ModelError
from searchapp.files.local import read_bounded_file

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
# Read from the start, the middle and the end of a weights file for the fingerprint.
SAMPLE_BYTES = 1 << 20
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.*"  # LoRA, as PEFT saves it
MERGE_HINT = (
    "vLLM cannot add them to the picture encoder of a model. Merge them into the base model once, "
    "and give the merged folder with a model file: `searchapp docs models` shows how"
)
MAX_CONFIG_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The parts of a model folder that searchapp needs."""

    path: str  # absolute
    fingerprint: str  # a hash of its configuration, code and weights
    config: dict[str, Any]
    processor: dict[str, Any]  # the image processor's configuration
    code_files: tuple[str, ...]  # Python files that the configuration would run
    weights_mb: int

    @property
    def architecture(self) -> str:
        """Return the name of the architecture; "none" if the configuration lacks it."""
        return next(iter(self.config.get("architectures") or []), "none")


def read_model_folder(path: Path) -> ModelFolder:
    """Read a model folder; raise ModelError if a file is missing, broken or unreadable."""
    try:
        return _read_files(path.resolve())
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read: {error.strerror}; check the permissions of the model folder"
        ) from error


def check_weights_are_merged(path: Path) -> None:
    """Raise ModelError if a model folder has LoRA weights, and not the weights of a whole model."""
    if not (path / ADAPTER_CONFIG).exists():
        return
    adapters = set(path.glob(ADAPTER_WEIGHTS))
    if not set(_list_weights(path)) - adapters:
        raise ModelError(f"{path}: the folder has only LoRA weights; {MERGE_HINT}")


def _list_weights(path: Path) -> list[Path]:
    return sorted([*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")])


def _read_files(path: Path) -> ModelFolder:
    check_weights_are_merged(path)
    config = _read_json(path, path / "config.json")
    processor = _read_json(path, _find_first_file(path, PROCESSOR_FILES, "image processor"))
    _find_first_file(path, TOKENIZER_FILES, "tokenizer")
    weights = _list_weights(path)
    if not weights:
        raise ModelError(
            f"{path}: the folder has no weights (*.safetensors); copy the complete model folder"
        )
    code = sorted(path.glob("*.py")) if "auto_map" in {**processor, **config} else []
    return ModelFolder(
        path=str(path),
        fingerprint=_compute_fingerprint([*sorted(path.glob("*.json")), *code, *weights]),
        config=config,
        processor=processor.get("image_processor", processor),
        code_files=tuple(file.name for file in code),
        weights_mb=sum(file.stat().st_size for file in weights) // 1_000_000,
    )


def _compute_fingerprint(files: list[Path]) -> str:
    """Return a short hash of model files: of all bytes of small files, and samples of weights."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size}\n".encode())
        for part in _read_samples(file):
            digest.update(part)
    return digest.hexdigest()[:16]


def _read_samples(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if file.suffix in (".json", ".py"):
            yield stream.read()
            return
        for start in (0, size // 2, max(0, size - SAMPLE_BYTES)):
            stream.seek(start)
            yield stream.read(SAMPLE_BYTES)


def _find_first_file(folder: Path, names: tuple[str, ...], part: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(
        f"{folder}: the folder has no {part} ({' or '.join(names)}); copy the complete model folder"
    )


def _read_json(folder: Path, file: Path) -> dict[str, Any]:
    if not file.exists():
        raise ModelError(
            f"{folder}: not a model folder, because it has no {file.name}; give another folder"
        )
    try:
        content = json.loads(read_bounded_file(file, MAX_CONFIG_BYTES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{file}: cannot be read: {reason}; copy the complete model folder"
        ) from error
    if not isinstance(content, dict):
        raise ModelError(
            f"{file}: not a model configuration (no JSON object); copy the complete model folder"
        )
    return content
