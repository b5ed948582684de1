"""Encode pictures, and compare colors."""

from __future__ import annotations

import io

from PIL import Image

from searchapp.pictures.model_size import ImageInput

CROPPED_INPUT = ImageInput("crop", side=32, fill=(1, 2, 3))


SQUASHED_INPUT = ImageInput("squash", side=32)


def encode_picture(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def is_close_color(a: tuple[int, ...], b: tuple[int, ...], tolerance: int = 3) -> bool:
    return all(abs(x - y) <= tolerance for x, y in zip(a, b, strict=True))
