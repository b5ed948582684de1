"""Detect the graphics protocol of a terminal: by environment variables, or by a query to it."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TextIO

Protocol = Literal["kitty", "iterm", "sixel", "blocks"]
Colors = Literal["all", "256", "none"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "iterm", "sixel", "blocks")
ANSWER_TIMEOUT_S = 0.3
# Asks for kitty's protocol, for the cell size, and for the attributes. Every terminal answers the
# request for the attributes.
TERMINAL_QUERY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
KITTY = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")


@dataclass(frozen=True, slots=True)
class Screen:
    """Width of a terminal in cells, size of a cell in pixels, and the colors for blocks."""

    columns: int = 80
    cell_width: int = 10
    cell_height: int = 20
    colors: Colors = "all"


def protocol_from_environment(environment: Mapping[str, str]) -> Protocol | None:
    """Return the protocol that environment variables imply; None if they imply none.

    Inside tmux and screen, the variables of the outer terminal are set, but no picture reaches it.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("TMUX") or term.startswith(("screen", "tmux")):
        return "blocks"
    if environment.get("KITTY_WINDOW_ID") or term == "xterm-kitty" or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "blocks" if term == "linux" else None


def detect_terminal(
    chosen: Protocol | None = None, output: TextIO | None = None
) -> tuple[Protocol, Screen]:
    """Return the protocol (the given one, or else the detected one) and the screen of a terminal.

    output: the stream that draws on the terminal; None: stdout.
    """
    output = output or sys.stdout
    columns, width, height = _terminal_size(output)
    protocol = chosen or protocol_from_environment(os.environ)
    answer = _query_terminal() if protocol != "blocks" and output.isatty() else b""
    if cell := CELL.search(answer):
        height, width = int(cell[1]) or height, int(cell[2]) or width
    return protocol or protocol_from_answer(answer), Screen(
        columns, width, height, colors_from_environment(os.environ)
    )


def protocol_from_answer(answer: bytes) -> Protocol:
    """Return the protocol that a terminal's answer to TERMINAL_QUERY implies."""
    if KITTY.search(answer):
        return "kitty"
    attributes = ATTRIBUTES.search(answer)
    return "sixel" if attributes and b"4" in attributes[1].split(b";")[1:] else "blocks"


def colors_from_environment(environment: Mapping[str, str]) -> Colors:
    """Return the colors that environment variables allow for text."""
    if environment.get("NO_COLOR"):
        return "none"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return "all"
    return (
        "all" if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm", "ghostty") else "256"
    )


def _terminal_size(output: TextIO) -> tuple[int, int, int]:
    """Return the columns of the terminal, and the width and height of a cell in pixels."""
    with suppress(ImportError, OSError):
        import fcntl
        import struct
        import termios

        packed = fcntl.ioctl(output.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width, height = struct.unpack("HHHH", packed)
        if columns and rows and width and height:
            return columns, width // columns, height // rows
    import shutil

    return shutil.get_terminal_size().columns, 10, 20


def _query_terminal() -> bytes:
    """Send TERMINAL_QUERY to the terminal; return its answer, or nothing after a timeout."""
    try:
        import termios
        import tty

        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (ImportError, OSError):
        return b""
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            return b""  # The system stops a background process that reads the terminal.
        before = termios.tcgetattr(terminal)
        answer = b""
        try:
            tty.setcbreak(terminal, termios.TCSANOW)
            os.write(terminal, TERMINAL_QUERY.encode())
            deadline = time.monotonic() + ANSWER_TIMEOUT_S
            while not ATTRIBUTES.search(answer):  # The answer ends with the attributes.
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0 or not select.select([terminal], [], [], remaining_s)[0]:
                    break
                answer += os.read(terminal, 4096)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        return answer
    except (OSError, termios.error):
        return b""
    finally:
        os.close(terminal)
