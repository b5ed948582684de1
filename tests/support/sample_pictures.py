"""Draw plain pictures for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw


def make_picture(
    color: str = "red", size: tuple[int, int] = (80, 60), mark: int = 0
) -> Image.Image:
    """Return a plain picture; different marks make different pictures of the same color."""
    image = Image.new("RGB", size, color)
    if mark:
        ImageDraw.Draw(image).rectangle((0, 0, mark % size[0], mark // size[0]), fill="white")
    return image


def save_picture(file: Path, color: str = "red", mark: int = 0, **options: Any) -> Path:
    """Save a plain picture; return its file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    make_picture(color, mark=mark).save(file, **options)
    return file
