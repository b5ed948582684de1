"""Random views of photos, stored as recipes of 60 bytes instead of pixels of 100 kB."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# A recipe: width and height of the crop (a negative width mirrors), x, y; factors for brightness,
# contrast, saturation, red, green and blue.
RECIPE_LENGTH = 10
LUMA_WEIGHTS = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Views:
    """Several rounds of views of the same photos, and the teachers' features of each view.

    `where` is a pair of index tensors (rounds, photos) that selects views.
    """

    pixels: Tensor  # uint8 [photos, 3, side, side]
    recipes: Tensor  # [rounds, photos, RECIPE_LENGTH]
    blend_recipes: Tensor | None  # [rounds, photos, 3]: other photo, kind of blending, share
    features: Tensor  # half [rounds, photos, features]

    def pick_random(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Return `where` for a random view of each photo."""
        rounds = torch.randint(0, len(self.recipes), photos.shape, device=photos.device)
        return rounds, photos


Selection = tuple[Views, tuple[Tensor, Tensor]]  # views, and `where` of the selected ones
Render = Callable[[Tensor, Tensor, int], Tensor]


def render_views(
    selections: Sequence[Selection], side: int, render: Render | None = None
) -> Tensor:
    """Return the pixels of selected views, 0 to 1, [n, 3, side, side], in one pass.

    Views that blend two photos must be in the last selection. render: render_recipes, compiled.
    """
    render = render or render_recipes
    pixels = [views.pixels[where[1]] for views, where in selections]
    recipes = [views.recipes[where] for views, where in selections]
    views, (rounds, photos) = selections[-1]
    if views.blend_recipes is None:
        return render(torch.cat(pixels), torch.cat(recipes), side)
    other, kind, share = views.blend_recipes[rounds, photos].unbind(-1)
    partners = other.long()
    pixels.append(views.pixels[partners])
    recipes.append(views.recipes[rounds, partners])
    pictures = render(torch.cat(pixels), torch.cat(recipes), side)
    count = len(photos)
    plain, first, second = pictures.split([len(pictures) - 2 * count, count, count])
    return torch.cat([plain, _blend_pictures(first, second, kind, share)])


def draw_view_recipes(
    photos: int, seed: int, *, mixed: bool, unchanged: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Return the recipes and blend recipes of one round of views, on the CPU.

    The same arguments give the same round, so that only its features need to be stored. mixed: each
    photo is blended with another, or the two are placed next to each other. unchanged: the round
    shows the photos unchanged.
    """
    generator = torch.Generator().manual_seed(seed)
    if unchanged:
        recipe = torch.tensor([1.0, 1, 0, 0, 1, 1, 1, 1, 1, 1])
        return recipe.expand(photos, RECIPE_LENGTH).clone(), None
    recipes = _draw_recipes(photos, generator)
    if not mixed:
        return recipes, None
    other = torch.randperm(photos, generator=generator).float()
    kind = torch.randint(0, 3, (photos,), generator=generator).float()
    share = 0.3 + 0.4 * torch.rand(photos, generator=generator)
    return recipes, torch.stack([other, kind, share], -1)


def _draw_recipes(count: int, generator: torch.Generator) -> Tensor:
    def uniform() -> Tensor:
        return torch.rand(count, generator=generator) * 2 - 1

    area, ratio = 0.675 + 0.325 * uniform(), (uniform() * math.log(4 / 3)).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = uniform() * (1 - width), uniform() * (1 - height)
    is_colored = (uniform() < 0.6).float()
    strengths = (0.4, 0.4, 0.4, 0.1, 0.1, 0.1)
    colors = [1 + is_colored * strength * uniform() for strength in strengths]
    colors[2] = torch.where(uniform() < -0.84, 0.0, colors[2])  # 8 % are gray
    flip = torch.where(uniform() < 0, -1.0, 1.0)
    return torch.stack([width * flip, height, left, top, *colors], -1)


def render_recipes(pixels: Tensor, recipes: Tensor, side: int) -> Tensor:
    """Crop, mirror and color photos, uint8 [n, 3, h, w]; return [n, 3, side, side], 0 to 1."""
    x = pixels.float() / 255
    width, height, left, top = recipes[:, :4].unbind(-1)
    zero = torch.zeros_like(width)
    frame = torch.stack([width, zero, left, zero, height, top], -1).view(-1, 2, 3)
    grid = F.affine_grid(frame, [*x.shape[:2], side, side], align_corners=False)
    x = F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)
    brightness, contrast, saturation = recipes[:, 4:7, None, None, None].unbind(1)
    x = x * brightness
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * contrast + mean
    gray = (x * torch.tensor(LUMA_WEIGHTS, device=x.device).view(1, 3, 1, 1)).sum(1, keepdim=True)
    x = (x - gray) * saturation + gray
    return (x * recipes[:, 7:10, None, None]).clamp(0, 1)


def _blend_pictures(first: Tensor, second: Tensor, kind: Tensor, share: Tensor) -> Tensor:
    """Place two pictures side by side (kind 0), one above the other (1), or blend them (2)."""
    kind, share = kind.view(-1, 1, 1, 1), share.view(-1, 1, 1, 1)
    line = torch.linspace(0, 1, first.shape[-1], device=first.device)
    across, down = line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
    cut = torch.where(kind == 0, (across < share).float(), (down < share).float())
    weight = torch.where(kind == 2, share, cut)
    return first * weight + second * (1 - weight)


def resize_pixels(pixels: Tensor, side: int) -> Tensor:
    """Resize pixels, 0 to 1, like Pillow's bicubic filter."""
    if pixels.shape[-1] == side:
        return pixels
    return F.interpolate(
        pixels, size=(side, side), mode="bicubic", antialias=True, align_corners=False
    ).clamp(0, 1)


def erase_parts(pixels: Tensor, probability: float) -> Tensor:
    """Set a random square to 0 in some standardized pictures; its side is a third of the side."""
    count, _, side, _ = pixels.shape
    position = torch.arange(side, device=pixels.device)
    start = torch.randint(0, side - side // 3, (2, count, 1), device=pixels.device)
    is_inside = (position >= start) & (position < start + side // 3)
    is_chosen = torch.rand(count, 1, 1, device=pixels.device) < probability
    box = is_inside[0, :, :, None] & is_inside[1, :, None, :] & is_chosen
    return pixels.masked_fill(box[:, None], 0.0)
