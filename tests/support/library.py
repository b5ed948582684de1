"""Open libraries, index folders and run commands with a fake engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from click.testing import Result

from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.types import (
    IndexOptions,
    Query,
    RunFinished,
    RunSummary,
    SearchOptions,
)
from support.fake_engine import FakeEngine


def write_fake_clip(folder: Path, weights: bytes = b"weights") -> Path:
    """Write the files of a CLIP folder, with invalid weights; return it."""
    folder.mkdir(parents=True)
    config = {
        "architectures": ["CLIPModel"],
        "projection_dim": FakeEngine.DIMENSIONS,
        "text_config": {"max_position_embeddings": 32},
    }
    (folder / "config.json").write_text(json.dumps(config))
    processor = {"crop_size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


class FakeEngines:
    """Starts fake engines, and keeps them for assertions."""

    def __init__(self) -> None:
        self.started_engines: list[FakeEngine] = []

    def __call__(self, spec: ModelSpec, **_: object) -> FakeEngine:
        engine = FakeEngine(spec)
        self.started_engines.append(engine)
        return engine

    @property
    def embedded_count(self) -> int:
        """Return the number of pictures that all engines have embedded."""
        return sum(engine.embedded_count for engine in self.started_engines)


RunCommand = Callable[..., Result]


def library_environment(folder: Path) -> dict[str, str]:
    """Return variables with which a command uses a test library, without a resident process."""
    return {"SEARCHAPP_LIBRARY": str(folder / "library"), "SEARCHAPP_NO_DAEMON": "1"}


def index_folder(library: Library, folder: Path, model: Path, **options: object) -> RunSummary:
    """Index a folder; return the summary without times."""
    settings = replace(IndexOptions(model=str(model)), **options)
    *_, last = library.index([folder], settings)
    assert isinstance(last, RunFinished)
    return replace(last.summary, seconds=0, images_per_second=0, stages={})


def search_file_names(library: Library, text: str) -> list[str]:
    """Return the names of files that a text finds with a score of nearly 1, best first."""
    hits = library.search(Query(text), SearchOptions(min_score=0.99))
    return [Path(path).name for hit in hits for path in (hit.path, *hit.also)]
