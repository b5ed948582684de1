"""What every engine promises, and how one bad input is kept from costing its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchapp.models import EngineInput, ModelSpec
from searchapp.vectors import is_unit

Vector: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the engine has no vector for an input."""

    reason: str


class Engine(Protocol):
    """A running model."""

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""

    def prepare(self, item: EngineInput) -> EngineInput:
        """Do ahead, on whatever thread, what embed would do with an input before the model runs.

        Never raise: embed says what is wrong with an input.
        """

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Return, for every input in order, a vector of length one (float32) or a refusal.

        Raise EngineError only when the engine can neither go on nor be started again.
        """

    def count_tokens(self, prompt: str) -> int:
        """Return how many tokens a text prompt has, with those that the model adds."""

    def close(self) -> None:
        """Free what the model holds; calling it twice does no harm."""


def embed_isolating_failures(
    embed: Callable[[Sequence[EngineInput]], list[Vector | Refusal]],
    inputs: Sequence[EngineInput],
    fatal: tuple[type[BaseException], ...] = (),
) -> list[Vector | Refusal]:
    """Embed inputs at once; where that fails, halve them until the bad ones stand alone.

    embed raises for the whole of what it is given. Errors in fatal are passed on.
    """
    try:
        return embed(inputs)
    except fatal:
        raise
    except Exception as error:  # whatever a model's processor raises on what it is given
        if len(inputs) == 1:
            return [Refusal(summarize_error(error))]
    middle = len(inputs) // 2
    return embed_isolating_failures(embed, inputs[:middle], fatal) + embed_isolating_failures(
        embed, inputs[middle:], fatal
    )


def summarize_error(error: BaseException) -> str:
    """Put an exception in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def validate_output(output: Vector | Refusal, spec: ModelSpec) -> Vector | Refusal:
    """Return what an engine gave, unless it breaks its promise: then it is refused, never saved."""
    if isinstance(output, Refusal):
        return output
    if output.shape == (spec.dimensions,) and is_unit(output):
        return output
    return Refusal("the engine gave no vector of length one")


def normalize_vector(raw: Sequence[float] | Vector, spec: ModelSpec) -> Vector | Refusal:
    """Return what a model gave as a vector of length one, or say what is wrong with it.

    Where fewer dimensions are kept than the model has (Matryoshka), the first ones are.
    """
    vector = np.asarray(raw, dtype=np.float32)
    expected = spec.cut_from or spec.dimensions
    if vector.shape != (expected,):
        return Refusal(f"the model gave {vector.size} numbers, {expected} were expected")
    vector = vector[: spec.dimensions]
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        return Refusal("the model gave no usable vector (infinite, not a number, or zero)")
    return vector / np.float32(length)
