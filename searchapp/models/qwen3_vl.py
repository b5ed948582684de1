"""Qwen3-VL-Embedding models: embed texts, pictures, or both in one prompt.

These models take an instruction, and their vectors can be cut to fewer dimensions.
"""

from __future__ import annotations

from dataclasses import replace

from searchapp.models.adapt_spec import adapt_spec
from searchapp.models.local_folder import ModelFolder
from searchapp.models.qwen_vl import apply_pixel_limit, make_spec
from searchapp.models.spec import ModelSpec, Prompts
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


def apply_picture_options(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec with the user's --max-pixels, the maximum number of pixels of a picture."""
    return apply_pixel_limit(spec, options, TOKEN_SIDE_PX)


MODELS = tuple(
    replace(
        make_spec(*facts, architecture=ARCHITECTURE, prompts=PROMPTS, token_side=TOKEN_SIDE_PX,
                  instruction=DEFAULT_INSTRUCTION),
        matryoshka=True,
    )
    for facts in (
        ("qwen3-vl-embedding-2b", "Qwen/Qwen3-VL-Embedding-2B",
         "9f2f7e710d6d81056aa5c0a4f04764fec6bb7bda", 2048, 4260),
        ("qwen3-vl-embedding-8b", "Qwen/Qwen3-VL-Embedding-8B",
         "2c4565515e0f265c6511776e7193b22c0968ddc7", 4096, 16290),
    )
)  # fmt: skip


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of a Qwen3-VL model folder, which is assumed to be an embedding model.

    Raises KeyError if the configuration of the model lacks a value.
    """
    text = folder.config["text_config"]
    return adapt_spec(MODELS[0], folder, text, text["hidden_size"])
