"""Pictures are rendered as by the processor of a language model, or left to it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchapp.engines import sized_renderer
from searchapp.engines.picture_layouts import PatchLayout
from searchapp.engines.pixels import make_noise_picture
from searchapp.engines.sized_renderer import SizedRenderer
from searchapp.engines.torchvision_stub import patch_torchvision
from searchapp.pictures.model_size import ImageInput

torch = pytest.importorskip("torch")

LAYOUT = PatchLayout(patch=14, merge=2, frames=2)
SIDE = 28
MEAN, DEVIATION = np.array((0.48, 0.46, 0.41)), np.array((0.27, 0.26, 0.28))


@dataclass(frozen=True)
class Field:
    """A part of a rendered picture, as vLLM's MultiModalFieldElem."""

    data: Any


def divide(image: Image.Image) -> np.ndarray:
    """Return the patches, with the steps that transformers' Qwen2VLImageProcessor makes."""
    frames = np.stack([np.asarray(image).transpose(2, 0, 1)] * 2)
    down, across = image.height // 14, image.width // 14
    parts = frames.reshape(1, 2, 3, down // 2, 2, 14, across // 2, 2, 14)
    return parts.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(down * across, -1)


class FakeRenderer:
    """Renders a picture as vLLM does; it counts the pictures."""

    def __init__(self, convert: Callable[[np.ndarray], np.ndarray], *, other_tokens: bool) -> None:
        self.count, self._convert, self._other_tokens = 0, convert, other_tokens

    def __call__(self, image: Image.Image) -> Any:
        self.count += 1
        tokens = image.width * image.height // SIDE**2 + self.count * self._other_tokens
        grid = torch.tensor([1, image.height // 14, image.width // 14])
        values = torch.from_numpy(self._convert(divide(image)))
        item = {"pixel_values": Field(values), "image_grid_thw": Field(grid)}
        return {
            "prompt_token_ids": [5] * tokens,
            "mm_kwargs": {"image": [item]},
            "mm_hashes": {"image": [f"id-{self.count}"]},
            "mm_placeholders": {"image": [(0, tokens)]},
        }


def normalize(values: np.ndarray) -> np.ndarray:
    parts = values.reshape(len(values), 3, -1) / 255
    scaled = (parts - MEAN[:, None]) / DEVIATION[:, None]
    return scaled.reshape(values.shape).astype(np.float32)


def keep_bytes(values: np.ndarray) -> np.ndarray:
    return values


CONVERSIONS = [normalize, keep_bytes]  # as vLLM 0.26 and 0.32


@pytest.mark.parametrize("convert", CONVERSIONS)
def test_pictures_are_rendered_as_by_vllm(convert: Callable[[np.ndarray], np.ndarray]) -> None:
    theirs = FakeRenderer(convert, other_tokens=False)
    ours = SizedRenderer(theirs, LAYOUT)
    sizes = [(56, 84), (280, 28), (140, 112)]
    for size in sizes:
        assert ours.render_picture(make_noise_picture(*size)) is None
    for size, seed in itertools.product(sizes, range(3, 6)):
        image = make_noise_picture(*size, seed=seed)
        made, expected = ours.render_picture(image), theirs(image)
        assert made is not None
        assert made["prompt_token_ids"] == expected["prompt_token_ids"]
        (item,), (wanted,) = made["mm_kwargs"]["image"], expected["mm_kwargs"]["image"]
        assert item["image_grid_thw"].data.tolist() == wanted["image_grid_thw"].data.tolist()
        assert item["pixel_values"].data.dtype == wanted["pixel_values"].data.dtype
        difference = item["pixel_values"].data.float() - wanted["pixel_values"].data.float()
        assert difference.abs().max() < 1e-3


def test_a_size_is_learned_once_and_each_picture_has_its_own_name() -> None:
    """A size that comes once is not learned."""
    theirs = FakeRenderer(keep_bytes, other_tokens=False)
    ours = SizedRenderer(theirs, LAYOUT)
    names = set()
    assert ours.render_picture(make_noise_picture(56, 56)) is None
    assert theirs.count == 0
    for seed in range(8):
        made = ours.render_picture(make_noise_picture(56, 56, seed=seed))
        assert made is not None
        names |= set(made["mm_hashes"]["image"])
    assert (theirs.count, len(names)) == (2, 8)


@pytest.mark.parametrize(
    ("convert", "other_tokens"),
    [
        (lambda values: values[::-1].copy(), False),  # the patches have another order
        (lambda values: normalize(values) ** 2, False),
        (lambda values: np.repeat(values, 2, axis=0), False),
        (keep_bytes, True),  # the tokens depend on more than the size
    ],
)
def test_another_processor_is_left_to_vllm(
    convert: Callable[[np.ndarray], np.ndarray], other_tokens: bool
) -> None:
    theirs = FakeRenderer(convert, other_tokens=other_tokens)
    ours = SizedRenderer(theirs, LAYOUT)
    for _ in range(3):
        assert ours.render_picture(make_noise_picture(56, 84)) is None
    assert theirs.count == 2


def test_unusual_pictures_are_left_to_vllm() -> None:
    ours = SizedRenderer(FakeRenderer(keep_bytes, other_tokens=False), LAYOUT)
    for _ in range(3):
        assert ours.render_picture(make_noise_picture(56, 57)) is None
        assert ours.render_picture(make_noise_picture(56, 56).convert("L")) is None
    rendered = [ours.render_picture(make_noise_picture(56, 56)) for _ in range(2)]
    assert [each is not None for each in rendered] == [False, True]


def test_an_error_of_vllm_is_no_error_of_the_renderer() -> None:
    def fail(image: Image.Image) -> Any:
        raise ValueError("Failed to apply the processor")

    ours = SizedRenderer(fail, LAYOUT)
    for _ in range(3):
        assert ours.render_picture(make_noise_picture(56, 56)) is None


def test_the_number_of_remembered_sizes_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sized_renderer, "MAX_SIZES", 3)
    ours = SizedRenderer(FakeRenderer(keep_bytes, other_tokens=False), LAYOUT)
    for side in range(1, 8):
        ours.render_picture(make_noise_picture(SIDE, SIDE * side))
        for _ in range(2):
            made = ours.render_picture(make_noise_picture(SIDE * side, SIDE))
        assert made is not None
        assert max(len(ours._templates), len(ours._seen)) <= 3


def test_pictures_get_the_size_that_transformers_computes() -> None:
    patch_torchvision()
    smart_resize = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_qwen2_vl"
    ).smart_resize
    rng = random.Random(0)
    for _ in range(5000):
        unit = rng.choice((28, 32))
        limits = 4 * unit**2, rng.choice((16, 64, 512, 1024)) * unit**2
        width, height = (int(10 ** rng.uniform(0.3, 4)) for _ in range(2))
        if max(width, height) > 200 * min(width, height):
            continue
        target = ImageInput("bound", max_pixels=limits[1], min_pixels=limits[0], multiple=unit)
        expected = smart_resize(height, width, unit, *limits)
        assert target.compute_size(width, height) == tuple(reversed(expected))
