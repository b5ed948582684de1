"""CLIP: two towers, so a text or a picture, never both; a text of at most 77 tokens."""

from __future__ import annotations

from typing import Any

from searchapp.images import ImageInput
from searchapp.models.spec import ModelSpec, Prompts, mean_colour

ARCHITECTURE = "CLIPModel"
PROMPTS = Prompts(document="", text="{text}", image="")

CLIP_VIT_B_32 = ModelSpec(
    name="clip-vit-b-32",
    source="openai/clip-vit-base-patch32",
    revision="3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
    architecture=ARCHITECTURE,
    dimensions=512,
    prompts=PROMPTS,
    image=ImageInput(side=224, centre_crop=True),
    text_limit=77,
    pad_text=False,
    licence="MIT",
    weights_mb=605,
    download=("*.json", "*.txt", "pytorch_model.bin"),  # this revision has no safetensors
)
CLIP_VIT_L_14 = ModelSpec(
    name="clip-vit-l-14",
    source="openai/clip-vit-large-patch14",
    revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
    architecture=ARCHITECTURE,
    dimensions=768,
    prompts=PROMPTS,
    image=ImageInput(side=224, centre_crop=True),
    text_limit=77,
    pad_text=False,
    licence="MIT",
    weights_mb=1710,
)
MODELS = (CLIP_VIT_B_32, CLIP_VIT_L_14)


def from_folder(
    folder: str, revision: str, weights_mb: int, config: dict[str, Any], processor: dict[str, Any]
) -> ModelSpec:
    """Describe a CLIP folder by its configuration; KeyError where that lacks something."""
    crop = processor["crop_size"]
    side = crop["height"] if isinstance(crop, dict) else crop
    return ModelSpec(
        name=folder,
        source=folder,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=config["projection_dim"],
        prompts=PROMPTS,
        image=ImageInput(
            side, processor.get("do_center_crop", True), mean_colour(processor),
            processor.get("resample", 3),
        ),
        text_limit=config["text_config"].get("max_position_embeddings", 77),
        pad_text=False,
        licence="see its model card",
        weights_mb=weights_mb,
    )  # fmt: skip
