"""The options -v, -vv and --log-file: what stderr and the file get, in all processes."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.fake_engine import FakeEngine
from support.library import RunCommand, library_environment
from support.processes import run_python, slow_command

from searchapp import engines
from searchapp.cli import COMMANDS, cli, log_output
from searchapp.models import ModelSpec

FILE_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<level>[A-Z]+) (?P<pid>\d+) (?P<name>[\w.]+): .+"
)


@pytest.fixture
def logging_engine(run: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that logs a decision and a detail, with a line break in a name."""
    logger = logging.getLogger("searchapp.engines")

    def start(spec: ModelSpec, **_: object) -> FakeEngine:
        logger.info("chose the engine for %s", "two\nlines")
        logger.debug("a detail of the engine")
        return FakeEngine(spec)

    monkeypatch.setattr(engines, "start_engine", start)


@pytest.mark.usefixtures("logging_engine")
@pytest.mark.parametrize(
    ("options", "shows_decisions", "shows_details"),
    [
        ((), False, False),
        (("-v",), True, False),
        (("-vv",), True, True),
        (("-v", "-v"), True, True),
    ],
)
def test_verbosity_on_stderr(
    run: RunCommand,
    photos: Path,
    model: Path,
    options: tuple[str, ...],
    shows_decisions: bool,
    shows_details: bool,
) -> None:
    """Silent by default; -v shows INFO, -vv DEBUG; stdout stays JSON."""
    result = run("index", photos, "--model", model, "--json", *options)
    assert result.exit_code == 0
    line = "INFO searchapp.engines: chose the engine for two\\nlines\n"
    assert (line in result.stderr) == shows_decisions
    assert ("DEBUG searchapp.engines: a detail" in result.stderr) == shows_details
    assert ("DEBUG searchapp.cli.log_output: " in result.stderr) == shows_details
    if not options:
        assert "INFO" not in result.stderr and "DEBUG" not in result.stderr
    assert json.loads(result.stdout)["added"] == 3


@pytest.mark.usefixtures("logging_engine")
def test_a_log_file_gets_everything(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Times, levels, process ids; stderr shows no record; a second command appends."""
    file = tmp_path / "searchapp.log"
    result = run("index", photos, "--model", model, "--log-file", file)
    assert "chose the engine" not in result.stderr
    lines = file.read_text().splitlines()
    matches = [FILE_LINE.fullmatch(line) for line in lines]
    assert all(matches), lines
    assert {match["level"] for match in matches if match} >= {"INFO", "DEBUG"}
    assert {match["pid"] for match in matches if match} == {str(os.getpid())}
    run("info", "--log-file", file)
    assert len(file.read_text().splitlines()) > len(lines)


def test_log_options_before_the_command(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in other tools: levels add up, an option has priority over its variable."""
    run("index", photos, "--model", model)
    file, other = tmp_path / "searchapp.log", tmp_path / "other.log"
    details = "DEBUG searchapp.cli.log_output: "
    assert run("-v", "info").exit_code == 0
    assert details not in run("-v", "info").stderr
    assert details in run("-vv", "info").stderr
    assert details in run("-v", "info", "-v").stderr
    monkeypatch.setenv("SEARCHAPP_VERBOSE", "2")
    monkeypatch.setenv("SEARCHAPP_LOG_FILE", str(other))
    assert details in run("--log-file", file, "info").stderr
    assert details not in run("-v", "--log-file", file, "info").stderr
    assert file.read_text() and not other.exists()
    size = file.stat().st_size
    run("--log-file", file, "info", "--log-file", other)
    assert other.read_text() and file.stat().st_size == size


def test_a_command_leaves_logging_as_it_was(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Level, handlers and environment, after success and after an error."""
    logger = logging.getLogger("searchapp")
    before = logger.level, list(logger.handlers), dict(os.environ)
    run("index", photos, "--model", model, "-vv", "--log-file", tmp_path / "log")
    assert run("index", tmp_path / "none", "-vv").exit_code == 1
    assert (logger.level, list(logger.handlers), dict(os.environ)) == before


def test_an_error_leaves_its_traceback_in_the_log(run: RunCommand, tmp_path: Path) -> None:
    """People see one line; the file tells a developer where it came from."""
    file = tmp_path / "searchapp.log"
    assert run("info", "--log-file", file).exit_code == 1
    assert "Traceback" in file.read_text() and "LibraryError: no library at" in file.read_text()


def test_a_file_that_cannot_be_written(run: RunCommand, tmp_path: Path) -> None:
    """The message names the file, the reason and the option."""
    result = run("info", "--log-file", tmp_path / "none" / "searchapp.log")
    assert result.exit_code == 1
    assert re.fullmatch(
        r"cannot write the log file .*/none/searchapp\.log \(No such file or directory\); "
        r"choose another --log-file",
        str(result.exception),
    )


def test_secrets_of_the_command_line_are_not_logged(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Neither keys nor, of a query, the text."""
    file = tmp_path / "searchapp.log"
    run("index", photos, "--model", model)
    run("query", "red", "--api-key", "S3CRET", "--log-file", file)
    assert file.read_text()
    assert "S3CRET" not in file.read_text()


def test_variables_set_the_options(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for all options."""
    monkeypatch.setenv("SEARCHAPP_VERBOSE", "2")
    monkeypatch.setenv("SEARCHAPP_LOG_FILE", str(tmp_path / "searchapp.log"))
    assert "DEBUG " in run("models").stderr
    assert "DEBUG " in (tmp_path / "searchapp.log").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_options(run: RunCommand, name: str) -> None:
    """At the end of its help, and of the help of each command in a group."""
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    is_group = isinstance(command, click.Group)
    lines = [(name, each) for each in command.list_commands(context)] if is_group else [(name,)]
    for line in lines:
        text = run(*line, "--help").stdout
        assert "-v, --verbose" in text and "--log-file FILE" in text, line


def test_the_output_of_vllm_needs_two(
    run: RunCommand, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine is verbose with -vv alone."""
    is_verbose: list[object] = []

    def start(spec: ModelSpec, **arguments: object) -> FakeEngine:
        is_verbose.append(arguments["verbose"])
        return FakeEngine(spec)

    monkeypatch.setattr(engines, "start_engine", start)
    run("index", photos, "--model", model)
    for options in ((), ("-v",), ("-vv",)):
        run("query", "red", *options)
    assert is_verbose == [False, False, False, True]


def test_records_appear_above_a_progress_bar(tmp_path: Path, photos: Path, model: Path) -> None:
    """On a terminal each is a line of its own, also while a bar is drawn."""
    import pty

    command = slow_command("index", photos, "--model", model, "-v")
    command[2] = command[2].replace(
        "time.sleep(",
        "__import__('logging').getLogger('searchapp.x').info('embedding %d', len(inputs)); "
        "time.sleep(",
    )
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child,
        env=os.environ | library_environment(tmp_path) | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while part := os.read(parent, 4096):
            shown += part
    except OSError:  # Linux reports the end of a terminal as an error.
        pass
    os.close(parent)
    assert process.wait(30) == 0
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"(^|[\r\n])INFO searchapp\.x: embedding \d+\r\n", plain), plain
    assert "3/3" in plain


def test_a_bar_prints_records_through_its_console() -> None:
    """Rich moves the bar down; direct writes would cut it."""
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    log_output.set_bar_console(Console(file=text))
    try:
        log_output.print_note("[red]:boat: is a name")
    finally:
        log_output.set_bar_console(None)
    assert text.getvalue() == "[red]:boat: is a name\n"


def test_the_library_is_silent_without_a_handler() -> None:
    """Python prints warnings of loggers without handlers; searchapp has a null handler."""
    result = run_python("""
        import logging, searchapp
        logging.getLogger("searchapp.files").warning("not shown")
    """)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_resident_process_logs_as_its_command(
    tmp_path: Path, photos: Path, model: Path
) -> None:
    """It writes to the same file, and with -v decisions to its own log."""
    environment = os.environ | {"SEARCHAPP_LIBRARY": str(tmp_path / "library")}
    subprocess.run(
        slow_command("index", photos, "--model", model, seconds_per_picture=0),
        env=environment, check=True,
    )  # fmt: skip
    file = tmp_path / "searchapp.log"
    process = subprocess.Popen(
        [sys.executable, "-m", "searchapp.server", "--library", str(tmp_path / "library"),
         "--keep-alive", "5"],
        env=environment | {"SEARCHAPP_VERBOSE": "1", "SEARCHAPP_LOG_FILE": str(file)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for _ in range(300):
            info = subprocess.run(
                [sys.executable, "-m", "searchapp", "info", "--json"],
                env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            if json.loads(info.stdout)["resident"]:
                break
    finally:
        subprocess.run([sys.executable, "-m", "searchapp", "stop"], env=environment, check=True)
    output, _ = process.communicate(timeout=300)
    line = re.compile(
        rf"INFO {process.pid} searchapp\.server\.request_log: GET /api/v1/resident 200"
    )
    assert line.search(output), output
    assert line.search(file.read_text())
