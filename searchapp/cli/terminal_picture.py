"""Encode pictures for a terminal: in a graphics protocol, or as colored half blocks."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from searchapp.cli.terminal_protocol import Protocol, Screen

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SHADES = " ░▒▓█"
KITTY_CHUNK_BYTES = 4096  # The protocol of kitty allows no more characters in an escape sequence.
SIXEL_COLORS = 256
UPPER_HALF = "▀"  # The foreground color is the upper pixel, the background color the lower.


def encode_picture(
    image: Picture, protocol: Protocol, columns: int, rows: int, screen: Screen
) -> str:
    """Return the text that draws a picture in at most columns x rows cells of a terminal.

    The picture keeps its aspect ratio. The cursor does not move, except for the protocol "blocks",
    which is lines of text.
    """
    if protocol == "blocks":
        return "\n".join(encode_blocks(image, columns, rows, screen))
    fitted = _fit_picture(image, columns * screen.cell_width, rows * screen.cell_height)
    used = _used_cells(fitted, screen)
    encode = {"kitty": _encode_kitty, "iterm": _encode_iterm, "sixel": _encode_sixel}[protocol]
    sequence = encode(fitted, *used)
    return f"\x1b7{sequence}\x1b8"


def encode_blocks(image: Picture, columns: int, rows: int, screen: Screen) -> list[str]:
    """Return a picture as at most rows lines of half blocks; each line resets its colors."""
    # A half block is square if a cell is twice as high as wide.
    square = 2 * screen.cell_width / screen.cell_height
    width, height = image.width, image.height * square
    scale = min(columns / width, 2 * rows / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = image.convert("RGB").resize(size, 4)  # 4 is Pillow's BOX filter.
    pixels = small.load()
    assert pixels is not None
    lines = []
    padding = " " * (columns - size[0])
    for y in range(0, size[1], 2):
        if screen.colors == "none":
            gray = small.convert("L").crop((0, y, size[0], min(y + 2, size[1])))
            row = gray.resize((size[0], 1), 4).tobytes()
            lines.append("".join(SHADES[value * len(SHADES) // 256] for value in row) + padding)
            continue
        line, last = [], ""
        for x in range(size[0]):
            upper = _color_code(pixels[x, y], 38, screen)
            lower = _color_code(pixels[x, y + 1], 48, screen) if y + 1 < size[1] else "49"
            style = f"\x1b[{upper};{lower}m"
            line.append(UPPER_HALF if style == last else style + UPPER_HALF)
            last = style
        lines.append("".join(line) + "\x1b[0m" + padding)
    return lines


def encode_table(
    pictures: Iterable[tuple[Picture | None, Sequence[str]]],
    protocol: Protocol,
    screen: Screen,
    columns: int = 24,
    rows: int = 8,
) -> Iterator[str]:
    """Yield the text that prints pictures below each other, each next to its lines of text."""
    for image, texts in pictures:
        text = [*([""] * max(0, (rows - len(texts)) // 2)), *texts][:rows]
        if protocol == "blocks":
            lines = encode_blocks(image, columns, rows, screen) if image else []
            height = max(len(lines), len(texts))
            text = [*([""] * ((height - len(texts)) // 2)), *texts]
            for number in range(height):
                left = lines[number] if number < len(lines) else " " * columns
                yield f"{left}  {text[number] if number < len(text) else ''}".rstrip(" ") + "\n"
            yield "\n"
            continue
        # Line breaks first: the terminal must not scroll while it draws the picture.
        yield "\n" * rows + f"\x1b[{rows}A"
        if image:
            yield encode_picture(image, protocol, columns, rows, screen)
        for number in range(rows):
            line = text[number] if number < len(text) else ""
            yield f"\r\x1b[{columns + 2}C{line}\n" if line else "\n"
        yield "\n"


def _fit_picture(image: Picture, width: int, height: int) -> Picture:
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGB").resize(size, 1)  # 1 is Pillow's LANCZOS filter.


def _used_cells(image: Picture, screen: Screen) -> tuple[int, int]:
    return -(-image.width // screen.cell_width), -(-image.height // screen.cell_height)


def _encode_kitty(image: Picture, columns: int, rows: int) -> str:
    """Return a picture in kitty's graphics protocol, as PNG in chunks.

    q=2: the terminal sends no answer. C=1: the cursor does not move.

    https://sw.kovidgoyal.net/kitty/graphics-protocol/
    """
    data = _encode_base64(image, "PNG")
    parts = [
        data[start : start + KITTY_CHUNK_BYTES] for start in range(0, len(data), KITTY_CHUNK_BYTES)
    ]
    sequences = []
    for number, part in enumerate(parts):
        more = int(number + 1 < len(parts))
        control = f"a=T,f=100,q=2,C=1,c={columns},r={rows},m={more}" if number == 0 else f"m={more}"
        sequences.append(f"\x1b_G{control};{part}\x1b\\")
    return "".join(sequences)


def _encode_iterm(image: Picture, columns: int, rows: int) -> str:
    """Return a picture in iTerm2's protocol: https://iterm2.com/documentation-images.html."""
    data = _encode_base64(image, "PNG")
    size = len(data) * 3 // 4 - data.count("=")
    return (
        f"\x1b]1337;File=inline=1;size={size};width={columns};height={rows}"
        f";preserveAspectRatio=1;doNotMoveCursor=1:{data}\x07"
    )


def _encode_sixel(image: Picture, columns: int, rows: int) -> str:
    """Return a picture as sixels: a palette, and bands of six rows with one pass for each color.

    https://vt100.net/docs/vt3xx-gp/chapter14.html
    """
    import numpy as np

    reduced = image.quantize(SIXEL_COLORS)
    palette = reduced.getpalette() or []
    indexes = np.asarray(reduced)
    parts = [f'\x1bP0;1;0q"1;1;{image.width};{image.height}']
    for number in np.unique(indexes).tolist():
        red, green, blue = (round(part * 100 / 255) for part in palette[3 * number :][:3])
        parts.append(f"#{number};2;{red};{green};{blue}")
    weights = 1 << np.arange(6)
    bands = []
    for top in range(0, image.height, 6):
        band = indexes[top : top + 6]
        passes = []
        for number in np.unique(band).tolist():
            bits = (weights[: len(band), None] * (band == number)).sum(axis=0)
            runs = ((chr(63 + bit), len(list(same))) for bit, same in groupby(bits.tolist()))
            line = "".join(f"!{n}{c}" if n > 3 else c * n for c, n in runs)
            passes.append(f"#{number}{line}")
        bands.append("$".join(passes))
    return f"{''.join(parts)}{'-'.join(bands)}\x1b\\"


def _color_code(pixel: object, layer: int, screen: Screen) -> str:
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    if screen.colors == "all":
        return f"{layer};2;{red};{green};{blue}"
    from rich.color import Color, ColorSystem

    return f"{layer};5;{Color.from_rgb(red, green, blue).downgrade(ColorSystem.EIGHT_BIT).number}"


def _encode_base64(image: Picture, format: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return b64encode(buffer.getvalue()).decode()
