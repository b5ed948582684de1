"""Fixtures: SQLite, FAISS, Pillow and files are real, in tmp_path; only the engine is a fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.library import Engines, Run, in_library, write_model
from support.pictures import draw

from searchapp import engines
from searchapp.cli import COMMANDS, cli
from searchapp.errors import SearchAppError
from searchapp.files import library_folder
from searchapp.library import Library


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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a red, a green and a blue picture, and one in a folder below."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for name, colour in (("red.jpg", "red"), ("green.png", "green"), ("below/blue.jpg", "blue")):
        draw(folder / name, colour)
    return folder


@pytest.fixture
def fake_engines() -> Engines:
    """What starts fake engines, and remembers them."""
    return Engines()


@pytest.fixture
def opened(tmp_path: Path, fake_engines: Engines) -> Iterator[Library]:
    """A new library with a fake engine."""
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as it:
        yield it


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
