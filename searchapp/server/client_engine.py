"""The resident process's engine, used by another process: a model is in memory once."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines import EngineInput, Refusal, Vector, embed_apart
from searchapp.engines.base import checked
from searchapp.errors import SearchAppError
from searchapp.models import ModelSpec
from searchapp.server import client
from searchapp.server.client import Residence

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

INPUTS = 8  # a request: a query waits for no more of them
BYTES = 48 << 20  # of pictures in a request, as they are in memory
DEATHS = 1  # of the resident process, after which what it was given is halved


class BorrowedEngine:
    """The engine of a library's resident process, which is started where there is none.

    Pictures go as PNG through its Unix socket, vectors come back as float32. The collection that
    the model is of must be in the library.
    """

    def __init__(self, spec: ModelSpec, residence: Residence, tell: Callable[[str], None]) -> None:
        """Start nothing yet. tell: what takes a while is told."""
        self._spec, self._residence, self._tell = spec, residence, tell

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Leave an input as it is: the other process prepares it."""
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed in small requests: see Engine."""
        outputs: list[Vector | Refusal] = []
        waiting: list[EngineInput] = []
        for item in inputs:
            if waiting and (len(waiting) == INPUTS or sum(map(_size, [*waiting, item])) > BYTES):
                outputs += embed_apart(self._embed, waiting, fatal=(SearchAppError,))
                waiting = []
            waiting.append(item)
        return outputs + embed_apart(self._embed, waiting, fatal=(SearchAppError,))

    def count_tokens(self, prompt: str) -> int:
        """Ask the other process."""
        return int(self._ask("/api/count", {"prompt": prompt}, {})["tokens"])

    def close(self) -> None:
        """Leave the engine to the process that has it."""

    def _embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed a few; raise client.Died where that ends the other process."""
        names = [f"picture{number}" for number in range(len(inputs))]
        asked = [
            {"prompt": item.prompt, "image": name if item.image else None}
            for name, item in zip(names, inputs, strict=True)
        ]
        pictures = {
            name: _png(item.image) for name, item in zip(names, inputs, strict=True) if item.image
        }
        answer = self._ask("/api/embed", {"inputs": asked}, pictures)
        return [
            checked(np.frombuffer(b64decode(vector), "<f4"), self._spec)
            if vector is not None
            else Refusal(refusal)
            for vector, refusal in zip(answer["vectors"], answer["refusals"], strict=True)
        ]

    def _ask(self, path: str, fields: dict[str, Any], pictures: dict[str, bytes]) -> dict[str, Any]:
        spec = self._spec
        model = {"model": spec.name, "revision": spec.revision, "space": spec.space}
        status, answer = client.ask(
            self._residence, path, {**model, **fields}, pictures, self._tell, DEATHS
        )
        if status != 200:
            raise client.read_error(answer)
        return answer


def _size(item: EngineInput) -> int:
    return 3 * item.image.width * item.image.height if item.image else 0


def _png(image: Picture) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
