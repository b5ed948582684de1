"""Command lines in desktop files, units of systemd and actions of Thunar keep every character."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from searchapp.cli.desktop_files.quoting import (
    check_words,
    quote_for_desktop_file,
    quote_for_systemd,
    quote_for_thunar,
)
from searchapp.errors import SearchAppError

HOSTILE = [
    "plain", "two words", "100% %f %h %%", 'a "quoted" name', "it's", "$HOME ${x}", "back\\slash\\",
    "`id`", "a;b & c | d > e", "(x) [y] {z} * ? ~", "#comment", "caf\u00e9", "a\\nb", "",
]  # fmt: skip


def read_exec(value: str) -> list[str]:
    """Parse a value of Exec as GLib does: escapes of the file, field codes, then the shell."""
    unescaped = value.replace("\\\\", "\0")
    assert "\\" not in unescaped
    unescaped = unescaped.replace("\0", "\\")
    expanded = unescaped.replace("%%", "\0")
    assert "%" not in expanded
    return split_by_shell(expanded.replace("\0", "%"))


def split_by_shell(command: str) -> list[str]:
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_desktop_files_keep_every_character() -> None:
    words = ['/opt/a b/"x" $y/searchapp', *HOSTILE]
    assert read_exec(quote_for_desktop_file(words)) == words


def test_a_program_with_a_percent_sign_is_started_by_env() -> None:
    """GLib refuses a desktop file whose program it does not find, and looks for 100%%."""
    words = ["/opt/100%/searchapp", "%f"]
    assert read_exec(quote_for_desktop_file(words)) == ["/usr/bin/env", *words]


def test_thunar_keeps_every_character() -> None:
    """Thunar replaces %% by %, and calls a shell."""
    assert split_by_shell(quote_for_thunar(HOSTILE).replace("%%", "%")) == HOSTILE


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_reads_the_path_of_the_program(tmp_path: Path) -> None:
    """systemd-analyze names a program that is missing, by the path that it has read."""
    program = tmp_path / "a b%h $HOME ${x} caf\u00e9" / "searchapp"
    unit = tmp_path / "searchapp-test.service"

    def verify(program: Path) -> str:
        line = quote_for_systemd([str(program), *HOSTILE])
        unit.write_text(f"[Service]\nExecStart={line}\n", encoding="utf-8")
        done = subprocess.run(
            ["systemd-analyze", "--user", "verify", unit],
            capture_output=True, text=True, check=False,
            env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
        return done.stderr

    assert f"Command {program} is not executable" in verify(program)
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert verify(program) == ""
    assert verify(tmp_path / "\"q\" 'p' \\x") == ""


@pytest.mark.parametrize("word", ["a\nExec=evil", "a\x1b[2J", "\udcff", "a\u202eb"])
def test_words_that_no_format_holds_are_refused(word: str) -> None:
    with pytest.raises(SearchAppError, match="cannot be written to a file of the desktop"):
        check_words(["/bin/searchapp", word])


def test_a_program_with_an_equal_sign_is_refused() -> None:
    check_words(["/bin/searchapp", "a=b"])
    with pytest.raises(SearchAppError, match="contains ="):
        check_words(["/opt/a=b/searchapp"])


def test_a_desktop_file_is_read_as_one_key() -> None:
    """A value has no line end, and no parser sees a second key."""
    parser = configparser.RawConfigParser()
    parser.read_string(f"[Desktop Entry]\nExec={quote_for_desktop_file(HOSTILE)}\n")
    assert list(parser["Desktop Entry"]) == ["exec"]
