"""`searchapp query --queries FILE`: many questions in one run."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.library import FakeEngines, RunCommand, library_environment

from searchapp.cli import cli
from searchapp.server import question_lines
from searchapp.server.question_lines import read_question_lines
from searchapp.types import SearchOptions


@pytest.fixture(autouse=True)
def indexed(run: RunCommand, photos: Path, model: Path) -> None:
    """Index three pictures."""
    assert run("index", photos, "--model", model).exit_code == 0


def write_lines(file: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("".join(f"{text}\n" for text in texts))
    return file


def parse_objects(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def list_names(values: dict[str, Any]) -> list[str]:
    return [Path(hit["path"]).name for hit in values["hits"]]


def test_people_read_headings_and_hits(run: RunCommand, tmp_path: Path, photos: Path) -> None:
    """Empty lines are skipped, and spaces at the ends do not count."""
    file = write_lines(tmp_path / "questions", "red", "", "  blue ", {"image": "gone.png"})
    result = run("query", "--queries", file, "-k", 1)
    shown = [line.replace(f"{photos}/", "") for line in result.stdout.splitlines()]
    assert [line.split("  ")[-2:] for line in shown] == [
        ["==> red <=="], ["red.jpg", "[name]"], [""],
        ["==> blue <=="], ["below/blue.jpg", "[name]"],
    ]  # fmt: skip
    assert "line 4: " in result.stderr and "gone.png" in result.stderr
    assert result.exit_code == 1
    assert str(result.exception).startswith("1 of 3 questions failed")


def test_json_has_an_object_for_each_question_in_order(
    run: RunCommand, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hits are those of `query --json`; options of a line replace those of the command."""
    monkeypatch.chdir(photos)
    questions: list[Any] = [
        "red",
        {"text": "red", "count": 2, "folder": ["below"]},
        {"image": "green.png"},
        {"terms": [{"text": "red"}, {"image": "below/blue.jpg", "weight": 2}]},
        {"like_files": ["red.jpg"], "count": 3, "include_examples": True},
        {"text": "green", "by": "text", "min_score": "auto"},
        {"format": ["jpeg"]},
    ]
    file = write_lines(tmp_path / "questions", *questions)
    result = run("query", "--queries", file, "--json", "-k", 1)
    assert result.exit_code == 0
    answers = parse_objects(result.stdout)
    assert [(each["line"], each["question"]) for each in answers] == [*enumerate(questions, 1)]
    assert {tuple(each) for each in answers} == {
        ("line", "question", "good_match", "hits", "warnings", "error")
    }
    commands: list[list[str]] = [
        ["red"],
        ["red", "-k", "2", "--in", "below"],
        ["--image", "green.png"],
        ["--text", "red", "--image", "below/blue.jpg:2"],
        ["--like", "red.jpg", "-k", "3", "--include-examples"],
        ["green", "--by", "text", "--min-score", "auto"],
        ["--format", "jpeg"],
    ]
    for answer, command in zip(answers, commands, strict=True):
        alone = json.loads(run("query", "--json-object", "-k", 1, *command).stdout)
        assert {name: answer[name] for name in alone} == alone
        assert answer["hits"]


def test_an_error_of_a_line_names_it_and_the_others_go_on(run: RunCommand, tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "questions",
        "red",
        {"text": "red", "colour": "blue"},
        {"text": "red", "after": "yesterday"},
        '{"text": "red"',
        {"text": "red", "where": "no such column"},
        {"image": "gone.png"},
        {},
        {"saved": "reds"},
        {"text": "red", "trust_remote_code": True},
        "blue",
    )  # fmt: skip
    with file.open("ab") as opened:
        opened.write(b"caf\xe9\nred\n")
    result = run("query", "--queries", file, "--json")
    assert result.exit_code == 1
    answers = parse_objects(result.stdout)
    assert [bool(each["hits"]) for each in answers] == [True] + [False] * 8 + [True, False, True]
    errors = {each["line"]: each["error"] for each in answers if each["error"]}
    expected = {
        2: "colour: there is no such key", 3: "after: ", 4: "no JSON object",
        5: "--where: ", 6: "gone.png", 7: "nothing to look for",
        8: "saved: a question cannot have this key",
        9: "trust_remote_code: a question cannot have this key", 11: "not UTF-8",
    }  # fmt: skip
    assert errors.keys() == expected.keys()
    for number, part in expected.items():
        assert part in errors[number]
        assert f"line {number}: {errors[number]}" in result.stderr
    assert str(result.exception).startswith("9 of 12 questions failed")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["red"], "TEXT"), (["--image", "x"], "--image"), (["--html", "x"], "--html"),
        (["red", "--paths", "-0"], "TEXT, --paths, -0"), (["--saved", "x"], "--saved"),
        (["--like", "x", "--preview"], "--like, --preview"), (["--open"], "--open"),
        (["--json-object"], "--json-object"), (["--region", "1,1,1,1"], "--region"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(
    run: RunCommand, tmp_path: Path, arguments: list[str], names: str
) -> None:
    file = write_lines(tmp_path / "questions", "red")
    result = run("query", "--queries", file, *arguments)
    assert result.exit_code == 2 and not result.stdout
    assert str(result.exception).endswith(f"leave out {names}")


def test_standard_input_and_a_byte_order_mark(
    tmp_path: Path, fake_engines: FakeEngines, run: RunCommand
) -> None:
    result = CliRunner().invoke(
        cli,
        ["query", "--queries", "-", "--json", "-k", "1"],
        input=b"\xef\xbb\xbfred\r\n\r\nblue",
        env=library_environment(tmp_path),
    )
    assert result.exit_code == 0
    assert [(each["line"], each["question"]) for each in parse_objects(result.stdout)] == [
        (1, "red"), (3, "blue"),
    ]  # fmt: skip


def test_a_missing_or_empty_file_is_explained(run: RunCommand, tmp_path: Path) -> None:
    result = run("query", "--queries", tmp_path / "gone")
    assert result.exit_code == 2 and "No such file" in result.stderr
    result = run("query", "--queries", write_lines(tmp_path / "questions", "", " "))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "the file has no questions" in result.stderr


def test_a_path_that_is_not_utf8_is_found(run: RunCommand, tmp_path: Path, photos: Path) -> None:
    """JSON has its bytes as lone surrogates, as the output of `query --json`."""
    name = os.fsdecode(b"gr\xfcn.png")
    try:
        (photos / "green.png").rename(photos / name)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    file = write_lines(tmp_path / "questions", {"image": str(photos / name), "count": 1})
    result = run("query", "--queries", file, "--json")
    assert result.exit_code == 0 and len(parse_objects(result.stdout)[0]["hits"]) == 1


def test_long_lines_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without line ends, such as a picture, does not fill the memory."""
    monkeypatch.setattr(question_lines, "MAX_LINE_BYTES", 10)
    stream = io.BytesIO(b"x" * 10 + b"\n" + b"y" * 95 + b"\nred\n" + b"z" * 11)
    lines = list(read_question_lines(stream, SearchOptions()))
    assert [(line.number, isinstance(line.question, Exception)) for line in lines] == [
        (1, False), (2, True), (3, False), (4, True),
    ]  # fmt: skip
    assert "more than 10 bytes" in str(lines[1].question)
