"""What a model must be told, and what it is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchapp.images import ImageInput
from searchapp.types import Modality

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class Prompts:
    """A model's exact prompts; {text} is the query's, None what the model cannot do."""

    document: str  # for a picture that is indexed
    text: str | None = None
    image: str | None = None
    text_image: str | None = None

    def of(self, modality: Modality) -> str | None:
        """Return the prompt of a kind of query."""
        return {"text": self.text, "image": self.image, "text+image": self.text_image}[modality]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as searchapp uses it: where it comes from, its prompts and its bounds."""

    name: str  # as users say it; for a folder its absolute path
    source: str  # a repository of the model hub, or the absolute path of a folder
    revision: str  # a commit of the repository, or a fingerprint of the folder
    architecture: str
    dimensions: int
    prompts: Prompts
    image: ImageInput
    text_limit: int  # tokens
    pad_text: bool  # to text_limit: what the model was trained with
    licence: str
    weights_mb: int  # roughly, as downloaded
    engine_arguments: Mapping[str, Any] = field(default_factory=dict)
    download: tuple[str, ...] = ("*.json", "*.txt", "*.safetensors")  # files of the repository

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Return the kinds of query the model can embed."""
        kinds: tuple[Modality, ...] = ("text", "image", "text+image")
        return tuple(kind for kind in kinds if self.prompts.of(kind) is not None)

    @property
    def is_folder(self) -> bool:
        """Tell whether the model is a folder on disk, and not one of the hub."""
        return Path(self.source).is_absolute()

    @property
    def settings(self) -> str:
        """Return, as JSON, what else than model and revision the vectors depend on."""
        image = self.image
        return json.dumps(
            {
                "document": self.prompts.document,
                "side": image.side,
                "centre_crop": image.centre_crop,
                "resample": image.resample,
            },
            sort_keys=True,
        )


@dataclass(frozen=True, slots=True)
class EngineInput:
    """What the engine embeds: a prompt, and the picture that it speaks of."""

    prompt: str
    image: Picture | None = None


def mean_colour(processor: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the colour that an image processor's normalisation makes zero."""
    red, green, blue = (round(255 * part) for part in processor.get("image_mean", (0.5, 0.5, 0.5)))
    return red, green, blue
