"""Pictures for terminals: each protocol is decoded again, and gives the picture."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support.library import RunCommand
from support.paths import ROOT

from searchapp.cli.terminal_picture import UPPER_HALF, encode_picture, encode_table
from searchapp.cli.terminal_protocol import (
    Screen,
    colors_from_environment,
    protocol_from_answer,
    protocol_from_environment,
)

SCREEN = Screen(80, 10, 20)


@pytest.fixture
def image() -> Image.Image:
    """Return a picture with a red, a green, a blue and a white quarter."""
    image = Image.new("RGB", (400, 300), "red")
    draw = ImageDraw.Draw(image)
    draw.rectangle((200, 0, 400, 150), "lime")
    draw.rectangle((0, 150, 200, 300), "blue")
    draw.rectangle((200, 150, 400, 300), "white")
    return image


def quarters(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colors at the centers of the quarters."""
    places = [(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    found = [image.getpixel((int(x * image.width), int(y * image.height))) for x, y in places]
    return [tuple(pixel) for pixel in found]  # type: ignore[arg-type]


COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def png(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_kitty(image: Image.Image) -> None:
    """The PNG is in chunks of at most 4,096 bytes; the last has m=0, and q=2 forbids answers."""
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    for picture, cells in ((image, (24, 9)), (noisy, (18, 9))):
        sent = encode_picture(picture, "kitty", 24, 9, SCREEN)
        parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sent)
        assert sent == "\x1b7" + "".join(f"\x1b_G{c};{d}\x1b\\" for c, d in parts) + "\x1b8"
        first = dict(pair.split("=") for pair in parts[0][0].split(","))
        assert (first["a"], first["f"], first["q"]) == ("T", "100", "2")
        assert (int(first["c"]), int(first["r"])) == cells
        assert [c.split("m=")[1] for c, _ in parts] == ["1"] * (len(parts) - 1) + ["0"]
        assert all(len(data) <= 4096 for _, data in parts)
        whole = png("".join(data for _, data in parts))
        assert whole.size == (240 if picture is image else 180, 180)
    assert len(parts) > 5
    assert quarters(png("".join(re.findall(r";([^\x1b;]*)\x1b\\", encode_picture(
        image, "kitty", 24, 9, SCREEN
    ))))) == COLORS  # fmt: skip


def test_iterm(image: Image.Image) -> None:
    """One escape sequence holds the PNG and its size in bytes."""
    sent = encode_picture(image, "iterm", 24, 9, SCREEN)
    found = re.fullmatch(r"\x1b7\x1b]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07\x1b8", sent)
    assert found
    told = dict(pair.split("=") for pair in found[1].split(";"))
    assert (told["inline"], told["width"], told["height"]) == ("1", "24", "9")
    assert int(told["size"]) == len(base64.b64decode(found[2]))
    assert quarters(png(found[2])) == COLORS


def unsixel(sent: str) -> Image.Image:
    """Return the picture that a terminal draws from sixels."""
    found = re.fullmatch(r'\x1b7\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\\x1b8', sent, re.DOTALL)
    assert found
    width, height = int(found[1]), int(found[2])
    pixels = np.zeros((height, width, 3), np.uint8)
    palette: dict[int, tuple[int, ...]] = {}
    x = y = color = 0
    for define, rgb, use, count, char in re.findall(
        r"#(\d+);2;(\d+;\d+;\d+)|#(\d+)(?!;)|(?:!(\d+))?([?-~$-])", found[3]
    ):
        if define:
            palette[int(define)] = tuple(round(int(p) * 2.55) for p in rgb.split(";"))
        elif use:
            color = int(use)
        elif char == "$":
            x = 0
        elif char == "-":
            x, y = 0, y + 6
        else:
            times = int(count or 1)
            for bit in range(6):
                if ord(char) - 63 >> bit & 1:
                    pixels[y + bit, x : x + times] = palette[color]
            x += times
    return Image.fromarray(pixels)


def test_sixel(image: Image.Image) -> None:
    """The sixels give the same picture, reduced to 256 colors."""
    assert quarters(unsixel(encode_picture(image, "sixel", 24, 9, SCREEN))) == COLORS
    ramp = Image.linear_gradient("L").convert("RGB").resize((200, 100))
    again = unsixel(encode_picture(ramp, "sixel", 24, 5, SCREEN))
    error = np.abs(np.asarray(again, float) - np.asarray(ramp.resize(again.size), float))
    assert error.mean() < 6
    photo = np.asarray(Image.open(ROOT / "data/photos/2021-iceland/DSC_0107.jpg"))
    image = Image.fromarray(photo)
    again = unsixel(encode_picture(image, "sixel", 24, 9, SCREEN))
    error = np.abs(np.asarray(again, float) - np.asarray(image.resize(again.size, 1), float))
    assert error.mean() < 8


def cells(lines: list[str]) -> Image.Image:
    """Return the picture of half blocks, one pixel for each; missing pixels are magenta."""
    cube = (0, 95, 135, 175, 215, 255)

    def color(parts: list[int]) -> tuple[int, int, int]:
        if parts[0] == 2:
            return parts[1], parts[2], parts[3]
        number = parts[1] - 16
        if number >= 216:
            return (8 + 10 * (number - 216),) * 3
        return cube[number // 36], cube[number // 6 % 6], cube[number % 6]

    width = lines[0].count(UPPER_HALF)
    image = Image.new("RGB", (width, 2 * len(lines)), "magenta")
    for y, line in enumerate(lines):
        x = 0
        upper = lower = (0, 0, 0)
        for style, block in re.findall(rf"\x1b\[([\d;]*)m|({UPPER_HALF})", line):
            if block:
                image.putpixel((x, 2 * y), upper)
                image.putpixel((x, 2 * y + 1), lower)
                x += 1
            elif style != "0":
                numbers = [int(n) for n in style.split(";")]
                cut = numbers.index(48) if 48 in numbers[1:] else numbers.index(49)
                upper = color(numbers[1:cut])
                lower = color(numbers[cut + 1 :]) if numbers[cut] == 48 else (255, 0, 255)
    return image


def test_blocks(image: Image.Image) -> None:
    """A cell has two pixels, in all colors or in 256; without colors it has a shade."""
    lines = encode_picture(image, "blocks", 24, 9, SCREEN).split("\n")
    assert len(lines) == 9
    assert cells(lines).size == (24, 18)
    assert quarters(cells(lines)) == COLORS
    assert all(line.endswith("\x1b[0m") for line in lines)
    few = Screen(80, 10, 20, "256")
    assert quarters(cells(encode_picture(image, "blocks", 24, 9, few).split("\n"))) == COLORS
    gray = Image.new("RGB", (40, 30), (100, 100, 100))
    assert quarters(cells(encode_picture(gray, "blocks", 8, 3, few).split("\n")))[0] == (98, 98, 98)
    plain = encode_picture(image, "blocks", 24, 9, Screen(80, 10, 20, "none")).split("\n")
    assert "\x1b" not in "".join(plain)
    assert [plain[1][3], plain[1][20], plain[7][3], plain[7][20]] == ["░", "▒", " ", "█"]


def test_text_is_next_to_its_picture(image: Image.Image) -> None:
    """Each picture has a row with its text; without a picture the row has only the text."""
    rows = [(image, ["0.5", "a"]), (None, ["0.4", "b"])]
    pieces = "".join(encode_table(rows, "blocks", SCREEN, 12, 4))
    text = re.sub(rf"\x1b\[[\d;]*m|{UPPER_HALF}", "", pieces)
    assert [line.strip() for line in text.splitlines() if line.strip()] == ["0.5", "a", "0.4", "b"]


def test_variables_imply_the_protocol() -> None:
    """Variables name known terminals; inside tmux there are only blocks."""
    for variables, protocol in (
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, "blocks"),
        ({"TERM": "xterm-256color"}, None),
    ):
        assert protocol_from_environment(variables) == protocol
    assert protocol_from_answer(b"\x1b_Gi=31;OK\x1b\\\x1b[?62;4c") == "kitty"
    assert protocol_from_answer(b"\x1b[?62;4;22c") == "sixel"
    assert protocol_from_answer(b"\x1b[?4c") == protocol_from_answer(b"") == "blocks"
    assert colors_from_environment({"COLORTERM": "truecolor"}) == "all"
    assert colors_from_environment({"TERM": "xterm-256color"}) == "256"
    assert colors_from_environment({"COLORTERM": "truecolor", "NO_COLOR": "1"}) == "none"


@pytest.mark.parametrize(
    ("answer", "protocol"),
    [(b"\x1b[6;20;10t\x1b[?62;4c", "sixel 10 20"), (b"", "blocks 9 18")],
)
def test_the_terminal_is_queried(answer: bytes, protocol: str) -> None:
    """The answer decides; without an answer there are blocks. The terminal settings stay."""
    code = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    code += "from searchapp.cli.terminal_protocol import detect_terminal; "
    code += "p, s = detect_terminal(); "
    code += "print('found', p, s.cell_width, s.cell_height)"
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 720, 432))
    before = termios.tcgetattr(child)
    drop = ("TMUX", "TERM_PROGRAM", "KITTY_WINDOW_ID", "LC_TERMINAL")
    environment = {k: v for k, v in os.environ.items() if k not in drop} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=child, stdout=child, stderr=child, start_new_session=True, env=environment,
    )  # fmt: skip
    shown, is_answered, deadline = b"", False, time.monotonic() + 300
    while b"found" not in shown or not shown.endswith(b"\n"):
        assert time.monotonic() < deadline, shown
        if select.select([parent], [], [], 0.2)[0]:
            shown += os.read(parent, 4096)
        if b"\x1b[c" in shown and not is_answered:
            os.write(parent, answer)
            is_answered = True
    assert process.wait(20) == 0
    assert f"found {protocol}".encode() in shown
    assert termios.tcgetattr(child) == before
    os.close(parent)
    os.close(child)


def test_query_previews_on_a_terminal_or_by_request(
    run: RunCommand, photos: Path, model: Path
) -> None:
    """A pipe gets pictures only with --preview=HOW; the text after --preview is no value."""
    run("index", photos, "--model", model)
    result = run("query", "--preview", "red", "-k", 1)
    assert result.stdout.endswith("red.jpg  [name]\n") and "\x1b" not in result.stdout
    assert "the output is not a terminal" in result.stderr
    result = run("query", "--preview=kitty", "red", "-k", 1)
    assert quarters(png("".join(re.findall(r";([^\x1b;]*)\x1b\\", result.stdout))))[0][0] > 240
    lines = re.findall(r"\x1b\[28C(.*)", result.stdout)
    assert lines[0] == "1.000" and "".join(lines[1:]) == f"{photos}/red.jpg"
    (photos / "red.jpg").write_bytes(b"broken")
    shown = run("query", "--preview=blocks", "red", "-k", 1).stdout
    assert "the file changed since it was indexed" in shown
    assert run("query", "--preview", "red", "--json").stdout.startswith("[")
    assert run("query", "--preview=none", "red").exit_code == 2
