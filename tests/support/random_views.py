"""Make views of random photos, for the scripts of data/starter, which must be on sys.path."""

from __future__ import annotations

import importlib
from typing import Any


def make_views(kind: str, photos: int, rounds: int) -> Any:
    """Return views of random photos with random features. kind: as in teacher_features."""
    import torch

    generator = torch.Generator().manual_seed(photos)
    features, views = (importlib.import_module(name) for name in ("teacher_features", "views"))
    drawn = [features.draw_round(kind, number, photos, 0) for number in range(rounds)]
    pixels = torch.randint(0, 255, (photos, 3, 192, 192), generator=generator, dtype=torch.uint8)
    width = features.count_feature_columns(is_fine=False)
    return views.Views(
        pixels,
        torch.stack([recipes for recipes, _ in drawn]),
        None if drawn[0][1] is None else torch.stack([blends for _, blends in drawn]),
        torch.randn(rounds, photos, width, generator=generator).half(),
    )
