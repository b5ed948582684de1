"""Fixtures: SQLite, FAISS, Pillow and files are real, in tmp_path; only the engine is a fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes import FakeEngine
from pictures import draw

from searchapp import engines
from searchapp.cli import COMMANDS, cli
from searchapp.errors import SearchAppError
from searchapp.files import library_folder
from searchapp.library import Library
from searchapp.models import ModelSpec


@pytest.fixture(autouse=True)
def no_library_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the library of whoever runs it."""

    def refuse() -> Path:
        raise AssertionError("the test did not choose a library")

    monkeypatch.setattr(library_folder, "default_folder", refuse)
    for name in ("SEARCHAPP_LIBRARY", "SEARCHAPP_MODEL", "SEARCHAPP_COLLECTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A CLIP folder that is complete as far as can be seen without loading it."""
    return write_model(tmp_path / "models" / "fake-clip")


def write_model(folder: Path, weights: bytes = b"weights") -> Path:
    """Write what a CLIP folder holds; the weights are no weights."""
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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a red, a green and a blue picture, and one in a folder below."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name, colour in (("red.jpg", "red"), ("green.png", "green"), ("below/blue.jpg", "blue")):
        draw(folder / name, colour)
    return folder


class Engines:
    """The fake engines a test has started."""

    def __init__(self) -> None:
        self.started: list[FakeEngine] = []

    def __call__(self, spec: ModelSpec, **_: object) -> FakeEngine:
        engine = FakeEngine(spec)
        self.started.append(engine)
        return engine

    @property
    def embedded(self) -> int:
        """How many pictures all of them have embedded."""
        return sum(engine.embedded for engine in self.started)


@pytest.fixture
def fake_engines() -> Engines:
    """What starts fake engines, and remembers them."""
    return Engines()


@pytest.fixture
def opened(tmp_path: Path, fake_engines: Engines) -> Iterator[Library]:
    """A new library with a fake engine."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as it:
        yield it


Run = Callable[..., Result]


def in_library(folder: Path) -> dict[str, str]:
    """Return the variables that make a command use a test's library and leave no process."""
    return {"SEARCHAPP_LIBRARY": str(folder / "library"), "SEARCHAPP_NO_DAEMON": "1"}


@pytest.fixture
def run(tmp_path: Path, fake_engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as main() does, with a library of its own and a fake engine."""
    monkeypatch.setattr(engines, "start_engine", fake_engines)
    runner = CliRunner()

    def run(*arguments: object) -> Result:
        strings = [str(argument) for argument in arguments]
        environment = in_library(tmp_path)
        assert strings[0] in COMMANDS or strings[0].startswith("-")
        result = runner.invoke(cli, strings, env=environment)
        if isinstance(result.exception, SearchAppError):
            result.exit_code = result.exception.exit_code
        elif result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
