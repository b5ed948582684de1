"""The resident process's engine, used by another process: a model is in memory once."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines import EngineInput, Refusal, Vector, embed_isolating_failures
from searchapp.engines.base import normalize_vector
from searchapp.errors import SearchAppError
from searchapp.models import ModelSpec
from searchapp.server import client
from searchapp.server.client import ResidentConfig

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_INPUTS_PER_REQUEST = 8  # a request: a query waits for no more of them
MAX_REQUEST_PICTURE_BYTES = 48 << 20  # of pictures in a request, as they are in memory
MAX_RESIDENT_DEATHS = 1  # of the resident process, after which what it was given is halved


class ResidentEngine:
    """The engine of a library's resident process, which is started where there is none.

    Pictures go as PNG through its Unix socket, vectors come back as float32. The collection that
    the model is of must be in the library.
    """

    def __init__(
        self, spec: ModelSpec, config: ResidentConfig, notify: Callable[[str], None]
    ) -> None:
        """Start nothing yet. tell: what takes a while is told."""
        self._spec, self._config, self._notify = spec, config, notify

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
        batch: list[EngineInput] = []
        for item in inputs:
            if batch and (
                len(batch) == MAX_INPUTS_PER_REQUEST
                or sum(map(_image_bytes, [*batch, item])) > MAX_REQUEST_PICTURE_BYTES
            ):
                outputs += embed_isolating_failures(
                    self._embed_batch, batch, fatal=(SearchAppError,)
                )
                batch = []
            batch.append(item)
        return outputs + embed_isolating_failures(self._embed_batch, batch, fatal=(SearchAppError,))

    def count_tokens(self, prompt: str) -> int:
        """Ask the other process."""
        return int(self._request("/api/count", {"prompt": prompt}, {})["tokens"])

    def close(self) -> None:
        """Leave the engine to the process that has it."""

    def _embed_batch(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed a few; raise client.Died where that ends the other process."""
        names = [f"picture{number}" for number in range(len(inputs))]
        input_fields = [
            {"prompt": item.prompt, "image": name if item.image else None}
            for name, item in zip(names, inputs, strict=True)
        ]
        pictures = {
            name: _encode_png(item.image)
            for name, item in zip(names, inputs, strict=True)
            if item.image
        }
        answer = self._request("/api/embed", {"inputs": input_fields}, pictures)
        return [
            normalize_vector(np.frombuffer(b64decode(vector), "<f4"), self._spec)
            if vector is not None
            else Refusal(refusal)
            for vector, refusal in zip(answer["vectors"], answer["refusals"], strict=True)
        ]

    def _request(
        self, path: str, fields: dict[str, Any], pictures: dict[str, bytes]
    ) -> dict[str, Any]:
        spec = self._spec
        model = {"model": spec.name, "revision": spec.revision, "space": spec.vector_space}
        status, answer = client.request_resident(
            self._config, path, {**model, **fields}, pictures, self._notify, MAX_RESIDENT_DEATHS
        )
        if status != 200:
            raise client.read_error(answer)
        return answer


def _image_bytes(item: EngineInput) -> int:
    return 3 * item.image.width * item.image.height if item.image else 0


def _encode_png(image: Picture) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
