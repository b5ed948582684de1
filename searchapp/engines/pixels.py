"""Turn pictures into a two-tower model's input tensors faster than the model's own processor.

Such a processor crops the center of a picture and scales each channel linearly. The scales are
fitted to vLLM's output for pictures of noise. They are used only if the result is the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.tensors import picture_to_channels
from searchapp.pictures.model_size import ImageInput

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


class PixelRenderer:
    """Renders pictures of one size as vLLM's renderer does, but faster."""

    def __init__(self, example: Any, target: ImageInput, scale: Any, shift: Any) -> None:
        """Create a renderer from fitted values; `learn_from_renderer` calls this method."""
        self._example, self._side, self._fit = example, target.side, target.fit
        self._scale, self._shift = scale, shift  # [3, 1, 1], float32

    @classmethod
    def learn_from_renderer(
        cls, render: Callable[[Picture], Any], target: ImageInput
    ) -> PixelRenderer | None:
        """Return a renderer fitted to vLLM's renderer.

        Return None if vLLM's renderer does more than crop and scale.
        """
        side = target.side
        try:
            example = render(make_noise_picture(side, side))
            pixels = cls(
                example,
                target,
                *_fit_channels(make_noise_picture(side, side), _get_pixel_values(example)),
            )
            shapes = [(side, side)]
            if target.fit == "crop":
                shapes += [(side + 37, side), (side, side + 3), (side + 10, side)]
            same = all(
                pixels._matches_renderer(render, make_noise_picture(*shape, seed=1))
                for shape in shapes
            )
        except Exception:  # Another version of vLLM: use its own renderer.
            return None
        return pixels if same else None

    def can_render(self, image: Picture) -> bool:
        """Return whether a picture has a size and a mode that this renderer supports."""
        if self._fit == "squash" and image.width != image.height:
            return False
        return min(image.size) == self._side and image.mode == "RGB"

    def render_picture(self, image: Picture) -> Any:
        """Return a picture in the rendered form that vLLM's engine takes as input."""
        return replace_pixels(self._example, self._make_tensor(image))

    def _make_tensor(self, image: Picture) -> Any:
        import torch

        width, height = image.size
        left, top = (width - self._side) // 2, (height - self._side) // 2
        square = image.crop((left, top, left + self._side, top + self._side))
        channels = picture_to_channels(square)
        scaled = channels.to(torch.float32).mul_(self._scale).add_(self._shift)
        return scaled.to(_get_pixel_values(self._example).dtype)

    def _matches_renderer(self, render: Callable[[Picture], Any], image: Picture) -> bool:
        theirs, ours = render(image), self.render_picture(image)
        if theirs["prompt_token_ids"] != ours["prompt_token_ids"] or set(theirs) != set(ours):
            return False
        expected, made = _get_pixel_values(theirs), _get_pixel_values(ours)
        return expected.shape == made.shape and bool(
            (expected - made).abs().max() < MAX_PIXEL_DIFFERENCE
        )


def replace_pixels(rendered: Any, values: Any) -> Any:
    """Return a rendered prompt with other pixel values, and a new name, for its only picture."""
    kwargs, hashes = rendered["mm_kwargs"], rendered["mm_hashes"]
    (item,) = kwargs["image"]
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


def _get_pixel_values(rendered: Any) -> Any:
    """Return a rendered picture's tensor, [3, side, side].

    Raises KeyError if the rendered picture contains more than this tensor.
    """
    (item,) = rendered["mm_kwargs"]["image"]
    if set(item) != {PIXEL_VALUES_KEY}:
        raise KeyError(f"unexpected parts of a rendered picture: {sorted(item)}")
    return item[PIXEL_VALUES_KEY].data


def _fit_channels(image: Picture, values: Any) -> tuple[Any, Any]:
    """Return the scale and the shift of the channels, [3, 1, 1] each, fitted by least squares.

    image: the picture; values: the picture's channels as vLLM renders them.
    """
    import torch

    lines = [
        np.polyfit(channel.ravel().astype(np.float64), target.double().numpy().ravel(), 1)
        for channel, target in zip(np.moveaxis(np.array(image), 2, 0), values, strict=True)
    ]
    scale, shift = torch.tensor(np.array(lines), dtype=torch.float32).T.reshape(2, 3, 1, 1)
    return scale, shift
