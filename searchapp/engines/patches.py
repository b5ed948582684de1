"""Turn pictures into Qwen-VL's input tensors faster than the model's own processor.

Such a processor divides a picture into patches and scales each channel linearly. What else vLLM
renders depends only on the size of the picture: so it is rendered once for each size.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.pixels import (
    MAX_PIXEL_DIFFERENCE,
    PIXEL_VALUES_KEY,
    make_noise_picture,
    make_picture_id,
)

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

MAX_SIZES = 512  # of pictures, to remember
GRID_KEY = "image_grid_thw"
CHANNELS = 3


@dataclass(frozen=True, slots=True)
class PatchLayout:
    """How Qwen-VL's processor divides a picture: the configuration of the vision model."""

    patch: int  # side in pixels
    merge: int  # patches on a side of a token
    frames: int  # of a patch; a picture is repeated for each

    @classmethod
    def from_config(cls, vision: Any) -> PatchLayout:
        """Return the layout of a Hugging Face vision_config; raises AttributeError."""
        return cls(vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)

    def divide(self, image: Picture) -> Any:
        """Return the patches of a picture: uint8, [patches, channels * frames * patch * patch]."""
        import torch

        merge, side = self.merge, self.patch * self.merge
        across, down = image.width // side, image.height // side
        channels = np.ascontiguousarray(np.array(image).transpose(2, 0, 1))
        # A row of a patch moves as a whole: four times as fast as its pixels.
        row = np.dtype((np.void, self.patch))
        rows = channels.view(row).reshape(
            CHANNELS, down, self.merge, self.patch, across, self.merge
        )
        patches = np.empty((down, across, merge, merge, CHANNELS, self.frames, self.patch), row)
        patches[...] = rows.transpose(1, 4, 2, 5, 0, 3)[:, :, :, :, :, None]
        count = down * across * merge**2
        return torch.from_numpy(patches.view(np.uint8).reshape(count, -1))


@dataclass(frozen=True, slots=True)
class _Template:
    """What vLLM renders for a picture of one size, and how its processor scales the channels."""

    rendered: Any
    scale: Any  # float32, [1, channels * frames * patch * patch]; None: bytes are not scaled
    shift: Any


class PatchRenderer:
    """Renders pictures in one prompt as vLLM's renderer does, but faster."""

    def __init__(self, render: Callable[[Picture], Any], layout: PatchLayout) -> None:
        """render: vLLM's renderer, for the same prompt."""
        self._render, self._layout = render, layout
        self._templates = OrderedDict[tuple[int, int], _Template | None]()
        self._lock = threading.Lock()

    def render_picture(self, image: Picture) -> Any | None:
        """Return a picture in the rendered form that vLLM's engine takes as input.

        Return None if this renderer cannot render pictures of this size. At the first picture of a
        size, vLLM's renderer shows whether the result is the same.
        """
        if image.mode != "RGB":
            return None
        with self._lock:
            if image.size not in self._templates:
                self._templates[image.size] = self._learn_size(image.size)
                if len(self._templates) > MAX_SIZES:
                    self._templates.popitem(last=False)
            self._templates.move_to_end(image.size)
            template = self._templates[image.size]
        return None if template is None else self._fill(template, image)

    def _learn_size(self, size: tuple[int, int]) -> _Template | None:
        """Return a template for a size if pictures of noise are rendered as vLLM renders them."""
        side = self._layout.patch * self._layout.merge
        if size[0] % side or size[1] % side:
            return None
        try:
            first, second = (make_noise_picture(*size, seed=seed) for seed in (0, 1))
            example = self._render(first)
            template = _Template(example, *self._fit_scale(first, _get_item(example)))
            is_same = self._is_same(self._fill(template, second), self._render(second))
        except Exception as error:  # Another version of vLLM: use its own renderer.
            logger.debug("vLLM renders pictures of %d x %d: %r", *size, error)
            return None
        if not is_same:
            logger.debug("vLLM renders pictures of %d x %d: the values differ", *size)
        return template if is_same else None

    def _fit_scale(self, image: Picture, item: Any) -> tuple[Any, Any]:
        """Return scale and shift of each value of a patch; None if vLLM passes on the bytes."""
        import torch

        values = item[PIXEL_VALUES_KEY].data
        if values.dtype == torch.uint8:
            return None, None
        ours = self._layout.divide(image).to(torch.float64)
        per_channel = ours.shape[1] // CHANNELS
        lines = [
            np.polyfit(ours[:, columns].ravel(), values[:, columns].double().ravel(), 1)
            for start in range(0, ours.shape[1], per_channel)
            for columns in [slice(start, start + per_channel)]
        ]
        scale, shift = torch.tensor(np.array(lines), dtype=torch.float32).T
        return scale.repeat_interleave(per_channel), shift.repeat_interleave(per_channel)

    def _fill(self, template: _Template, image: Picture) -> Any:
        """Return the rendered form of a picture of the template's size."""
        import torch

        rendered = template.rendered
        item = _get_item(rendered)
        values = self._layout.divide(image)
        if template.scale is not None:
            values = values.to(torch.float32).mul_(template.scale).add_(template.shift)
            values = values.to(item[PIXEL_VALUES_KEY].data.dtype)
        parts = dict(item) | {PIXEL_VALUES_KEY: replace(item[PIXEL_VALUES_KEY], data=values)}
        kwargs, hashes = rendered["mm_kwargs"], rendered["mm_hashes"]
        return {
            **rendered,
            "mm_kwargs": type(kwargs)({"image": [type(item)(parts)]}),
            "mm_hashes": type(hashes)({"image": [make_picture_id()]}),
        }

    def _is_same(self, ours: Any, theirs: Any) -> bool:
        """Return whether two renderings are equal but for the name of the picture."""
        if set(ours) != set(theirs) or ours["prompt_token_ids"] != theirs["prompt_token_ids"]:
            return False
        if ours["mm_placeholders"] != theirs["mm_placeholders"]:
            return False
        made, expected = _get_item(ours), _get_item(theirs)
        if not bool((made[GRID_KEY].data == expected[GRID_KEY].data).all()):
            return False
        values, wanted = made[PIXEL_VALUES_KEY].data, expected[PIXEL_VALUES_KEY].data
        if values.dtype != wanted.dtype or values.shape != wanted.shape:
            return False
        return bool((values.float() - wanted.float()).abs().max() < MAX_PIXEL_DIFFERENCE)


def _get_item(rendered: Any) -> Any:
    """Return the picture of a rendered prompt; raises KeyError if it has unexpected parts."""
    (item,) = rendered["mm_kwargs"]["image"]
    if set(item) != {PIXEL_VALUES_KEY, GRID_KEY}:
        raise KeyError(f"unexpected parts of a rendered picture: {sorted(item)}")
    return item
