"""Convert pictures of any Pillow mode to RGB."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def convert_to_rgb(image: Picture) -> Picture:
    """Convert a picture to RGB with 8 bits per channel.

    Alpha is blended over white, 16 bits and floats are scaled, CMYK uses its ICC profile.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _scale_to_8_bits(image).convert("RGB")
    if image.mode == "CMYK":
        return _convert_cmyk(image)
    if image.has_transparency_data:
        from PIL import Image

        rgba = image.convert("RGBA")
        white: Picture = Image.new("RGBA", rgba.size, "white")
        white.alpha_composite(rgba)
        return white.convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bits(image: Picture) -> Picture:
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    max_value = float(values.max(initial=0))
    if image.mode == "F":
        full_scale = 1.0 if max_value <= 1.0 else 255.0 if max_value <= 255.0 else max_value
    else:
        full_scale = 255.0 if image.mode == "I" and max_value <= 255.0 else max(65535.0, max_value)
    scaled = np.empty(values.shape, np.uint8)
    for row, scaled_row in zip(values, scaled, strict=True):  # Row by row, to save memory.
        scaled_row[:] = np.clip(row.astype(np.float32) * (255.0 / full_scale) + 0.5, 0, 255)
    gray: Picture = Image.fromarray(scaled)
    return gray


def _convert_cmyk(image: Picture) -> Picture:
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")
