"""Put a ground under transparent pictures that contrasts with what lies on it."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

GROUNDS = (255, 0, 128)  # gray levels: white, black, gray; earlier ones are preferred
MIN_CONTRAST = 64  # levels of luma between visible content and its ground
MIN_GAIN = 0.05  # share of the content that another ground than white must make visible
MAX_COUNTED_PIXELS = 1_000_000


def fill_transparent_parts(colors: Picture, alpha: Picture) -> Picture:
    """Return an RGB picture blended over the ground that contrasts most with its content.

    colors: RGB. alpha: L, 255 is opaque.
    """
    from PIL import Image

    if alpha.getextrema() == (255, 255):
        return colors
    ground = choose_ground(colors, alpha)
    if ground != GROUNDS[0]:
        logger.debug("Put the gray level %d under a transparent picture.", ground)
    filled: Picture = Image.new("RGB", colors.size, (ground,) * 3)
    filled.paste(colors, mask=alpha)
    return filled


def choose_ground(colors: Picture, alpha: Picture) -> int:
    """Return the gray level of GROUNDS on which the least content is lost.

    Content is lost if its luma is close to the ground. White is kept if another ground gains
    little: most logos and drawings are made for white.
    """
    scale = min(1.0, math.sqrt(MAX_COUNTED_PIXELS / (colors.width * colors.height)))
    size = max(1, round(colors.width * scale)), max(1, round(colors.height * scale))
    luma = np.asarray(colors.resize(size, 0).convert("L")).ravel()  # 0: the nearest pixel
    weights = np.asarray(alpha.resize(size, 0)).ravel()
    histogram = np.bincount(luma, weights, minlength=256)
    total = float(histogram.sum())
    if not total:
        return GROUNDS[0]
    levels = np.arange(256)
    lost = {
        ground: float(histogram[np.abs(levels - ground) < MIN_CONTRAST].sum()) / total
        for ground in GROUNDS
    }
    best = min(GROUNDS, key=lambda ground: lost[ground])  # the first of equal ones
    return best if lost[GROUNDS[0]] - lost[best] >= MIN_GAIN else GROUNDS[0]
