"""Compare pixels."""

from __future__ import annotations

import io

from PIL import Image

from searchapp.pictures.model_size import ImageInput

CROPPED = ImageInput("crop", side=32, fill=(1, 2, 3))


SQUASHED = ImageInput("squash", side=32)


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def near(a: tuple[int, ...], b: tuple[int, ...], by: int = 3) -> bool:
    return all(abs(x - y) <= by for x, y in zip(a, b, strict=True))
