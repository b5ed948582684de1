"""Convert pictures of any Pillow mode and color space to RGB, in sRGB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.pictures import gray_samples, hdr, icc, nclx, transparency

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Version of the decoder that applies ICC profiles, tone-maps HDR, and chooses the ground under
# transparent pictures. A later change of colors needs another version, a migration as
# m013_decoders, and a higher METADATA_READER_VERSION, which asks find_version() for all pictures.
PROFILES_VERSION = 1
COLOR_KEYS = {"icc_profile", nclx.INFO_KEY}  # of Pillow's Image.info: the color space
GRAY_MODES = ("1", "L", "LA", "La")


def convert_to_rgb(image: Picture, needed_side: int | None = None) -> Picture:
    """Convert a picture to sRGB with 8 bits per channel.

    ICC profiles are applied, HDR is tone-mapped, 16 bits and floats are scaled, and transparent
    parts get a ground that contrasts with the content. needed_side: the short side in pixels that
    the caller needs. A much larger picture in another color space is reduced first, which is fast.
    """
    if image.mode == "RGB" and not {"transparency", *COLOR_KEYS} & image.info.keys():
        return image
    image = gray_samples.scale_gray_samples(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        exact = icc.convert_to_srgb(image) if image.mode.startswith("I;16") else None
        return exact or _convert_opaque(_scale_to_8_bits(image))
    if not image.has_transparency_data:
        return _convert_opaque(_reduce(image, needed_side))
    colors, alpha = _split_alpha(image)
    return transparency.fill_transparent_parts(_convert_opaque(colors), alpha)


def find_version(image: Picture) -> int:
    """Return the version of the decoder that changed the colors of an opened picture; 0: none.

    Version 0 ignored ICC profiles except for CMYK, and put white under all transparent pictures.
    The picture is not decoded.
    """
    is_changed = (
        image.has_transparency_data or nclx.INFO_KEY in image.info or icc.has_other_colors(image)
    )
    return PROFILES_VERSION if is_changed else 0


def _reduce(image: Picture, needed_side: int | None) -> Picture:
    """Return a picture of another color space at a smaller size, at least twice the needed one."""
    factor = min(image.size) // (2 * needed_side) if needed_side else 1
    if factor < 2 or image.mode not in ("L", "RGB", "CMYK") or not COLOR_KEYS & image.info.keys():
        return image
    return image.reduce(factor)


def _split_alpha(image: Picture) -> tuple[Picture, Picture]:
    """Return the colors of a transparent picture, in the mode L or RGB, and its alpha."""
    is_gray = image.mode in GRAY_MODES
    layers = image.convert("LA" if is_gray else "RGBA")
    colors = layers.getchannel("L") if is_gray else layers.convert("RGB")
    colors.info = _get_color_info(image)  # without a transparent color
    return colors, layers.getchannel("A")


def _convert_opaque(image: Picture) -> Picture:
    """Convert a picture without alpha to sRGB."""
    if image.mode not in ("L", "RGB", "CMYK"):
        info = _get_color_info(image)
        image = image.convert("L" if image.mode in GRAY_MODES else "RGB")
        image.info = info
    code = image.info.get(nclx.INFO_KEY)
    if code is not None:
        from PIL import Image

        values = np.asarray(image.convert("RGB"))
        converted: Picture = Image.fromarray(
            hdr.convert_hdr_to_srgb(values, code.transfer, code.primaries)
        )
        return converted
    return icc.convert_to_srgb(image) or image.convert("RGB")


def _get_color_info(image: Picture) -> dict[str | tuple[int, int], Any]:
    """Return the entries of a picture's info that define its color space."""
    return {key: value for key, value in image.info.items() if key in COLOR_KEYS}


def _scale_to_8_bits(image: Picture) -> Picture:
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
    gray.info = _get_color_info(image)
    return gray
