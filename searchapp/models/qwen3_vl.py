"""Qwen3-VL-Embedding models: embed texts, pictures, or both in one prompt.

These models take an instruction, and their vectors can be cut to fewer dimensions.
"""

from __future__ import annotations

from searchapp.models.local_folder import ModelFolder
from searchapp.models.pixel_limit import MAX_TOKENS, apply_pixel_limit
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput
from searchapp.types import ModelOptions

ARCHITECTURE = "Qwen3VLForConditionalGeneration"
IMAGE_PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"
CHAT_TEMPLATE = (
    "<|im_start|>system\n{instruction}<|im_end|>\n"
    "<|im_start|>user\n[]<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = Prompts(
    document=CHAT_TEMPLATE.replace("[]", IMAGE_PLACEHOLDER),
    text=CHAT_TEMPLATE.replace("[]", "{text}"),
    image=CHAT_TEMPLATE.replace("[]", IMAGE_PLACEHOLDER),
    text_image=CHAT_TEMPLATE.replace("[]", IMAGE_PLACEHOLDER + "{text}"),
)
DEFAULT_INSTRUCTION = "Represent the user's input."
TOKEN_SIDE_PX = 32
MAX_MODEL_LEN = 8192


def _make_spec(
    name: str,
    source: str,
    revision: str,
    dimensions: int,
    weights_mb: int,
    license_name: str = "Apache-2.0",
    text_limit: int = MAX_MODEL_LEN,
) -> ModelSpec:
    spec = ModelSpec(
        name=name,
        source=source,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=dimensions,
        prompts=PROMPTS,
        image=ImageInput("bound", max_pixels=MAX_TOKENS * TOKEN_SIDE_PX**2),
        text_limit=text_limit,
        licence=license_name,
        weights_mb=weights_mb,
        placeholder="<|image_pad|>",
        pooling="LAST",
        instruction=DEFAULT_INSTRUCTION,
        matryoshka=True,
        engine_arguments={"max_model_len": text_limit},
    )
    return apply_picture_options(spec, ModelOptions())


def apply_picture_options(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec with the user's --max-pixels, the maximum number of pixels of a picture."""
    return apply_pixel_limit(spec, options, TOKEN_SIDE_PX)


MODELS = (
    _make_spec("qwen3-vl-embedding-2b", "Qwen/Qwen3-VL-Embedding-2B",
          "9f2f7e710d6d81056aa5c0a4f04764fec6bb7bda", 2048, 4260),
    _make_spec("qwen3-vl-embedding-8b", "Qwen/Qwen3-VL-Embedding-8B",
          "2c4565515e0f265c6511776e7193b22c0968ddc7", 4096, 16290),
)  # fmt: skip


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of a Qwen3-VL model folder, which is assumed to be an embedding model.

    Raises KeyError if the configuration of the model lacks a value.
    """
    text = folder.config["text_config"]
    limit = min(MAX_MODEL_LEN, text.get("max_position_embeddings", MAX_MODEL_LEN))
    return _make_spec(folder.path, folder.path, folder.fingerprint, text["hidden_size"],
                 folder.weights_mb, "see the model card", limit)  # fmt: skip
