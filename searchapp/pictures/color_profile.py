"""Apply the ICC profile of a picture: the same numbers with other profiles are other colors."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PROBE_LEVELS = (0, 36, 73, 109, 146, 182, 219, 255)  # of each channel
MAX_SRGB_DIFFERENCE = 2  # levels; rounding, and variants of the sRGB profile
PROFILES_IN_CACHE = 64


def apply_profile(image: Picture) -> Picture:
    """Return a picture with its ICC profile applied, in sRGB; the same object if it has none."""
    transform = _get_transform(image)
    if transform is None:
        return image
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    converted: Picture = transform.apply(image.convert(_get_color_mode(image)))
    converted.info.pop("icc_profile", None)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def identify_profile(image: Picture) -> str:
    """Return a name for the colors that a picture's profile makes; empty if they are sRGB.

    Profiles that differ in their bytes, but not in their colors, have the same name.
    """
    profile = image.info.get("icc_profile") or b""
    return _build_transform(profile, _get_color_mode(image))[1] if profile else ""


def _get_transform(image: Picture) -> Any:
    profile = image.info.get("icc_profile") or b""
    return _build_transform(profile, _get_color_mode(image))[0] if profile else None


def _get_color_mode(image: Picture) -> str:
    if image.mode in ("L", "LA", "1"):
        return "L"
    return "CMYK" if image.mode == "CMYK" else "RGB"


@lru_cache(maxsize=PROFILES_IN_CACHE)
def _build_transform(profile: bytes, mode: str) -> tuple[Any, str]:
    """Return the transform of a profile to sRGB, None if it changes nothing, and a name for it.

    A profile that does not fit the mode, or is broken, has no transform, as in most viewers.
    """
    from PIL import Image, ImageCms

    probe = Image.new("RGB", (len(PROBE_LEVELS), len(PROBE_LEVELS) ** 2))
    probe.putdata([(r, g, b) for r in PROBE_LEVELS for g in PROBE_LEVELS for b in PROBE_LEVELS])
    probe = probe.convert(mode)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, mode, "RGB")
        shown = transform.apply(probe)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None, ""
    pairs = zip(probe.convert("RGB").tobytes(), shown.tobytes(), strict=True)
    if mode != "CMYK" and all(abs(a - b) <= MAX_SRGB_DIFFERENCE for a, b in pairs):
        return None, ""
    return transform, hashlib.sha256(shown.tobytes()).hexdigest()
