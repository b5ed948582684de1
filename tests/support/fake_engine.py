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
    """Embeds like vLLM: a bad picture fails its call, and embed_isolating_failures finds it."""

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
        # Each index run embeds some hundred sentences without a color; halving would take longer
        # than the run.
        refusals = {n: each for n, item in enumerate(inputs) if (each := _refuse_text(item))}
        others = [item for n, item in enumerate(inputs) if n not in refusals]
        outputs = iter(embed_isolating_failures(self._embed_batch, others))
        return [refusals[n] if n in refusals else next(outputs) for n in range(len(inputs))]

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


def _refuse_text(item: EngineInput) -> Refusal | None:
    """Return the refusal of a text without a color."""
    if item.image is not None or _find_color(item.prompt) is not None:
        return None
    return Refusal(f"no color in {item.prompt!r}")


def _find_color(text: str) -> str | None:
    """Return the first word that is the name of a color."""
    words = re.findall(r"[a-z]+", text)
    return next((word for word in words if word in ImageColor.colormap), None)


def _draw_words(text: str) -> Picture:
    color = _find_color(text)
    if color is None:
        raise ValueError(f"no color in {text!r}")
    return Image.new("RGB", (8, 8), color)
