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
    small = shrink_to_blocks(image, columns, rows, screen)
    padding = " " * (columns - small.width)
    if screen.colors == "none":
        return [line + padding for line in shade_blocks(small)]
    pixels = small.load()
    assert pixels is not None
    lines = []
    for y in range(0, small.height, 2):
        line, last = [], ""
        for x in range(small.width):
            upper = _color_code(pixels[x, y], 38, screen)
            lower = _color_code(pixels[x, y + 1], 48, screen) if y + 1 < small.height else "49"
            style = f"\x1b[{upper};{lower}m"
            line.append(UPPER_HALF if style == last else style + UPPER_HALF)
            last = style
        lines.append("".join(line) + "\x1b[0m" + padding)
    return lines


def shrink_to_blocks(image: Picture, columns: int, rows: int, screen: Screen) -> Picture:
    """Return a picture with one RGB pixel for each half block; a cell has two, one above the other.

    The picture keeps its aspect ratio, in at most columns x rows cells.
    """
    # A half block is square if a cell is twice as high as wide.
    square = 2 * screen.cell_width / screen.cell_height
    width, height = image.width, image.height * square
    scale = min(columns / width, 2 * rows / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return image.convert("RGB").resize(size, 4)  # 4 is Pillow's BOX filter.


def shade_blocks(small: Picture) -> list[str]:
    """Return a picture of shrink_to_blocks() as lines of shades, for a terminal without colors."""
    lines = []
    for y in range(0, small.height, 2):
        gray = small.convert("L").crop((0, y, small.width, min(y + 2, small.height)))
        row = gray.resize((small.width, 1), 4).tobytes()
        lines.append("".join(SHADES[value * len(SHADES) // 256] for value in row))
    return lines


def count_cells(image: Picture, columns: int, rows: int, screen: Screen) -> tuple[int, int]:
    """Return how many columns and rows a picture needs in at most columns x rows cells."""
    width, height = columns * screen.cell_width, rows * screen.cell_height
    scale = min(width / image.width, height / image.height)
    used = (
        -(-round(image.width * scale) // screen.cell_width),
        -(-round(image.height * scale) // screen.cell_height),
    )
    return max(1, used[0]), max(1, used[1])


def number_kitty_picture(sequence: str, number: int) -> str:
    """Return a sequence for kitty's protocol that replaces the picture with this number."""
    return sequence.replace("\x1b_Ga=T,", f"\x1b_Ga=T,i={number},", 1)


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
