"""Load the pictures of subjects, and change their color and light; results are cached."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .canvas import MOODS, Color, relight

# For each color: hue, factor for saturation, factor for brightness.
COLOR_HUES: dict[str, tuple[float, float, float]] = {
    "red": (0.985, 1.0, 0.95),
    "orange": (0.07, 1.0, 1.05),
    "yellow": (0.135, 1.0, 1.2),
    "green": (0.36, 0.9, 0.8),
    "blue": (0.6, 1.0, 0.95),
    "purple": (0.77, 0.8, 0.9),
    "pink": (0.92, 0.5, 1.2),
    "brown": (0.065, 0.8, 0.66),
}
# For each color: factor for saturation, factor for brightness, added brightness.
COLORLESS_TONES: dict[str, tuple[float, float, float]] = {
    "white": (0.06, 0.45, 0.56),
    "grey": (0.05, 0.62, 0.06),
    "black": (0.12, 0.26, 0.0),
}
_glyph_folder = [Path("package/assets")]


def use_folder(folder: Path) -> None:
    """Set the folder from which load_glyph reads."""
    _glyph_folder[0] = folder
    load_glyph.cache_clear()


@lru_cache(maxsize=512)
def load_glyph(code: str, trim: float = 0.0) -> Image.Image:
    """Return the picture of a subject, cropped to its outline.

    code: Unicode code point of the emoji. trim: share of the height to cut off at the bottom.
    """
    image = Image.open(_glyph_folder[0] / f"{code}.webp").convert("RGBA")
    box = image.getchannel("A").point(lambda a: 255 * (a > 12)).getbbox() or (0, 0, 256, 256)
    left, top, right, bottom = box
    return image.crop((left, top, right, round(bottom - trim * (bottom - top))))


@lru_cache(maxsize=1024)
def recolor_glyph(
    code: str, trim: float, hue: tuple[float, float] | None, color: str
) -> Image.Image:
    """Return a subject in another color.

    hue: range of hues (0 to 1) to change; None: change all. color: empty to change nothing.
    """
    image = load_glyph(code, trim)
    if not color:
        return image
    alpha = image.getchannel("A")
    hsv = np.asarray(image.convert("RGB").convert("HSV")).astype(np.float32) / 255
    mask = np.ones(hsv.shape[:2], np.float32)
    if hue is not None:
        turn = (hsv[..., 0] - hue[0]) % 1.0
        is_in_hue_range = (turn <= (hue[1] - hue[0]) % 1.0).astype(np.float32)
        mask = is_in_hue_range * np.clip((hsv[..., 1] - 0.15) / 0.15, 0, 1)
    new = hsv.copy()
    if color in COLOR_HUES:
        tone, strength, bright = COLOR_HUES[color]
        new[..., 0] = tone
        new[..., 1] = np.clip(np.maximum(hsv[..., 1], 0.45) * strength, 0, 1)
        value = np.sqrt(hsv[..., 2]) if color == "brown" else hsv[..., 2]
        new[..., 2] = np.clip(value * bright, 0, 1)
    else:
        saturation_factor, bright, lift = COLORLESS_TONES[color]
        new[..., 1] = hsv[..., 1] * saturation_factor
        new[..., 2] = np.clip(lift + hsv[..., 2] * bright, 0, 1)
    rgb = np.asarray(Image.fromarray((new * 255).astype(np.uint8), "HSV").convert("RGB"))
    old = np.asarray(image.convert("RGB")).astype(np.float32)
    mixed = old + mask[..., None] * (rgb - old)
    result = Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8), "RGB")
    result.putalpha(alpha)
    return result


@lru_cache(maxsize=4096)
def light_glyph(
    code: str, trim: float, hue: tuple[float, float] | None, color: str, mood: str, indoor: bool
) -> Image.Image:
    """Return a subject in another color and in the light of a mood."""
    image = recolor_glyph(code, trim, hue, color)
    light: Color = MOODS[mood].subject_light
    if indoor:
        light = (0.96, 0.86, 0.72) if MOODS[mood].is_night else (1.0, 0.98, 0.95)
    rgb = np.asarray(image.convert("RGB")).astype(np.float32)
    gray = 0.0 if indoor else MOODS[mood].gray * 0.4
    relit = relight(rgb, light, gray)
    result = Image.fromarray(np.clip(relit, 0, 255).astype(np.uint8), "RGB")
    result.putalpha(image.getchannel("A"))
    return result
