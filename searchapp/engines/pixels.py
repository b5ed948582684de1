"""Replace the pixels of a picture that vLLM has rendered; make pictures to compare renderers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PIXEL_VALUES_KEY = "pixel_values"
MAX_PIXEL_DIFFERENCE = 0.02  # rounding error of bfloat16 for values from -2 to 3
_numbers = itertools.count()


def make_picture_id() -> str:
    """Return the name under which vLLM caches what its vision model computes for a picture.

    The names are unique in the process, not only in an engine: after a restart, the new engine
    gets pictures that were rendered for the old one, and must tell them from its own.
    """
    return f"picture-{next(_numbers)}"


def get_only_picture(rendered: Any) -> Any:
    """Return the parts of the only picture of a rendered prompt, by their names."""
    (item,) = rendered["mm_kwargs"]["image"]
    return item


def replace_pixels(rendered: Any, values: Any) -> Any:
    """Return a rendered prompt with other pixel values, and a new name, for its only picture."""
    kwargs, hashes = rendered["mm_kwargs"], rendered["mm_hashes"]
    item = get_only_picture(rendered)
    parts = dict(item) | {PIXEL_VALUES_KEY: replace(item[PIXEL_VALUES_KEY], data=values)}
    return {
        **rendered,
        "mm_kwargs": type(kwargs)({"image": [type(item)(parts)]}),
        "mm_hashes": type(hashes)({"image": [make_picture_id()]}),
    }


def make_noise_picture(width: int, height: int, seed: int = 0) -> Picture:
    """Return an RGB picture of random values."""
    from PIL import Image

    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)
