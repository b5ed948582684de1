"""Qwen3-VL-Embedding: texts, pictures, and both; an instruction; vectors that can be cut short."""

from __future__ import annotations

from dataclasses import replace

from searchapp.errors import ModelError
from searchapp.models.local_folder import Folder
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput
from searchapp.types import ModelOptions

ARCHITECTURE = "Qwen3VLForConditionalGeneration"
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
TEMPLATE = (
    "<|im_start|>system\n{instruction}<|im_end|>\n"
    "<|im_start|>user\n[]<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = Prompts(
    document=TEMPLATE.replace("[]", IMAGE),
    text=TEMPLATE.replace("[]", "{text}"),
    image=TEMPLATE.replace("[]", IMAGE),
    text_image=TEMPLATE.replace("[]", IMAGE + "{text}"),
)
INSTRUCTION = "Represent the user's input."
MIN_PIXELS = 4096
MAX_PIXELS = 512 * 32 * 32  # a token is 32 x 32 pixels: 512 tokens a picture
MAX_MODEL_LEN = 8192


def _spec(
    name: str,
    source: str,
    revision: str,
    dimensions: int,
    weights_mb: int,
    licence: str = "Apache-2.0",
    limit: int = MAX_MODEL_LEN,
) -> ModelSpec:
    spec = ModelSpec(
        name=name,
        source=source,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=dimensions,
        prompts=PROMPTS,
        image=ImageInput("bound", max_pixels=MAX_PIXELS),
        text_limit=limit,
        licence=licence,
        weights_mb=weights_mb,
        placeholder="<|image_pad|>",
        pooling="LAST",
        instruction=INSTRUCTION,
        matryoshka=True,
        engine_arguments={"max_model_len": limit},
    )
    return bounded(spec, ModelOptions())


def bounded(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec with pictures of as many pixels as the user wants."""
    if options.num_crops is not None:
        raise ModelError(f"{spec.name} has no --num-crops; it has --max-pixels")
    most = options.max_pixels or spec.image.max_pixels
    if most < MIN_PIXELS:
        raise ModelError(f"{spec.name}: --max-pixels must be {MIN_PIXELS} or more")
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": most}
    bound = ImageInput("bound", max_pixels=most)
    return replace(spec, image=bound, image_tokens=most // 1024 + 8).with_processor(size=size)


MODELS = (
    _spec("qwen3-vl-embedding-2b", "Qwen/Qwen3-VL-Embedding-2B",
          "9f2f7e710d6d81056aa5c0a4f04764fec6bb7bda", 2048, 4260),
    _spec("qwen3-vl-embedding-8b", "Qwen/Qwen3-VL-Embedding-8B",
          "2c4565515e0f265c6511776e7193b22c0968ddc7", 4096, 16290),
)  # fmt: skip


def from_folder(folder: Folder) -> ModelSpec:
    """Describe a Qwen3-VL folder, taken for an Embedding; KeyError where it lacks something."""
    text = folder.config["text_config"]
    limit = min(MAX_MODEL_LEN, text.get("max_position_embeddings", MAX_MODEL_LEN))
    return _spec(folder.path, folder.path, folder.fingerprint, text["hidden_size"],
                 folder.weights_mb, "see its card", limit)  # fmt: skip
