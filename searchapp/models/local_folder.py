"""What a Hugging Face folder on disk holds, as far as it can be told without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp.errors import ModelError

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
SAMPLE_BYTES = 1 << 20  # bytes read at the start, the middle and the end of a file of weights


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model's folder."""

    path: str  # absolute
    fingerprint: str  # a hash of its configuration, code and weights
    config: dict[str, Any]
    processor: dict[str, Any]  # the image processor's configuration
    code_files: tuple[str, ...]  # Python files
    weights_mb: int

    @property
    def architecture(self) -> str:
        """Return the name of the architecture."""
        return next(iter(self.config.get("architectures") or []), "none")


def read_model_folder(path: Path) -> ModelFolder:
    """Read a folder; raise ModelError where something is missing."""
    path = path.expanduser().resolve()
    config = _read_json(path, path / "config.json")
    processor = _read_json(path, _find_first_file(path, PROCESSOR_FILES, "image processor"))
    _find_first_file(path, TOKENIZER_FILES, "tokenizer")
    weights = sorted([*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")])
    if not weights:
        raise ModelError(f"{path}: no weights there (*.safetensors); copy the whole model folder")
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
    """Return a short hash of the files: small ones whole, weights sampled."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name} {file.stat().st_size}\n".encode())
        for part in _read_samples(file):
            total.update(part)
    return total.hexdigest()[:16]


def _read_samples(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if file.suffix in (".json", ".py"):
            yield stream.read()
            return
        for start in (0, size // 2, max(0, size - SAMPLE_BYTES)):
            stream.seek(start)
            yield stream.read(SAMPLE_BYTES)


def _find_first_file(folder: Path, names: tuple[str, ...], what: str) -> Path:
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
