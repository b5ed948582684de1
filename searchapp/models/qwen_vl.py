"""What Qwen2-VL and Qwen3-VL share: they divide a picture into square tokens."""

from __future__ import annotations

from dataclasses import replace

from searchapp.errors import ModelError
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput
from searchapp.types import ModelOptions

MAX_TOKENS = 512  # default number of tokens of a picture
MIN_TOKENS = 4
MAX_MODEL_LEN = 8192


def make_spec(
    name: str,
    source: str,
    revision: str,
    dimensions: int,
    weights_mb: int,
    *,
    architecture: str,
    prompts: Prompts,
    token_side: int,
    instruction: str | None = None,
) -> ModelSpec:
    """Return the spec of a model. token_side: side of a token in pixels."""
    spec = ModelSpec(
        name=name,
        source=source,
        revision=revision,
        architecture=architecture,
        dimensions=dimensions,
        prompts=prompts,
        image=ImageInput("bound", max_pixels=MAX_TOKENS * token_side**2),
        text_limit=MAX_MODEL_LEN,
        licence="Apache-2.0",
        weights_mb=weights_mb,
        placeholder="<|image_pad|>",
        pooling="LAST",
        instruction=instruction,
        engine_arguments={"max_model_len": MAX_MODEL_LEN},
    )
    return apply_pixel_limit(spec, ModelOptions(), token_side)


def apply_pixel_limit(spec: ModelSpec, options: ModelOptions, token_side: int) -> ModelSpec:
    """Return the spec with the user's --max-pixels, the maximum number of pixels of a picture.

    token_side: side of a token in pixels.
    """
    if options.num_crops is not None:
        raise ModelError(f"the model {spec.name} has no option --num-crops; use --max-pixels")
    token_pixels = token_side * token_side
    min_pixels = MIN_TOKENS * token_pixels
    max_pixels = options.max_pixels or spec.image.max_pixels
    if max_pixels < min_pixels:
        raise ModelError(f"the model {spec.name} needs --max-pixels {min_pixels} or more")
    limited_spec = replace(
        spec,
        image=ImageInput(
            "bound", max_pixels=max_pixels, min_pixels=min_pixels, multiple=token_side
        ),
        image_tokens=max_pixels // token_pixels + 8,
    )
    size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    return limited_spec.with_processor_arguments(size=size)
