"""Embed without a model: the vector of a picture or a color word is made of its colors."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor
from PIL.Image import Image as Picture

from searchapp.engines import EngineInput, Refusal, embed_isolating_failures
from searchapp.engines.base import Vector, normalize_vector
from searchapp.models import ModelSpec

REFUSED_COLOR = (255, 0, 255)  # A picture of this color makes the complete call fail, as in vLLM.


class FakeEngine:
    """Embeds like vLLM: one bad input fails its call, and embed_isolating_failures finds it."""

    GRID_SIDE = 4
    DIMENSIONS = 3 * GRID_SIDE * GRID_SIDE

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self.embedded_count = 0  # Pictures, without texts.
        self.prompts: list[str] = []
        self.is_closed = False

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        assert not self.is_closed
        self.embedded_count += sum(item.image is not None for item in inputs)
        self.prompts += [item.prompt for item in inputs]
        return embed_isolating_failures(self._embed_batch, inputs)

    def count_tokens(self, prompt: str) -> int:
        return len(prompt.split())

    def close(self) -> None:
        self.is_closed = True

    def _embed_batch(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        return [normalize_vector(self._make_vector(item), self._spec) for item in inputs]

    def _make_vector(self, item: EngineInput) -> Vector:
        image = item.image or _draw_words(item.prompt)
        if image.getpixel((0, 0)) == REFUSED_COLOR:
            raise ValueError("a picture that the model does not take")
        small = image.resize((self.GRID_SIDE, self.GRID_SIDE), Image.Resampling.BOX)
        # The vector of black needs a direction, too.
        return np.asarray(small, dtype=np.float32).reshape(-1) / 255 + 0.05


def _draw_words(text: str) -> Picture:
    for word in re.findall(r"[a-z]+", text):
        if word in ImageColor.colormap:
            return Image.new("RGB", (8, 8), word)
    raise ValueError(f"no color in {text!r}")
