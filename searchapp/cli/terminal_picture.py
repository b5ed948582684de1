"""Pictures in a terminal: by its own protocol where it has one, in coloured blocks elsewhere."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Protocol = Literal["kitty", "iterm", "sixel", "blocks"]
Colours = Literal["all", "256", "none"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "iterm", "sixel", "blocks")
SHADES = " ░▒▓█"
CHUNK = 4096  # bytes of base64 in one of kitty's sequences
SIXEL_COLOURS = 256
UPPER = "▀"  # the foreground is the upper pixel, the background the lower


@dataclass(frozen=True, slots=True)
class Screen:
    """What a terminal shows: its cells, in pixels, and how many colours blocks can have."""

    columns: int = 80
    cell_width: int = 10
    cell_height: int = 20
    colours: Colours = "all"


def drawn(image: Picture, protocol: Protocol, columns: int, rows: int, screen: Screen) -> str:
    """Return what makes a terminal draw an RGB picture in so many cells; the cursor stays below.

    The picture keeps its shape. Where the protocol draws by itself (all but blocks), the cursor is
    where it was.
    """
    if protocol == "blocks":
        return "\n".join(blocks(image, columns, rows, screen))
    fitted = _fitted(image, columns * screen.cell_width, rows * screen.cell_height)
    used = _cells(fitted, screen)
    sequence = {"kitty": _kitty, "iterm": _iterm, "sixel": _sixel}[protocol](fitted, *used)
    return f"\x1b7{sequence}\x1b8"


def blocks(image: Picture, columns: int, rows: int, screen: Screen) -> list[str]:
    """Return a picture in half blocks: at most so many lines, each ended by a reset of colours."""
    # A half cell is as wide as high when cells are twice as high as wide.
    square = 2 * screen.cell_width / screen.cell_height
    width, height = image.width, image.height * square
    scale = min(columns / width, 2 * rows / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = image.convert("RGB").resize(size, 4)  # Pillow's number of BOX
    pixels = small.load()
    assert pixels is not None
    lines = []
    room = " " * (columns - size[0])
    for y in range(0, size[1], 2):
        if screen.colours == "none":
            grey = small.convert("L").crop((0, y, size[0], min(y + 2, size[1])))
            row = grey.resize((size[0], 1), 4).tobytes()
            lines.append("".join(SHADES[value * len(SHADES) // 256] for value in row) + room)
            continue
        line, last = [], ""
        for x in range(size[0]):
            upper = _colour(pixels[x, y], 38, screen)
            lower = _colour(pixels[x, y + 1], 48, screen) if y + 1 < size[1] else "49"
            style = f"\x1b[{upper};{lower}m"
            line.append(UPPER if style == last else style + UPPER)
            last = style
        lines.append("".join(line) + "\x1b[0m" + room)
    return lines


def table(
    pictures: Iterable[tuple[Picture | None, Sequence[str]]],
    protocol: Protocol,
    screen: Screen,
    columns: int = 24,
    rows: int = 8,
) -> Iterator[str]:
    """Yield rows of pictures, each with lines of text beside it, as pieces to print in order."""
    for image, texts in pictures:
        text = [*([""] * max(0, (rows - len(texts)) // 2)), *texts][:rows]
        if protocol == "blocks":
            lines = blocks(image, columns, rows, screen) if image else []
            high = max(len(lines), len(texts))
            text = [*([""] * ((high - len(texts)) // 2)), *texts]
            for number in range(high):
                left = lines[number] if number < len(lines) else " " * columns
                yield f"{left}  {text[number] if number < len(text) else ''}".rstrip(" ") + "\n"
            yield "\n"
            continue
        # Room first, so that nothing scrolls while the picture is drawn; then back up.
        yield "\n" * rows + f"\x1b[{rows}A"
        if image:
            yield drawn(image, protocol, columns, rows, screen)
        for number in range(rows):
            line = text[number] if number < len(text) else ""
            yield f"\r\x1b[{columns + 2}C{line}\n" if line else "\n"
        yield "\n"


def _fitted(image: Picture, width: int, height: int) -> Picture:
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.convert("RGB").resize(size, 1)  # Pillow's number of LANCZOS


def _cells(image: Picture, screen: Screen) -> tuple[int, int]:
    return -(-image.width // screen.cell_width), -(-image.height // screen.cell_height)


def _kitty(image: Picture, columns: int, rows: int) -> str:
    """Return the picture in kitty's graphics protocol: PNG, in chunks, no answers, cursor stays."""
    data = _encoded(image, "PNG")
    parts = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    sequences = []
    for number, part in enumerate(parts):
        more = int(number + 1 < len(parts))
        control = f"a=T,f=100,q=2,C=1,c={columns},r={rows},m={more}" if number == 0 else f"m={more}"
        sequences.append(f"\x1b_G{control};{part}\x1b\\")
    return "".join(sequences)


def _iterm(image: Picture, columns: int, rows: int) -> str:
    """Return the picture as iTerm2's inline image."""
    data = _encoded(image, "PNG")
    size = len(data) * 3 // 4 - data.count("=")
    return (
        f"\x1b]1337;File=inline=1;size={size};width={columns};height={rows}"
        f";preserveAspectRatio=1;doNotMoveCursor=1:{data}\x07"
    )


def _sixel(image: Picture, columns: int, rows: int) -> str:
    """Return the picture in sixels: a palette, and bands of six rows, one pass a colour."""
    import numpy as np

    reduced = image.quantize(SIXEL_COLOURS)
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


def _colour(pixel: object, layer: int, screen: Screen) -> str:
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    if screen.colours == "all":
        return f"{layer};2;{red};{green};{blue}"
    from rich.color import Color, ColorSystem

    return f"{layer};5;{Color.from_rgb(red, green, blue).downgrade(ColorSystem.EIGHT_BIT).number}"


def _encoded(image: Picture, format: str) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return b64encode(buffer.getvalue()).decode()
