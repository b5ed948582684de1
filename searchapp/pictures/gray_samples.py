"""Scale the samples of gray TIFFs with 12 or 16 bits so that 65535 is white, as in other files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

INFO_KEY = "gray_samples"  # in Pillow's Image.info: bits per sample, and whether 0 is white
BITS_TAG, PHOTOMETRIC_TAG = 258, 262
WHITE_IS_ZERO = 0
PILLOW_BITS = 16  # of the mode I;16, whatever the file has


def note_gray_samples(image: Picture) -> None:
    """Store how an opened TIFF keeps its samples in image.info, if Pillow does not scale them.

    Pillow scales and inverts samples of up to 8 bits only.
    """
    tags: Any = getattr(image, "tag_v2", {})
    if not image.mode.startswith("I;16") or not tags:
        return
    bits, is_white_zero = tags.get(BITS_TAG, (1,))[0], tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO
    if bits < PILLOW_BITS or is_white_zero:
        image.info[INFO_KEY] = (bits, is_white_zero)


def scale_gray_samples(image: Picture) -> Picture:
    """Return a gray picture in the mode I;16 whose white is 65535."""
    if INFO_KEY not in image.info:
        return image
    from PIL import Image

    bits, is_white_zero = image.info[INFO_KEY]
    max_value = (1 << bits) - 1
    values = np.minimum(np.asarray(image), max_value).astype(np.uint32)
    if is_white_zero:
        values = max_value - values
    scaled: Picture = Image.fromarray((values * 0xFFFF // max_value).astype(np.uint16))
    scaled.info = {key: value for key, value in image.info.items() if key != INFO_KEY}
    return scaled
