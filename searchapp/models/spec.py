"""What a model must be told, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchapp.errors import ModelError
from searchapp.pictures.model_size import ImageInput
from searchapp.types import Modality, ModelOptions

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class Prompts:
    """A model's exact prompts; {text} is the query's, None what the model cannot do."""

    document: str  # for a picture that is indexed
    text: str | None = None
    image: str | None = None
    text_image: str | None = None

    def get_prompt(self, modality: Modality) -> str | None:
        """Return the prompt of a kind of query."""
        return {"text": self.text, "image": self.image, "text+image": self.text_image}[modality]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as searchapp uses it: where it comes from, its prompts and its bounds."""

    name: str  # as users say it; for a folder its absolute path
    source: str  # a repository of the model hub, or the absolute path of a folder
    revision: str  # a commit of the repository, or a fingerprint of the folder
    architecture: str
    dimensions: int  # of the vectors that are kept
    prompts: Prompts
    image: ImageInput
    text_limit: int  # tokens of a whole prompt, a picture's included
    licence: str
    weights_mb: int  # roughly, as downloaded
    pad_text: bool = False  # to text_limit: what the model was trained with
    lower_text: bool = False  # what the model was trained with
    image_tokens: int = 0  # at most, that a picture takes of text_limit beside a text
    placeholder: str | None = None  # stands for the picture in a prompt
    pooling: str | None = None  # vLLM's name of it, where the architecture does not tell
    instruction: str | None = None  # for {instruction} in the prompts; None: it takes none
    matryoshka: bool = False  # the first part of a vector is a vector, too
    cut_from: int | None = None  # the model's own dimensions, where fewer are kept
    engine_arguments: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()  # of the model's repository, that would run
    trusted: bool = False  # the user allows that code to run
    download: tuple[str, ...] = ("*.json", "*.txt", "*.safetensors")  # files of the repository

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Return the kinds of query the model can embed."""
        kinds: tuple[Modality, ...] = ("text", "image", "text+image")
        return tuple(kind for kind in kinds if self.prompts.get_prompt(kind) is not None)

    @property
    def is_folder(self) -> bool:
        """Tell whether the model is a folder on disk, and not one of the hub."""
        return Path(self.source).is_absolute()

    @property
    def vector_space(self) -> dict[str, Any]:
        """Return what else than model and revision the vectors depend on, for JSON."""
        image = self.image
        return {
            "dimensions": self.dimensions,
            "instruction": self.instruction,
            "document": self.prompts.document,
            "image": [image.fit, image.side, image.max_pixels, image.resample],
            "processor": dict(self.engine_arguments.get("mm_processor_kwargs", {})),
        }

    def with_dummy_weights(self) -> ModelSpec:
        """Return the spec with random weights, so that none need be there: for measurements."""
        return replace(
            self,
            engine_arguments={**self.engine_arguments, "load_format": "dummy"},
            download=tuple(p for p in self.download if not p.endswith((".safetensors", ".bin"))),
        )

    def with_processor_arguments(self, **arguments: Any) -> ModelSpec:
        """Return the spec with arguments for vLLM's image processor added."""
        merged = {**self.engine_arguments.get("mm_processor_kwargs", {}), **arguments}
        return replace(
            self, engine_arguments={**self.engine_arguments, "mm_processor_kwargs": merged}
        )


@dataclass(frozen=True, slots=True)
class EngineInput:
    """What the engine embeds: a prompt, and the picture that it speaks of."""

    prompt: str
    image: Picture | None = None
    rendered: Any = field(default=None, compare=False)  # what an engine has made of it ahead


def apply_model_options(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec as a user wants it; raise ModelError for what the model does not have."""
    if options.instruction is not None:
        if spec.instruction is None:
            raise ModelError(f"{spec.name} takes no --instruction")
        spec = replace(spec, instruction=options.instruction.strip())
    if options.dimensions is not None and options.dimensions != spec.dimensions:
        if not spec.matryoshka:
            raise ModelError(f"{spec.name} has {spec.dimensions} dimensions and no fewer")
        if not 1 <= options.dimensions <= spec.dimensions:
            raise ModelError(f"{spec.name}: --dimensions must be from 1 to {spec.dimensions}")
        spec = replace(spec, dimensions=options.dimensions, cut_from=spec.dimensions)
    return replace(spec, trusted=options.trust_remote_code)


def check_trust(spec: ModelSpec) -> None:
    """Raise ModelError where the model's own code would run and the user has not agreed."""
    if spec.code and not spec.trusted:
        raise ModelError(
            f"{Path(spec.name).name} runs code of its own: {', '.join(spec.code)} from "
            f"{spec.source} at revision {spec.revision}. Read it, and if you trust it say "
            "--trust-remote-code once (or SEARCHAPP_TRUST_REMOTE_CODE=1)"
        )


def compute_mean_color(processor: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the colour that an image processor's normalisation makes zero."""
    red, green, blue = (round(255 * part) for part in processor.get("image_mean", (0.5, 0.5, 0.5)))
    return red, green, blue
