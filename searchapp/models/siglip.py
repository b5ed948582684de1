"""SigLIP and SigLIP 2 models: embed a text or a picture; texts are lower-cased and padded."""

from __future__ import annotations

from searchapp.models.local_folder import ModelFolder
from searchapp.models.spec import ModelSpec, Prompts, compute_mean_color
from searchapp.pictures.model_size import ImageInput

ARCHITECTURE = "SiglipModel"
PROMPTS = Prompts(document="", text="{text}", image="")
GRAY = (128, 128, 128)
BILINEAR = 2


def _make_siglip2_spec(
    name: str, source: str, revision: str, side: int, dimensions: int, weights_mb: int
) -> ModelSpec:
    return ModelSpec(
        name=name,
        source=source,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=dimensions,
        prompts=PROMPTS,
        image=ImageInput("squash", side=side, fill=GRAY, resample=BILINEAR),
        text_limit=64,
        licence="Apache-2.0",
        weights_mb=weights_mb,
        pad_text=True,
        lower_text=True,
        download=("*.json", "*.model", "*.safetensors"),
    )


MODELS = (
    _make_siglip2_spec("siglip2-base", "google/siglip2-base-patch16-224",
             "75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2", 224, 768, 1500),
    _make_siglip2_spec("siglip2-so400m", "google/siglip2-so400m-patch14-384",
             "e8e487298228002f3d8a82e0cd5c8ea9c567f57f", 384, 1152, 4540),
)  # fmt: skip


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of a SigLIP model folder.

    Raises KeyError if the configuration of the model lacks a value.
    """
    text, processor = folder.config["text_config"], folder.processor
    return ModelSpec(
        name=folder.path,
        source=folder.path,
        revision=folder.fingerprint,
        architecture=ARCHITECTURE,
        dimensions=text.get("projection_size") or text["hidden_size"],
        prompts=PROMPTS,
        image=ImageInput(
            "squash",
            side=processor["size"]["height"],
            fill=compute_mean_color(processor),
            resample=processor.get("resample", 3),
        ),
        text_limit=text.get("max_position_embeddings", 64),
        licence="see the model card",
        weights_mb=folder.weights_mb,
        pad_text=True,
        lower_text=True,
    )
