"""What the README tells a newcomer to type works as it stands there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.library import Engines, Run
from support.paths import ROOT
from support.pictures import draw
from support.written import exif, jpeg

from searchapp import engines, models
from searchapp.catalog.filters.where_condition import COLUMNS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def home(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, fake_engines: Engines
) -> Path:
    """A home folder with pictures, and a fake engine for the model that ships."""
    for name, colour in (("boat.jpg", "red"), ("2021/sheep.jpg", "white"), ("sea.png", "blue")):
        draw(tmp_path / "Pictures" / name, colour)
    captions = [{"file": "boat.jpg", "captions": ["a red boat"]}]
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models.starter, "find", lambda: model)
    monkeypatch.setattr(engines, "start_engine", fake_engines)
    picture = tmp_path / "Pictures/boat.jpg"
    monkeypatch.setattr("searchapp.files.fetch_url._download", lambda url: picture.read_bytes())
    return tmp_path


def test_there_are_commands_to_try() -> None:
    """The test below tests something."""
    assert len(COMMANDS) > 10
    assert all(command.startswith("searchapp ") for command in COMMANDS)


def test_every_command_works(run: Run, home: Path) -> None:
    """In the order of the README, each ends with 0 and says something."""
    for command in COMMANDS:
        _, *arguments = shlex.split(command.split(" | ")[0])
        result = run(*(argument.replace("~", str(home)) for argument in arguments))
        assert result.exit_code == 0, f"{command}: {result.output}"
        assert result.output
    assert (home / "found.html").exists()


def test_other_programs_can_ask_the_view(run: Run, home: Path) -> None:
    """The example with sqlite-utils runs as it stands there, and its columns are the view's."""
    (home / "Pictures/boat.jpg").write_bytes(jpeg(exif=exif(model="X", rating=5)))
    run("index", home / "Pictures", "--model", "starter")
    (line,) = [
        line for block in blocks("console") for line in block.splitlines() if "sqlite-utils" in line
    ]
    _, _, sql = shlex.split(line)
    program = Path(sys.executable).with_name("sqlite-utils")
    done = subprocess.run(
        [program, home / "library/catalog.db", sql], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [{"camera": "X", "count(*)": 1}]
    told = README.split("any SQL condition over the view")[1].split("What a file does not say")[0]
    assert set(re.findall(r"`([a-z0-9_]+)`", told)) >= set(COLUMNS)


def test_the_python_example_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints events, and the picture asked for before the others."""
    (code,) = blocks("python")
    exec(code, {})
    lines = capsys.readouterr().out.splitlines()
    hits = [line for line in lines if line.endswith((".jpg", ".png"))]
    assert hits[0].endswith("Pictures/boat.jpg")
    assert len(hits) == 6


def test_make_targets_are_told() -> None:
    """The two commands that come first are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "setup", "check"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_models_are_those_there_are() -> None:
    """The README's table and the program's list agree."""
    listed, measured = README.split("<!-- models: ")
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", listed, re.MULTILINE)
    assert sorted(named) == sorted(["starter", *models.MODELS])
    for name, dimensions in re.findall(r"^\| `([a-z0-9-]+)` \| (\d+) \|", measured, re.MULTILINE):
        assert models.MODELS[name].dimensions == int(dimensions)
    for spec in models.MODELS.values():
        (row,) = re.findall(rf"^\| `{spec.name}` .*$", listed, re.MULTILINE)
        assert str(spec.dimensions) in row
        assert ", ".join(spec.modalities) in row
        assert spec.licence in row


def test_the_model_file_works(tmp_path: Path) -> None:
    """The TOML example is read as it stands."""
    (example,) = blocks("toml")
    file = tmp_path / "my-model.toml"
    file.write_text(example)
    spec = models.resolve(str(file))
    assert (spec.dimensions, spec.modalities) == (512, ("text", "image"))
