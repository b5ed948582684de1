"""Define the interface of an engine, check its vectors, and isolate inputs that it rejects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchapp.models import EngineInput, ModelSpec
from searchapp.vectors import is_unit

logger = logging.getLogger(__name__)

Vector: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why an engine returns no vector for an input."""

    reason: str


class Engine(Protocol):
    """A running model: turns texts and pictures into vectors."""

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""

    def prepare(self, item: EngineInput) -> EngineInput:
        """Do the CPU work of `embed` for one input ahead of time; any thread may call this method.

        A bad input raises no error: `embed` returns a Refusal for this input.
        """

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Return a vector of norm 1 (float32) or a refusal for each input, in order.

        Raises EngineError only if the engine can neither continue nor restart.
        """

    def count_tokens(self, prompt: str) -> int:
        """Return the number of tokens of a text prompt, including those that the model adds."""

    def close(self) -> None:
        """Free the model's memory; a second call does nothing."""


def embed_isolating_failures(
    embed: Callable[[Sequence[EngineInput]], list[Vector | Refusal]],
    inputs: Sequence[EngineInput],
    fatal: tuple[type[BaseException], ...] = (),
) -> list[Vector | Refusal]:
    """Embed inputs in one batch; if that fails, halve the batch until each bad input is alone.

    embed: raises an exception if any input of its batch is bad. fatal:
    exceptions of these types are raised at once.
    """
    try:
        return embed(inputs)
    except fatal:
        raise
    except Exception as error:  # A model's processor raises any type for a bad input.
        if len(inputs) == 1:
            return [Refusal(summarize_error(error))]
        logger.debug(
            "Halving a batch of %d inputs, because it failed: %s",
            len(inputs),
            summarize_error(error),
        )
    middle = len(inputs) // 2
    return embed_isolating_failures(embed, inputs[:middle], fatal) + embed_isolating_failures(
        embed, inputs[middle:], fatal
    )


def summarize_error(error: BaseException) -> str:
    """Return the first line of an exception's message, at most 300 characters.

    If the message is empty, return the name of the exception's type.
    """
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def validate_output(output: Vector | Refusal, spec: ModelSpec) -> Vector | Refusal:
    """Return an engine's output, or a refusal if its vector has a wrong shape or norm.

    An invalid vector must never reach the catalog, whatever the engine does.
    """
    if isinstance(output, Refusal):
        return output
    if output.shape == (spec.dimensions,) and is_unit(output):
        return output
    return Refusal("the engine returned no vector of norm 1")


def normalize_vector(raw: Sequence[float] | Vector, spec: ModelSpec) -> Vector | Refusal:
    """Scale a model's output vector to norm 1; return a refusal if that is impossible.

    If the spec has fewer dimensions than the model (Matryoshka representation), only the first
    dimensions are kept.
    """
    vector = np.asarray(raw, dtype=np.float32)
    expected = spec.cut_from or spec.dimensions
    if vector.shape != (expected,):
        return Refusal(f"the model returned a vector of {vector.size} values instead of {expected}")
    vector = vector[: spec.dimensions]
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm == 0:
        return Refusal("the model returned an unusable vector (infinite, not a number, or zero)")
    return vector / np.float32(norm)
