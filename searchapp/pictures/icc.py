"""Apply ICC profiles: convert the colors of a picture to sRGB, as its profile defines them."""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

MAX_PROFILE_BYTES = 8 << 20  # The largest profiles of printers have 3 MiB.
PROFILES_IN_CACHE = 16
MIN_PROFILE_BYTES = 132  # the header and the number of tags
# Profile classes that describe a device or a color space (ICC.1:2022, 7.2.5).
DEVICE_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
# Mode that a profile's color space needs, by the mode of the picture. As in ImageMagick, a profile
# for RGB also applies to a gray picture.
INPUT_MODES = {
    (b"RGB ", "RGB"): "RGB",
    (b"RGB ", "L"): "RGB",
    (b"GRAY", "L"): "L",
    (b"GRAY", "I;16"): "I;16",
    (b"GRAY", "I;16B"): "I;16B",
    (b"CMYK", "CMYK"): "CMYK",
}
# A profile that changes no color by more levels is sRGB: rounding, or a variant of its profile.
MAX_SRGB_DIFFERENCE = 2
PROBE_LEVELS = (0, 32, 64, 96, 128, 160, 192, 224, 255)  # of each channel


@dataclass(frozen=True, slots=True)
class _Transform:
    """A transform of lcms2 to sRGB, and the mode of its input. Safe to use from any thread."""

    input_mode: str
    lcms: Any


def convert_to_srgb(image: Picture) -> Picture | None:
    """Return a picture in RGB with its ICC profile applied; None if there is nothing to apply.

    image: in the mode L, RGB, CMYK or I;16. There is nothing to apply without a profile, for
    sRGB, and for a profile that is broken or does not fit the mode.
    """
    transform = _find_transform(image)
    if transform is None:
        return None
    if image.mode != transform.input_mode:
        image = image.convert(transform.input_mode)
    converted: Picture = transform.lcms.apply(image)
    return converted


def has_other_colors(image: Picture) -> bool:
    """Return whether the ICC profile of an opened picture makes other colors than sRGB.

    The profiles of CMYK do not count. The picture is not decoded.
    """
    return image.mode != "CMYK" and _find_transform(image, _get_color_mode(image)) is not None


def identify_profile(image: Picture) -> str:
    """Return a hash of the ICC profile of an opened picture; empty if its colors are sRGB."""
    if _find_transform(image, _get_color_mode(image)) is None:
        return ""
    return hashlib.sha256(image.info["icc_profile"]).hexdigest()


def _get_color_mode(image: Picture) -> str:
    """Return the mode of a picture without alpha and palette."""
    if image.mode == "CMYK" or image.mode.startswith("I;16"):
        return image.mode
    return "L" if image.mode in ("1", "L", "LA", "I", "F") else "RGB"


def _find_transform(image: Picture, mode: str | None = None) -> _Transform | None:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or len(profile) < MIN_PROFILE_BYTES:
        return None
    if len(profile) > MAX_PROFILE_BYTES:
        logger.debug("Ignored an ICC profile of %d bytes: it is too large.", len(profile))
        return None
    return _build_transform(profile, mode or image.mode)


@lru_cache(maxsize=PROFILES_IN_CACHE)
def _build_transform(profile: bytes, mode: str) -> _Transform | None:
    """Return the transform of a profile to sRGB; None if it is not applicable, or sRGB itself.

    Intent and black point are the defaults of ImageMagick: perceptual, without compensation.
    """
    from PIL import ImageCms

    space = profile[16:20]
    input_mode = INPUT_MODES.get((space, mode))
    if input_mode is None or profile[12:16] not in DEVICE_CLASSES:
        logger.debug("Ignored an ICC profile for %r: the picture has the mode %s.", space, mode)
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        lcms = ImageCms.buildTransform(
            source, target, input_mode, "RGB", ImageCms.Intent.PERCEPTUAL, ImageCms.Flags.NONE
        )
        if input_mode != "CMYK" and _keeps_colors(source, target):
            return None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.debug("Ignored a broken ICC profile: %s", error)
        return None
    return _Transform(input_mode, lcms)


def _keeps_colors(source: Any, target: Any) -> bool:
    """Return whether a profile for RGB or gray is sRGB, within MAX_SRGB_DIFFERENCE levels."""
    import numpy as np
    from PIL import Image, ImageCms

    is_gray = source.profile.xcolor_space.strip() == "GRAY"
    levels = np.array(PROBE_LEVELS, np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    probe: Picture = Image.fromarray(np.arange(256, dtype=np.uint8)[None] if is_gray else grid)
    lcms = ImageCms.buildTransform(source, target, probe.mode, "RGB")
    shown = np.asarray(lcms.apply(probe), np.int16)
    difference = np.abs(shown - np.asarray(probe.convert("RGB"), np.int16))
    return int(difference.max()) <= MAX_SRGB_DIFFERENCE
