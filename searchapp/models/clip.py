"""CLIP models: embed a text of at most 77 tokens or a picture, never both at once."""

from __future__ import annotations

from searchapp.models.local_folder import ModelFolder
from searchapp.models.spec import ModelSpec, Prompts, compute_mean_color
from searchapp.pictures.model_size import ImageInput

ARCHITECTURE = "CLIPModel"
PROMPTS = Prompts(document="", text="{text}", image="")


def _make_clip_spec(
    name: str, source: str, revision: str, dimensions: int, weights_mb: int, weights_pattern: str
) -> ModelSpec:
    return ModelSpec(
        name=name,
        source=source,
        revision=revision,
        architecture=ARCHITECTURE,
        dimensions=dimensions,
        prompts=PROMPTS,
        image=ImageInput("crop", side=224),
        text_limit=77,
        licence="MIT",
        weights_mb=weights_mb,
        download=("*.json", "*.txt", weights_pattern),
    )


MODELS = (
    # This revision of the smaller model has no safetensors file.
    _make_clip_spec("clip-vit-b-32", "openai/clip-vit-base-patch32",
          "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268", 512, 605, "pytorch_model.bin"),
    _make_clip_spec("clip-vit-l-14", "openai/clip-vit-large-patch14",
          "32bd64288804d66eefd0ccbe215aa642df71cc41", 768, 1710, "*.safetensors"),
)  # fmt: skip


def from_folder(folder: ModelFolder) -> ModelSpec:
    """Return the spec of a CLIP model folder; raise KeyError if its configuration lacks a value."""
    config, processor = folder.config, folder.processor
    crop = processor["crop_size"]
    return ModelSpec(
        name=folder.path,
        source=folder.path,
        revision=folder.fingerprint,
        architecture=ARCHITECTURE,
        dimensions=config["projection_dim"],
        prompts=PROMPTS,
        image=ImageInput(
            "crop" if processor.get("do_center_crop", True) else "squash",
            side=crop["height"] if isinstance(crop, dict) else crop,
            fill=compute_mean_color(processor),
            resample=processor.get("resample", 3),
        ),
        text_limit=config["text_config"].get("max_position_embeddings", 77),
        licence="see the model card",
        weights_mb=folder.weights_mb,
    )
