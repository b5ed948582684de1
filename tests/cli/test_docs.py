"""`searchapp docs`: topics on a terminal, in a pipe, and in shell completion."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from support.documents import TOPICS
from support.library import RunCommand

from searchapp.cli import COMMANDS, documentation
from searchapp.cli import TOPICS as TOPIC_BY_COMMAND


def run_on_terminal(*arguments: str, pager: Path) -> str:
    """Run a command on a pseudo-terminal; return its output."""
    main, other = pty.openpty()
    environment = os.environ | {"PAGER": str(pager), "TERM": "xterm-256color", "COLUMNS": "90"}
    process = subprocess.Popen(
        [sys.executable, "-m", "searchapp", *arguments],
        stdin=other, stdout=other, stderr=other, env=environment,
    )  # fmt: skip
    os.close(other)
    written = b""
    try:
        while block := os.read(main, 65536):
            written += block
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    os.close(main)
    assert process.wait() == 0, written
    return written.decode()


def test_without_a_topic_it_lists_them(run: RunCommand) -> None:
    """There is one line for each topic, with the first paragraph of its file."""
    lines = run("docs").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(file.stem for file in TOPICS.glob("*.md"))
    assert any(line.startswith("filters ") and "SQL" in line for line in lines)
    assert all(len(summary) <= 100 for summary in documentation.list_topics().values())


def test_a_pipe_gets_markdown(run: RunCommand) -> None:
    """The output is the Markdown file, without the comments around generated parts."""
    text = run("docs", "filters").stdout
    assert text.startswith("# Filters\n")
    assert "| `--near LAT,LON,KM` |" in text
    assert "<!--" not in text


def test_an_unknown_topic_is_a_wrong_command(run: RunCommand) -> None:
    """The message names the topics; the exit status is 2."""
    result = run("docs", "filter")
    assert result.exit_code == 2
    assert "There is no topic 'filter'" in result.stderr and "filters, " in result.stderr
    assert result.stdout == ""


def test_a_terminal_gets_formatted_text(tmp_path: Path) -> None:
    """The pager gets styled text without Markdown marks; links become commands."""
    pager = tmp_path / "less"
    pager.write_text('#!/bin/sh\necho "less $LESS"\nexec cat\n')
    pager.chmod(0o755)
    text = run_on_terminal("docs", "watch", pager=pager)
    assert text.startswith("less -R")
    assert "\x1b[1" in text
    assert "# Watch" not in text and "```" not in text and ".md" not in text
    assert re.search(r"searchapp docs\s+object-storage", re.sub(r"\x1b\[[\d;]*m", "", text))
    assert "Index pictures as they arrive" in text


def test_the_shell_completes_topics() -> None:
    """The shell zsh gets the topics that begin with the prefix."""
    words = {
        "COMP_WORDS": "searchapp docs mi",
        "COMP_CWORD": "2",
        "_SEARCHAPP_COMPLETE": "zsh_complete",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from searchapp.cli import main; main()"],
        env=os.environ | words, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[:2] == ["plain", "milvus"]


def test_every_help_names_a_topic(run: RunCommand) -> None:
    """The topic exists; no help names the README, or has the indentation of its docstring."""
    for name in COMMANDS:
        help_text = run(name, "--help").stdout
        body = help_text.partition("\n\n")[2].partition("\nOptions:")[0]
        assert "\n\n   " not in body
        text = " ".join(help_text.split())
        assert f"More: `searchapp docs {TOPIC_BY_COMMAND[name]}`." in text
        assert "README" not in text
    assert set(TOPIC_BY_COMMAND.values()) <= documentation.list_topics().keys()
