"""Hostile paths and names in arguments and files: one line, without control characters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.library import RunCommand, library_environment
from support.sample_pictures import save_picture

from searchapp.cli import COMMANDS, _run_command, log_output
from searchapp.errors import EngineError, LibraryError

PATHS = {
    "unknown user": "~nosuchuser/x.toml",
    "long path": "/tmp/" + "x" * 5000,
    "long name": "x" * 300,
    "control characters": "nowhere/a\x1b[2J\u202eb\nc\x9b",
    "not UTF-8": os.fsdecode(b"/nowhere/\xff"),
}
# Each command line ends where the path follows.
COMMAND_LINES = [
    *(f"{name} --library" for name in ("info", "failures", "check", "prune", "map", "duplicates")),
    "ocr --library", "ocr --in",
    "query x --library", "backup b.db --library", "move faiss --library", "export e.npy --library",
    "index --model clip-vit-b-32", "watch --model clip-vit-b-32", "index . --model",
    "index . --model clip-vit-b-32 --vectors", "query --image", "query x --minus-image",
    "query --like", "query x --unlike", "browse --library", "browse --in", "browse x --collection",
    "query x --in", "query x --model", "query x --collection", "query x --engine", "map --in",
    "duplicates --in", "embed x --model", "embed --model clip-vit-b-32 --image", "move", "import",
    "failures --collection", "eval --images . --captions", "eval --captions . --images",
    "restore", "restore b.db --library", "mcp --library",
    "desktop install --library", "desktop similar --library", "desktop similar",
    "info --log-file nowhere/x --library", "saved --library", "saved show", "saved add x --image",
    "saved sync x --link-to", "query --saved", "duplicates --import-review", "duplicates --keep",
    "tag --words", "tag --undo --library", "tag --undo --in",
]  # fmt: skip
HOSTILE_NAME = "a\x1b[2J\u202eb\nc\x9b\x07.jpg"


@pytest.fixture
def empty_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: RunCommand) -> None:
    """Use an empty library, in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    for name, value in library_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    run("index", tmp_path, "--model", "clip-vit-b-32")


def is_plain(text: str) -> bool:
    """Return whether a text has only printable characters and line ends."""
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.usefixtures("empty_library")
@pytest.mark.parametrize("kind", PATHS)
def test_bad_path_is_one_line(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command answers a bad path with one line; click adds the usage lines.

    `duplicates` warns about an unknown folder, and shows the empty result.
    """
    capsys.readouterr()
    for line in COMMAND_LINES:
        monkeypatch.setattr(sys, "argv", ["searchapp", *line.split(), PATHS[kind]])
        code = _run_command()
        output = capsys.readouterr()
        messages = [text for text in output.err.splitlines() if not text.endswith("...")]
        assert code in (0, 1, 2), line
        assert is_plain(output.err + output.out), (line, output)
        is_warning = "the library knows no file below it" in messages[0]
        is_long = messages[0].startswith("Usage: ") or is_warning
        assert len(messages) == 1 or is_long, (line, output.err)


def test_every_command_is_attacked() -> None:
    """Each command that takes a path is in the list above."""
    attacked = {line.split()[0] for line in COMMAND_LINES}
    without_path = {"bench", "completion", "docs", "models", "serve", "stop"}
    assert attacked | without_path == set(COMMANDS)


@pytest.fixture
def hostile_library(tmp_path: Path, run: RunCommand, model: Path) -> Iterator[Path]:
    """A library whose pictures, broken pictures and collection have control characters."""
    folder = tmp_path / "a\x1b[31mb"
    folder.mkdir()
    save_picture(folder / HOSTILE_NAME, "red")
    save_picture(folder / f"2{HOSTILE_NAME}", "red")
    (folder / f"broken{HOSTILE_NAME}").write_bytes(b"\xff\xd8\xff broken")
    result = run("index", folder, "--model", model, "--collection", "c\x1b[2J\u202e", "-v")
    assert result.exit_code == 0
    assert is_plain(result.stderr), result.stderr
    yield folder


def test_names_are_escaped_in_every_table(run: RunCommand, hostile_library: Path) -> None:
    """Tables, notes and log records show names with escapes; --paths prints the bytes."""
    for command in (
        ("info",), ("failures",), ("check", "--all-files"), ("query", "red"),
        ("query", "red", "-v"), ("duplicates",), ("prune",),
        ("map", "--html", hostile_library / "m.html"),
        ("query", "red", "--html", hostile_library / "q.html"),
        ("query", "red", "--copy-to", hostile_library / "copy"),
        ("export", hostile_library / "e.npy"), ("backup", hostile_library / "b.db"),
        ("duplicates", "--script", hostile_library / "s.sh"),
        ("index", hostile_library, "--retry-failed", "-v"), ("move", "faiss"),
    ):  # fmt: skip
        result = run(*command)
        assert is_plain(result.stdout + result.stderr), (command, result.stdout, result.stderr)
    assert "a\\x1b[2J\\u202eb\\nc\\x9b\\x07.jpg" in run("query", "red").stdout
    assert f"/{HOSTILE_NAME}\n" in run("query", "red", "--paths").stdout


def test_log_of_a_traceback_is_escaped(
    run: RunCommand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback repeats the message of its error, on lines of its own."""
    log = tmp_path / "log.txt"
    run("info", "--library", "nowhere/a\x1b[2Jb", "--log-file", log)
    assert "Traceback" in log.read_text()
    assert is_plain(log.read_text())


def test_further_lines_of_an_error_are_indented(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of vLLM quotes its log; any other line end is a part of a name."""
    log_output.print_failure(EngineError("vLLM did not start:\n  a\x1b[2Jb"))
    log_output.print_failure(LibraryError("no library at a\nsearchapp: b"))
    assert capsys.readouterr().err.splitlines() == [
        "searchapp: vLLM did not start:",
        "  a\\x1b[2Jb",
        "searchapp: no library at a\\nsearchapp: b",
    ]
