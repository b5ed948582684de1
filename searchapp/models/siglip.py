"""SigLIP: two towers; texts are padded to the full length that the model was trained with."""

from __future__ import annotations

from typing import Any

from searchapp.images import ImageInput
from searchapp.models.spec import ModelSpec, Prompts, mean_colour

ARCHITECTURE = "SiglipModel"
PROMPTS = Prompts(document="", text="{text}", image="")


def from_folder(
    folder: str, revision: str, weights_mb: int, config: dict[str, Any], processor: dict[str, Any]
) -> ModelSpec:
    """Describe a SigLIP folder by its configuration; KeyError where that lacks something."""
    text = config["text_config"]
    return ModelSpec(
        name=folder,
        source=folder,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=text.get("projection_size") or text["hidden_size"],
        prompts=PROMPTS,
        image=ImageInput(
            processor["size"]["height"], False, mean_colour(processor), processor.get("resample", 3)
        ),
        text_limit=text.get("max_position_embeddings", 64),
        pad_text=True,
        licence="see its model card",
        weights_mb=weights_mb,
    )
