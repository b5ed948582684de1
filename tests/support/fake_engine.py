"""An engine without a model: a picture's vector is its colours, a text's those of its words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor
from PIL.Image import Image as Picture

from searchapp.engines import EngineInput, Refusal, embed_isolating_failures
from searchapp.engines.base import Vector, normalize_vector
from searchapp.models import ModelSpec

REFUSED_COLOR = (255, 0, 255)  # a picture of this colour makes the whole call fail, as in vLLM


class FakeEngine:
    """Embeds like vLLM: a bad input fails its whole call, which embed_apart isolates."""

    GRID_SIDE = 4
    DIMENSIONS = 3 * GRID_SIDE * GRID_SIDE

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self.embedded_count = 0  # pictures
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
        # Off the origin, so that black has a direction too.
        return np.asarray(small, dtype=np.float32).reshape(-1) / 255 + 0.05


def _draw_words(text: str) -> Picture:
    for word in re.findall(r"[a-z]+", text):
        if word in ImageColor.colormap:
            return Image.new("RGB", (8, 8), word)
    raise ValueError(f"no colour in {text!r}")
