"""The command on a real terminal: it draws there, and leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from searchapp.cli.browse.terminal_driver import delay_output, open_terminal
from searchapp.cli.log_output import _NoteHandler
from searchapp.engines.captured_output import capture_output
from searchapp.errors import SearchAppError
from searchapp.files.logging_setup import LOGGER, SHORT_FORMAT, set_up_logging
from searchapp.library import Library

Terminal = tuple[int, int]  # the file descriptors of the program that shows it, and of its user
LEAVE_SCREEN, SHOW_CURSOR = b"\x1b[?1049l", b"\x1b[?25h"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Open a pseudo-terminal of 80 x 24 cells."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    yield parent, child
    os.close(parent)
    os.close(child)


def read_until(parent: int, is_done: Callable[[bytes], bool]) -> bytes:
    """Return what a program draws, until a condition on it is true."""
    shown, deadline = b"", time.monotonic() + 300
    while not is_done(shown):
        assert time.monotonic() < deadline, shown
        if select.select([parent], [], [], 0.1)[0]:
            shown += os.read(parent, 65536)
    return shown


@pytest.mark.parametrize(
    ("leave", "code", "count"),
    [(b" q", 0, 1), (b" \x03", 130, 0), (signal.SIGTERM, 130, 0)],
    ids=["q", "Ctrl-C", "SIGTERM"],
)
def test_the_output_is_a_pipe_and_the_terminal_is_restored(
    library: Library, terminal: Terminal, leave: bytes | signal.Signals, code: int, count: int
) -> None:
    """Only the selected paths are on stdout, one on each line.

    It takes some seconds, because only a new process has a terminal of its own.
    """
    parent, child = terminal
    before = termios.tcgetattr(child)
    process = subprocess.Popen(
        [sys.executable, "-m", "searchapp", "browse", "--draw", "blocks"],
        stdin=child, stdout=subprocess.PIPE, stderr=child, start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color", "SEARCHAPP_LIBRARY": str(library.folder)},
    )  # fmt: skip
    shown = read_until(parent, lambda shown: b"3 pictures" in shown and b".jpg" in shown)
    assert "▀".encode() in shown or "▀".encode() in read_until(parent, lambda s: "▀".encode() in s)
    if isinstance(leave, bytes):
        os.write(parent, leave)
    else:
        process.send_signal(leave)
    end = read_until(parent, lambda shown: process.poll() is not None and LEAVE_SCREEN in shown)
    assert SHOW_CURSOR in end
    assert process.returncode == code
    assert process.stdout is not None
    lines = process.stdout.read().decode().splitlines()
    process.stdout.close()
    assert len(lines) == count and all(Path(line).is_file() for line in lines)
    assert termios.tcgetattr(child) == before


def test_the_screen_is_drawn_while_the_output_of_vllm_is_hidden(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of an engine in this process redirects stderr for up to minutes."""
    parent, child = terminal
    monkeypatch.setenv("TERM", "xterm")
    saved = os.dup(2)
    os.dup2(child, 2)
    try:
        with open(2, "w", closefd=False) as stderr, open(child, closefd=False) as stdin:
            monkeypatch.setattr(sys, "__stderr__", stderr)
            monkeypatch.setattr(sys, "__stdin__", stdin)
            with open_terminal() as output, capture_output(verbose=False):
                os.write(2, b"noise")
                print("drawn", file=output, flush=True)
                assert read_until(parent, lambda shown: b"\n" in shown) == b"drawn\r\n"
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_output_appears_after_the_screen_and_quitting_restores_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The user can quit while a thread starts vLLM, and has hidden stdout and stderr."""
    with set_up_logging(1, None, partial(_NoteHandler, SHORT_FORMAT)):
        with delay_output():
            hidden = ExitStack()
            LOGGER.info("before the model")
            hidden.enter_context(capture_output(verbose=False))
            os.write(2, b"vLLM\n")
            assert capfd.readouterr() == ("", "")
        os.write(1, b"/a.jpg\n")
        os.write(2, b"end\n")
        assert capfd.readouterr() == ("/a.jpg\n", "INFO searchapp: before the model\nend\n")
        hidden.close()


def test_without_a_terminal_it_says_so(
    tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file has no keys, and a dumb terminal cannot place the cursor."""
    file = tmp_path / "input"
    file.touch()
    with file.open() as stdin, open(terminal[1], closefd=False) as terminal_input:
        monkeypatch.setattr(sys, "__stdin__", stdin)
        with pytest.raises(SearchAppError, match="standard input"):
            open_terminal()
        monkeypatch.setattr(sys, "__stdin__", terminal_input)
        monkeypatch.setenv("TERM", "dumb")
        with pytest.raises(SearchAppError, match="TERM is dumb"):
            open_terminal()
