"""What the terminal can show: by its variables, and where they do not tell, by asking it."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import click

from searchapp.cli.shared_options import shown
from searchapp.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from searchapp.cli.terminal_picture import Colours, Protocol, Screen
    from searchapp.types import Hit

COLUMNS, ROWS = 32, 10  # of a picture, in cells
SECONDS = 0.3  # that a terminal gets to answer
# Asks for kitty's protocol, the size of a cell, and attributes, which every terminal answers.
QUESTION = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[16t\x1b[c"
KITTY = re.compile(rb"\x1b_Gi=31;OK\x1b\\")
CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")


def draw(hits: Sequence[Hit], how: str) -> None:
    """Print hits with their pictures; how: auto, or one of the protocols."""
    from searchapp.cli.terminal_picture import table
    from searchapp.pictures import thumbnails

    protocol, screen = found(None if how == "auto" else cast("Protocol", how))
    wide = max(4, min(COLUMNS, screen.columns // 3))
    side = max(wide * screen.cell_width, ROWS * screen.cell_height)

    def rows() -> Iterator[tuple[Picture | None, list[str]]]:
        for hit in hits:
            also = f"(and {len(hit.also)} more)" if hit.also else ""
            try:
                image = thumbnails.thumbnail(hit.path, side, hit.seconds)
            except PictureError as error:
                image, also = None, f"{error} {also}"
            path = _wrapped(shown(hit.path), screen.columns - wide - 3)
            yield image, [f"{hit.score:.3f}", *path, also]

    for piece in table(rows(), protocol, screen, wide, ROWS):
        click.echo(piece, nl=False, color=True)
    sys.stdout.flush()


def _wrapped(text: str, width: int) -> list[str]:
    """Cut a text into lines of so many cells."""
    from rich.cells import chop_cells

    return chop_cells(text, max(8, width)) or [""]


def by_variables(environment: Mapping[str, str]) -> Protocol | None:
    """Return what a terminal shows pictures by, as far as its variables tell.

    Inside tmux and screen they tell of the terminal around, which does not see what is sent.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("TMUX") or term.startswith(("screen", "tmux")):
        return "blocks"
    if environment.get("KITTY_WINDOW_ID") or term == "xterm-kitty" or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "blocks" if term == "linux" else None


def found(wanted: Protocol | None) -> tuple[Protocol, Screen]:
    """Return what this terminal shows pictures by, where nothing is wanted, and its measures."""
    from searchapp.cli.terminal_picture import Screen

    columns, width, height = _size()
    protocol = wanted or by_variables(os.environ)
    ask = protocol != "blocks" and sys.stdout.isatty()
    answer = _asked() if ask else b""
    if cell := CELL.search(answer):
        height, width = int(cell[1]) or height, int(cell[2]) or width
    return protocol or by_answer(answer), Screen(columns, width, height, colours(os.environ))


def by_answer(answer: bytes) -> Protocol:
    """Return what a terminal that has answered QUESTION shows pictures by."""
    if KITTY.search(answer):
        return "kitty"
    attributes = ATTRIBUTES.search(answer)
    return "sixel" if attributes and b"4" in attributes[1].split(b";")[1:] else "blocks"


def colours(environment: Mapping[str, str]) -> Colours:
    """Return which colours text may have."""
    if environment.get("NO_COLOR"):
        return "none"
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return "all"
    return (
        "all" if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm", "ghostty") else "256"
    )


def _size() -> tuple[int, int, int]:
    """Return the columns, and a cell's width and height in pixels, as the system has them."""
    with suppress(ImportError, OSError):
        import fcntl
        import struct
        import termios

        packed = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width, height = struct.unpack("HHHH", packed)
        if columns and rows and width and height:
            return columns, width // columns, height // rows
    import shutil

    return shutil.get_terminal_size().columns, 10, 20


def _asked() -> bytes:
    """Ask the terminal, and return what it answers in time; nothing is left to be read."""
    try:
        import termios
        import tty

        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except (ImportError, OSError):
        return b""
    try:
        if os.tcgetpgrp(terminal) != os.getpgrp():
            return b""  # in the background: to ask would stop this process
        before = termios.tcgetattr(terminal)
        answer = b""
        try:
            tty.setcbreak(terminal, termios.TCSANOW)
            os.write(terminal, QUESTION.encode())
            until = time.monotonic() + SECONDS
            while not ATTRIBUTES.search(answer):  # which comes last
                left = until - time.monotonic()
                if left <= 0 or not select.select([terminal], [], [], left)[0]:
                    break
                answer += os.read(terminal, 4096)
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        return answer
    except (OSError, termios.error):
        return b""
    finally:
        os.close(terminal)
