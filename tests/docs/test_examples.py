"""The commands and the code in README and documentation work as they are written there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from support.documents import DOCUMENTS, README, TOPICS, read_blocks, read_lines, read_prose
from support.fake_reranker import FakeReranker
from support.library import FakeEngines, RunCommand
from support.metadata_files import make_exif, make_jpeg
from support.paths import ROOT
from support.sample_pictures import save_picture

from searchapp import cli, engines, models
from searchapp.catalog.filters.where_condition import PHOTOS_COLUMNS
from searchapp.engines import start_reranker

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Options of other programs that the documents name without the program.
FOREIGN_OPTIONS = {"--trust-request-chat-template", "--trust-request-mm-kwargs"}
WITH_COMMANDS = [file for file in DOCUMENTS if read_lines(file, "sh")]


@pytest.fixture
def home(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, fake_engines: FakeEngines
) -> Path:
    """A home folder with pictures, and a fake engine for the starter model."""
    for name, color in (("boat.jpg", "red"), ("2021/sheep.jpg", "white"), ("sea.png", "blue")):
        save_picture(tmp_path / "Pictures" / name, color)
    captions = [{"file": "boat.jpg", "captions": ["a red boat"]}]
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    (tmp_path / "questions.txt").write_text('red\n{"text": "blue", "count": 1}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models.starter, "find_starter", lambda: model)
    monkeypatch.setattr(engines, "start_engine", fake_engines)
    monkeypatch.setattr(start_reranker, "start_reranker", lambda name, **_: FakeReranker())
    picture = tmp_path / "Pictures/boat.jpg"
    monkeypatch.setattr("searchapp.files.fetch_url.download", lambda url: picture.read_bytes())
    return tmp_path


def test_the_documents_have_commands() -> None:
    """So the tests below run something."""
    lines = [line for file in WITH_COMMANDS for line in read_lines(file, "sh")]
    assert len(lines) > 30
    assert all(line.startswith("searchapp ") for line in lines)


@pytest.mark.parametrize("file", WITH_COMMANDS, ids=lambda file: file.stem)
def test_every_sh_line_runs(file: Path, run: RunCommand, home: Path) -> None:
    """In the order of the document, in a home folder that is indexed; each prints something."""
    run("index", home / "Pictures", "--model", "starter")
    for line in read_lines(file, "sh"):
        _, *arguments = shlex.split(line.split(" | ")[0])
        result = run(*(argument.replace("~", str(home)) for argument in arguments))
        assert result.exit_code == 0, f"{line}: {result.output}"
        assert result.output, line
    if "found.html" in file.read_text(encoding="utf-8"):
        assert (home / "found.html").exists()


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_every_console_line_is_valid(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands and options of searchapp exist, and so do extras of pip and targets of make."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures.npy").touch()  # `import` looks whether its file exists
    for line in read_lines(file, "console"):
        command = re.sub(r"^\w+\$ +|\s+>>? \S+$", "", line).partition(" | ")[0]
        program, *arguments = shlex.split(command, comments=True)
        if program == "searchapp":
            parse_command(arguments)
        elif program == "make":
            assert all(re.search(rf"^{it}:", MAKEFILE, re.MULTILINE) for it in arguments), line
        elif program in {"pip", "uv"}:
            check_extras(line)
        else:
            assert program in {"curl", "ray", "sqlite-utils", "vllm"}, line


def parse_command(arguments: list[str]) -> None:
    """Parse a command line of searchapp as click does, without running it."""
    name, *rest = arguments
    context = click.Context(cli.cli, info_name="searchapp")
    command = cli.cli.get_command(context, name)
    assert command is not None, name
    if isinstance(command, click.Group):
        name, *rest = rest
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(name, rest)


def check_extras(text: str) -> None:
    """Check that pip installs extras of this project, from a clone."""
    for extras in re.findall(r"pip install -e '\.\[([\w,]+)\]'", text):
        assert set(extras.split(",")) <= EXTRAS.keys(), text
    assert "searchapp[" not in text, "nothing is published under the name searchapp"


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.stem)
def test_every_option_in_the_text_exists(file: Path) -> None:
    """In inline code, after the command that has it or alone."""
    known = FOREIGN_OPTIONS | {"--help"} | list_options(cli.cli)
    for code in re.findall(r"`([^`\n]+)`", read_prose(file)):
        if code.split()[0] not in {"vllm", "uv", "pip", "python", "make", "apt-get"}:
            missing = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code)) - known
            assert not missing, code
    check_extras(file.read_text(encoding="utf-8"))


def list_options(group: click.Group) -> set[str]:
    """Return the options of all commands of a group."""
    context = click.Context(group)
    options: set[str] = set()
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            options |= list_options(command)
        for parameter in command.params:
            options |= {*parameter.opts, *parameter.secondary_opts}
    return options


def test_other_programs_can_read_the_view(run: RunCommand, home: Path) -> None:
    """The example with sqlite-utils runs as it is written; all columns are described."""
    (home / "Pictures/boat.jpg").write_bytes(make_jpeg(exif=make_exif(model="X", rating=5)))
    run("index", home / "Pictures", "--model", "starter")
    filters = TOPICS / "filters.md"
    (line,) = [line for line in read_lines(filters, "console") if "sqlite-utils" in line]
    _, _, sql = shlex.split(line)
    program = Path(sys.executable).with_name("sqlite-utils")
    done = subprocess.run(
        [program, home / "library/catalog.db", sql], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [{"camera": "X", "count(*)": 1}]
    described = re.findall(r"^\| (`.*?) \|", filters.read_text(), re.MULTILINE)
    assert set(re.findall(r"`([a-z0-9_]+)`", " ".join(described))) >= set(PHOTOS_COLUMNS)


def test_the_python_example_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints events, and the best hit first."""
    (code,) = read_blocks(README, "python")
    exec(code, {})
    lines = capsys.readouterr().out.splitlines()
    hits = [line for line in lines if line.endswith((".jpg", ".png"))]
    assert hits[0].endswith("Pictures/boat.jpg")
    assert len(hits) == 6


def test_the_model_file_works(tmp_path: Path) -> None:
    """The TOML example is read as it is written."""
    example, like = read_blocks(TOPICS / "models.md", "toml")
    file = tmp_path / "my-model.toml"
    file.write_text(example)
    spec = models.resolve_model(str(file))
    assert (spec.dimensions, spec.modalities) == (512, ("text", "image"))
    (tmp_path / "vlm2vec-merged").mkdir()
    file.write_text(like)
    assert models.resolve_model(str(file)).prompts == models.MODELS["vlm2vec-v2"].prompts


def test_the_measured_models_exist() -> None:
    """The dimensions in the table of measurements are those of the models."""
    text = (TOPICS / "measurements.md").read_text(encoding="utf-8")
    measured = text.split("<!-- models: ")[1].split("<!-- end of models -->")[0]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\d+) \|", measured, re.MULTILINE)
    assert len(rows) >= 7
    for name, dimensions in rows:
        assert models.MODELS[name].dimensions == int(dimensions)


def test_every_command_has_an_example() -> None:
    """In README, or in a topic that is written by hand: most of all the one its help names."""
    for name, topic in cli.TOPICS.items():
        lines = [
            line for kind in ("sh", "console") for line in read_lines(TOPICS / f"{topic}.md", kind)
        ]
        assert any(re.search(rf"\bsearchapp {name}\b", line) for line in lines), (name, topic)
    assert cli.TOPICS.keys() == cli.COMMANDS.keys()
