"""ModelSpec: what searchapp must know about a model; and the input of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchapp.errors import ModelError
from searchapp.models.gpu import computes_fp8
from searchapp.pictures.model_size import ImageInput
from searchapp.types import Modality, ModelOptions, Precision

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class Prompts:
    """A model's prompt templates, with {text} and {instruction}.

    A template is None if the model does not support queries of that kind.
    """

    document: str  # for indexed pictures
    text: str | None = None
    image: str | None = None
    text_image: str | None = None

    def get_prompt(self, modality: Modality) -> str | None:
        """Return the prompt template for a kind of query; None if the model does not support it."""
        return {"text": self.text, "image": self.image, "text+image": self.text_image}[modality]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as searchapp uses it: its source, prompts, limits and engine arguments."""

    name: str  # as users type it; for a folder, the absolute path
    source: str  # a repository of the model hub, or the absolute path of a folder
    revision: str  # a commit of the repository, or a fingerprint of the folder
    architecture: str
    dimensions: int  # of the stored vectors
    prompts: Prompts
    image: ImageInput
    text_limit: int  # maximum tokens of a prompt, including those of its picture
    licence: str
    weights_mb: int  # approximate download size in MB (10**6 bytes)
    pad_text: bool = False  # pad texts to text_limit, as in training
    lower_text: bool = False  # lower-case texts, as in training
    image_tokens: int = 0  # maximum tokens of a picture in a prompt that also has a text
    placeholder: str | None = None  # the token that stands for the picture in a prompt
    pooling: str | None = None  # vLLM's pooling type, if the architecture has no default
    instruction: str | None = None  # fills {instruction}; None: the model has none
    matryoshka: bool = False  # vectors can be cut to their first dimensions
    text_picture_side: int = 0  # side in pixels of the black picture in a text prompt; 0: none
    float16: bool = True  # the model can be computed in float16
    precision: Precision | None = None  # None: bfloat16 or float32, as the machine computes best
    is_adapter: bool = False  # the repository has LoRA weights, which must be merged before use
    cut_from: int | None = None  # the model's own dimensions, if the vectors are cut
    engine_arguments: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()  # Python files of the model's repository that would run
    trusted: bool = False  # the user allows this code to run
    download: tuple[str, ...] = ("*.json", "*.txt", "*.safetensors")  # patterns

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Return the kinds of query that the model can embed."""
        kinds: tuple[Modality, ...] = ("text", "image", "text+image")
        return tuple(kind for kind in kinds if self.prompts.get_prompt(kind) is not None)

    @property
    def weights_mib(self) -> int:
        """Return the size of the weights in MiB, as free memory is counted."""
        return self.weights_mb * 1_000_000 >> 20

    @property
    def is_folder(self) -> bool:
        """Return whether the source is a folder on disk, not a repository of the hub."""
        return Path(self.source).is_absolute()

    @property
    def vector_space(self) -> dict[str, Any]:
        """Return the settings that vectors depend on, except model and revision, as JSON values.

        Vectors of two specs can be compared only if these settings are equal.
        """
        image = self.image
        # Older libraries lack the precision, so that the default must stay unnamed.
        precision = {} if self.precision is None else {"precision": self.precision}
        return {
            **precision,
            "dimensions": self.dimensions,
            "instruction": self.instruction,
            "document": self.prompts.document,
            "image": [image.fit, image.side, image.max_pixels, image.resample],
            "processor": dict(self.engine_arguments.get("mm_processor_kwargs", {})),
        }

    def with_dummy_weights(self) -> ModelSpec:
        """Return the spec with random weights instead of downloaded ones, for measurements."""
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
    """What an engine embeds: a prompt, and the picture in it; a reranker's prompt can have two."""

    prompt: str
    image: Picture | None = None
    question_image: Picture | None = None  # of a reranker's question; it precedes `image`
    rendered: Any = field(
        default=None, compare=False
    )  # the engine's preprocessed form of this input, made ahead of time


def make_text_input(spec: ModelSpec, prompt: str) -> EngineInput:
    """Return the engine input of a text prompt, with the black picture that some models need."""
    if not spec.text_picture_side:
        return EngineInput(prompt)
    from PIL import Image

    return EngineInput(prompt, Image.new("RGB", (spec.text_picture_side,) * 2))


def apply_model_options(spec: ModelSpec, options: ModelOptions) -> ModelSpec:
    """Return the spec with the user's options; raise ModelError if the model cannot use them."""
    if options.instruction is not None:
        if spec.instruction is None:
            raise ModelError(f"the model {spec.name} takes no --instruction; leave it out")
        spec = replace(spec, instruction=options.instruction.strip())
    if options.dimensions is not None and options.dimensions != spec.dimensions:
        if not spec.matryoshka:
            raise ModelError(
                f"the model {spec.name} always has {spec.dimensions} dimensions; "
                "leave out --dimensions"
            )
        if not 1 <= options.dimensions <= spec.dimensions:
            raise ModelError(
                f"--dimensions of the model {spec.name} must be from 1 to {spec.dimensions}"
            )
        spec = replace(spec, dimensions=options.dimensions, cut_from=spec.dimensions)
    return replace(spec, trusted=options.trust_remote_code, precision=options.precision)


def check_trust(spec: ModelSpec) -> None:
    """Raise ModelError if the model's own code would run without the user's permission."""
    if spec.code and not spec.trusted:
        raise ModelError(
            f"{Path(spec.name).name} runs code of its own: {', '.join(spec.code)} from "
            f"{spec.source} at revision {spec.revision}. Read this code. If you trust it, give "
            "--trust-remote-code once, or set SEARCHAPP_TRUST_REMOTE_CODE=1"
        )


def check_precision(spec: ModelSpec) -> None:
    """Raise ModelError if this machine cannot compute the model with the precision of its spec."""
    if spec.precision == "fp8" and not computes_fp8():
        raise ModelError(
            "--precision fp8 needs an NVIDIA GPU that computes FP8 (compute capability 8.9 or "
            "higher: Ada, Hopper, Blackwell), and this machine has none. Leave out --precision. A "
            "collection that was made with it can grow only on a machine with such a GPU; "
            f"`--model {spec.name} --collection NAME` makes another collection."
        )


def compute_mean_color(processor: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the mean color of an image processor: the color that it normalizes to zero."""
    red, green, blue = (round(255 * part) for part in processor.get("image_mean", (0.5, 0.5, 0.5)))
    return red, green, blue
