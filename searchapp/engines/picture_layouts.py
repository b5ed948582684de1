"""Divide pictures into patches or tiles, as the processors of Qwen-VL, Phi-3-vision and LLaVA-NeXT.

Each layout returns the pixel values before they are normalized: 0 to 255, [parts, 3, ...].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from searchapp.engines.resize import resize_to_channels
from searchapp.engines.tensors import picture_to_channels
from searchapp.models import ModelSpec
from searchapp.pictures.model_size import count_tiles

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

PictureLayout: TypeAlias = "Callable[[Picture], Any]"

CHANNELS = 3
PHI_TILE_PX = 336
BICUBIC = 3  # Pillow's number


@dataclass(frozen=True, slots=True)
class PatchLayout:
    """Qwen-VL: patches in the order of tokens, which are squares of patches."""

    patch: int  # side in pixels
    merge: int  # patches on a side of a token
    frames: int  # of a patch; a picture is repeated for each

    def __call__(self, image: Picture) -> Any:
        """Return uint8, [patches, 3, frames * patch * patch]; the sides must be whole tokens."""
        import torch

        merge, side = self.merge, self.patch * self.merge
        across, down = image.width // side, image.height // side
        if (across * side, down * side) != image.size:
            raise ValueError(f"{image.width} x {image.height} pixels are no multiple of {side}")
        channels = picture_to_channels(image).numpy()
        # A row of a patch moves as a whole: four times as fast as its pixels.
        row = np.dtype((np.void, self.patch))
        rows = channels.view(row).reshape(CHANNELS, down, merge, self.patch, across, merge)
        patches = np.empty((down, across, merge, merge, CHANNELS, self.frames, self.patch), row)
        patches[...] = rows.transpose(1, 4, 2, 5, 0, 3)[:, :, :, :, :, None]
        count = down * across * merge**2
        return torch.from_numpy(patches.view(np.uint8).reshape(count, CHANNELS, -1))


@dataclass(frozen=True, slots=True)
class PhiLayout:
    """Phi-3-vision: the whole picture at the size of a tile, then up to max_tiles tiles."""

    max_tiles: int  # num_crops

    def __call__(self, image: Picture) -> Any:
        """Return float32, [1 + tiles, 3, PHI_TILE_PX, PHI_TILE_PX]."""
        import torch
        from PIL import Image, ImageOps

        is_upright = image.width < image.height
        if is_upright:
            image = image.transpose(Image.Transpose.TRANSPOSE)
        width = count_tiles(image.width / image.height, self.max_tiles) * PHI_TILE_PX
        height = int(width * image.height / image.width)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        missing = -height % PHI_TILE_PX
        border = (0, missing // 2, 0, missing - missing // 2)
        image = ImageOps.expand(image, border, (255, 255, 255))
        if is_upright:
            image = image.transpose(Image.Transpose.TRANSPOSE)
        pixels = picture_to_channels(image).float()
        small = torch.nn.functional.interpolate(pixels[None], (PHI_TILE_PX,) * 2, mode="bicubic")
        return torch.cat([small, _cut_tiles(pixels, PHI_TILE_PX)])


@dataclass(frozen=True, slots=True)
class LlavaLayout:
    """LLaVA-NeXT: the squashed picture, then the tiles of the grid that fits best."""

    grids: tuple[tuple[int, int], ...]  # heights and widths in pixels
    side: int  # of a tile

    def __call__(self, image: Picture) -> Any:
        """Return uint8, [1 + tiles, 3, side, side]."""
        import torch

        height, width = self._choose_grid(image)
        scale_w, scale_h = width / image.width, height / image.height
        if scale_w < scale_h:
            size = width, min(math.ceil(image.height * scale_w), height)
        else:
            size = min(math.ceil(image.width * scale_h), width), height
        resized = resize_to_channels(image, size, BICUBIC)
        left, top = (width - size[0]) // 2, (height - size[1]) // 2
        padded = torch.zeros((CHANNELS, height, width), dtype=torch.uint8)
        padded[:, top : top + size[1], left : left + size[0]] = resized
        small = resize_to_channels(image, (self.side, self.side), BICUBIC)
        return torch.cat([small[None], _cut_tiles(padded, self.side)])

    def _choose_grid(self, image: Picture) -> tuple[int, int]:
        """Return the grid that shows most pixels of a picture, and of these the smallest."""

        def count_pixels(grid: tuple[int, int]) -> tuple[int, int]:
            height, width = grid
            scale = min(width / image.width, height / image.height)
            shown = int(image.width * scale) * int(image.height * scale)
            used = min(shown, image.width * image.height)
            return used, used - height * width

        return max(self.grids, key=count_pixels)


def choose_layout(spec: ModelSpec, config: Any) -> PictureLayout | None:
    """Return the layout of a model; None if it has another one.

    config: of Hugging Face. Raises AttributeError or KeyError for an unusual one.
    """
    match spec.architecture:
        case "Qwen2VLForConditionalGeneration" | "Qwen3VLForConditionalGeneration":
            vision = config.vision_config
            return PatchLayout(
                vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
            )
        case "Phi3VForCausalLM":
            return PhiLayout(spec.engine_arguments["mm_processor_kwargs"]["num_crops"])
        case "LlavaNextForConditionalGeneration":
            grids = _to_pairs(config.image_grid_pinpoints)
            return LlavaLayout(grids, config.vision_config.image_size)
    return None


def _to_pairs(grids: Sequence[Sequence[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((height, width) for height, width in grids)


def _cut_tiles(pixels: Any, side: int) -> Any:
    """Return the tiles of [3, height, width], row by row: [tiles, 3, side, side]."""
    _, height, width = pixels.shape
    grid = pixels.reshape(CHANNELS, height // side, side, width // side, side)
    return grid.permute(1, 3, 0, 2, 4).reshape(-1, CHANNELS, side, side)
