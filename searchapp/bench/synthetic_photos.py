"""Make synthetic JPEG files that are as large as real photos; each file has different bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_SCENES = 32
JPEG_QUALITY = 85


def draw_photo(number: int, width: int, height: int) -> Picture:
    """Return a random RGB picture like a photo: strong large shapes, weak small shapes."""
    from PIL import Image

    rng = np.random.default_rng(number)
    total = np.zeros((height, width, 3), dtype=np.float32)
    cells, weight = 3, 1.0
    while cells < min(width, height):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(layer, dtype=np.float32)
        cells, weight = cells * 2, weight * 0.8
    total -= total.min()
    return Image.fromarray((total * (255 / total.max())).astype(np.uint8))


def write_photos(folder: Path, count: int, width: int, height: int) -> None:
    """Write count JPEG files into subfolders, 1,000 in each.

    The files show at most MAX_SCENES scenes; a JPEG comment makes the bytes of each file unique.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes = []
    for number in range(min(count, MAX_SCENES)):
        buffer = io.BytesIO()
        draw_photo(number, width, height).save(buffer, "JPEG", quality=JPEG_QUALITY)
        scenes.append(buffer.getvalue())
    for number in range(count):
        scene, comment = scenes[number % len(scenes)], f"picture {number}".encode()
        # A comment segment (COM, 0xFFFE) after the start marker: ISO/IEC 10918-1, B.2.4.5.
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        subfolder = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            subfolder.mkdir()
        (subfolder / f"{number:07}.jpg").write_bytes(scene[:2] + segment + scene[2:])
