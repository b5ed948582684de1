"""Pictures to measure with: JPEG files as large as a camera's of that size, no two alike."""

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
    """Draw a scene with a photograph's spectrum: coarse shapes, and less of the finer ones."""
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
    """Write so many JPEG files, of some scenes; a comment makes the content of each its own."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = []
    for number in range(min(count, MAX_SCENES)):
        buffer = io.BytesIO()
        draw_photo(number, width, height).save(buffer, "JPEG", quality=JPEG_QUALITY)
        scenes.append(buffer.getvalue())
    for number in range(count):
        scene, comment = scenes[number % len(scenes)], f"picture {number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        part = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            part.mkdir()
        (part / f"{number:07}.jpg").write_bytes(scene[:2] + segment + scene[2:])
