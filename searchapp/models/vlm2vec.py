"""VLM2Vec: Phi-3.5-vision, trained to embed a text, a picture, or both in one prompt."""

from __future__ import annotations

from dataclasses import replace

from searchapp.errors import ModelError
from searchapp.models.adapt_spec import adapt_spec
from searchapp.models.local_folder import ModelFolder
from searchapp.models.spec import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput
from searchapp.types import ModelOptions

ARCHITECTURE = "Phi3VForCausalLM"
# Query prompts are byte for byte those of vLLM's example; the document prompt is VLM2Vec's own.
PROMPTS = Prompts(
    document="<|image_1|> Represent the given image.",
    text="Find me an everyday image that matches the given caption: {text}",
    image="<|image_1|> Find a day-to-day image that looks similar to the provided image.",
    text_image="<|image_1|> Represent the given image with the following question: {text}",
)
DEFAULT_NUM_CROPS = 4
TILE_SIDE_PX = 336  # side of a crop in pixels
BILINEAR = 2  # Pillow's number of the processor's resampling filter
MAX_MODEL_LEN = 4096


def _make_image_input(num_crops: int) -> ImageInput:
    return ImageInput("tiles", TILE_SIDE_PX, tile_count=num_crops, resample=BILINEAR)


def _count_image_tokens(num_crops: int) -> int:
    """Return the maximum number of tokens of a picture.

    Each crop, and the overview of the picture, has 12 rows of 12 tokens and a line end.
    """
    return (num_crops + 1) * 156 + 1


MODELS = (
    ModelSpec(
        name="vlm2vec",
        source="TIGER-Lab/VLM2Vec-Full",
        revision="e9afa98002097ac2471827ba23ea1f2ddd229480",
        architecture=ARCHITECTURE,
        dimensions=3072,
        prompts=PROMPTS,
        image=_make_image_input(DEFAULT_NUM_CROPS),
        text_limit=MAX_MODEL_LEN,
        licence="Apache-2.0",
        weights_mb=8290,
        image_tokens=_count_image_tokens(DEFAULT_NUM_CROPS),
        placeholder="<|image_1|>",
        pooling="LAST",
        engine_arguments={
            "max_model_len": MAX_MODEL_LEN,
            "mm_processor_kwargs": {"num_crops": DEFAULT_NUM_CROPS},
        },
        code=("configuration_phi3_v.py", "processing_phi3_v.py"),
        download=("*.json", "*.txt", "*.model", "*.py", "*.safetensors"),
    ),
)


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of a Phi-3-vision model folder; the model is assumed to be VLM2Vec.

    Raises KeyError if the configuration of the model lacks a value.
    """
    spec = adapt_spec(MODELS[0], folder, folder.config, folder.config["hidden_size"])
    return replace(spec, code=folder.code_files)


def apply_picture_options(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec with the user's --num-crops, the number of crops of a picture."""
    if options.max_pixels is not None:
        raise ModelError(f"the model {spec.name} has no option --max-pixels; use --num-crops")
    if options.num_crops is None:
        return spec
    crops = options.num_crops
    limited_spec = replace(
        spec, image=_make_image_input(crops), image_tokens=_count_image_tokens(crops)
    )
    return limited_spec.with_processor_arguments(num_crops=crops)
