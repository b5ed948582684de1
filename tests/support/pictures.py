"""Pictures that tests draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw


def picture(colour: str = "red", size: tuple[int, int] = (80, 60), mark: int = 0) -> Image.Image:
    """Draw a plain picture; mark makes others of the same colour out of it."""
    image = Image.new("RGB", size, colour)
    if mark:
        ImageDraw.Draw(image).rectangle((0, 0, mark % size[0], mark // size[0]), fill="white")
    return image


def draw(file: Path, colour: str = "red", mark: int = 0, **options: Any) -> Path:
    """Save a plain picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture(colour, mark=mark).save(file, **options)
    return file
