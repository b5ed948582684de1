"""Turn pictures into a language model's input tensors faster than the model's own processor.

What vLLM renders depends only on the size of the picture, except for the pixels. So it is rendered
once for each size. Each channel of the pixels is scaled linearly; the scales are fitted to vLLM's
output for pictures of noise. They are used only if the result is the same.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.picture_layouts import CHANNELS, PictureLayout
from searchapp.engines.pixels import (
    MAX_PIXEL_DIFFERENCE,
    PIXEL_VALUES_KEY,
    get_only_picture,
    make_noise_picture,
    replace_pixels,
)

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

MAX_SIZES = 512  # of pictures, to remember


@dataclass(frozen=True, slots=True)
class _Template:
    """What vLLM renders for a picture of one size, and how its processor scales the channels."""

    rendered: Any
    scale: Any  # float32, [3, 1]; None if vLLM passes on the bytes
    shift: Any


class SizedRenderer:
    """Renders pictures in one prompt as vLLM's renderer does, but faster."""

    def __init__(self, render: Callable[[Picture], Any], layout: PictureLayout) -> None:
        """render: vLLM's renderer, for the same prompt."""
        self._render, self._layout = render, layout
        self._templates = OrderedDict[tuple[int, int], _Template | None]()  # None: vLLM renders it
        self._seen = OrderedDict[tuple[int, int], None]()  # sizes that came once
        self._lock = threading.Lock()

    def render_picture(self, image: Picture) -> Any | None:
        """Return a picture in the rendered form that vLLM's engine takes as input.

        Return None if vLLM must render it. At the second picture of a size, vLLM's renderer shows
        whether the result is the same. A size that comes once is not worth that.
        """
        if image.mode != "RGB":
            return None
        with self._lock:
            template = self._get_template(image.size)
        return None if template is None else self._fill(template, image)

    def _get_template(self, size: tuple[int, int]) -> _Template | None:
        if size in self._templates:
            self._templates.move_to_end(size)
            return self._templates[size]
        if size not in self._seen:
            self._seen[size] = None
            if len(self._seen) > MAX_SIZES:
                self._seen.popitem(last=False)
            return None
        del self._seen[size]
        self._templates[size] = template = self._learn_size(size)
        if len(self._templates) > MAX_SIZES:
            self._templates.popitem(last=False)
        return template

    def _learn_size(self, size: tuple[int, int]) -> _Template | None:
        """Return a template for a size if pictures of noise are rendered as vLLM renders them."""
        try:
            first, second = (make_noise_picture(*size, seed=seed) for seed in (0, 1))
            example = self._render(first)
            template = _Template(example, *self._fit_scale(first, get_only_picture(example)))
            is_same = _is_same(self._fill(template, second), self._render(second))
        except Exception as error:  # Another version of vLLM: use its own renderer.
            logger.debug("vLLM renders pictures of %d x %d: %r", *size, error)
            return None
        if not is_same:
            logger.debug("vLLM renders pictures of %d x %d: the values differ", *size)
        return template if is_same else None

    def _fit_scale(self, image: Picture, item: Any) -> tuple[Any, Any]:
        """Return scale and shift of each channel; None if vLLM passes on the bytes."""
        import torch

        values = item[PIXEL_VALUES_KEY].data
        if values.dtype == torch.uint8:
            return None, None
        ours = self._layout(image)
        theirs = values[: len(ours)].reshape(ours.shape)
        lines = [
            np.polyfit(ours[:, channel].double().ravel(), theirs[:, channel].double().ravel(), 1)
            for channel in range(CHANNELS)
        ]
        scale, shift = torch.tensor(np.array(lines), dtype=torch.float32).T
        return scale[:, None], shift[:, None]

    def _fill(self, template: _Template, image: Picture) -> Any:
        """Return the rendered form of a picture of the template's size."""
        import torch

        rendered = template.rendered
        example = get_only_picture(rendered)[PIXEL_VALUES_KEY].data
        values = self._layout(image).flatten(2)
        if template.scale is not None:
            values = values.to(torch.float32).mul_(template.scale).add_(template.shift)
        values = values.to(example.dtype)
        if missing := len(example) - len(values):  # Phi-3-vision adds tiles of zeros.
            values = torch.cat([values, values.new_zeros((missing, *values.shape[1:]))])
        return replace_pixels(rendered, values.reshape(example.shape))


def _is_same(ours: Any, theirs: Any) -> bool:
    """Return whether two renderings are equal but for the name of the picture."""
    keys = ("prompt_token_ids", "mm_placeholders")
    if set(ours) != set(theirs) or any(ours[key] != theirs[key] for key in keys):
        return False
    made, expected = get_only_picture(ours), get_only_picture(theirs)
    if set(made) != set(expected):
        return False
    for key in set(made) - {PIXEL_VALUES_KEY}:
        if not bool((made[key].data == expected[key].data).all()):
            return False
    values, wanted = made[PIXEL_VALUES_KEY].data, expected[PIXEL_VALUES_KEY].data
    if values.dtype != wanted.dtype or values.shape != wanted.shape:
        return False
    return bool((values.float() - wanted.float()).abs().max() < MAX_PIXEL_DIFFERENCE)
