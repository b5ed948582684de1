"""Embed with the engine of the resident process, so that the model is in memory only once."""

from __future__ import annotations

import io
from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines import EngineInput, Refusal, Vector, embed_isolating_failures
from searchapp.engines.base import normalize_vector
from searchapp.errors import SearchAppError
from searchapp.files.library_folder import can_be_resident
from searchapp.models import ModelSpec
from searchapp.server import client
from searchapp.server.resident_lock import ResidentUnavailableError
from searchapp.server.start_resident import ResidentConfig, ensure_running
from searchapp.server.unix_http import API_PREFIX

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from searchapp.engines import Engine

MAX_INPUTS_PER_REQUEST = 8  # small, so that a query between two requests waits a short time
MAX_REQUEST_PICTURE_BYTES = 48 << 20  # decoded size of the pictures of a request
MAX_RESIDENT_DEATHS = 1  # per request; after that, the batch is halved to isolate the bad input


class RequestFaultError(Exception):
    """The resident process had an unexpected error in a request, and lives."""


class ResidentEngine:
    """Engine that sends its inputs to the resident process.

    The process is started if it does not run. Pictures are sent as PNG through the Unix socket;
    vectors come back as float32. The library must have a collection that uses the model.
    """

    def __init__(
        self, spec: ModelSpec, config: ResidentConfig, notify: Callable[[str], None]
    ) -> None:
        """Store the settings; the first request starts the process.

        notify: called with a line of text before each slow step.
        """
        self._spec, self._config, self._notify = spec, config, notify

    @property
    def spec(self) -> ModelSpec:
        """Return the spec of the engine's model."""
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Return the input unchanged: the resident process prepares it."""
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed inputs in small requests: see Engine.embed."""
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
        """Return the number of tokens of a prompt: see Engine.count_tokens."""
        return int(self._request(f"{API_PREFIX}/count", {"prompt": prompt}, {})["tokens"])

    def close(self) -> None:
        """Do nothing: the resident process owns the engine."""

    def _embed_batch(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed the inputs of one request.

        Raises ResidentDiedError if they crash the process, and RequestFaultError if they cause a
        fault in it. Both make embed_isolating_failures look for the input that does.
        """
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
        answer = self._request(f"{API_PREFIX}/embed", {"inputs": input_fields}, pictures)
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
            error = client.read_error(answer)
            if status == 500 and type(error) is SearchAppError:
                raise RequestFaultError(str(error))
            raise error
        return answer


def prefer_resident(
    config: ResidentConfig, start: Callable[[ModelSpec], Engine], notify: Callable[[str], None]
) -> Callable[[ModelSpec], Engine]:
    """Return a function that starts the engine of a model in the resident process.

    The process is started if it does not run. If this user cannot have one, start() starts the
    engine. notify: called with a line of text before each slow step.
    """

    def start_engine(spec: ModelSpec) -> Engine:
        if can_be_resident(config.library_folder):
            try:
                ensure_running(config, notify)
                return ResidentEngine(spec, config, notify)
            except ResidentUnavailableError as error:
                notify(f"embedding without the resident process: {error}")
        return start(spec)

    return start_engine


def _image_bytes(item: EngineInput) -> int:
    return 3 * item.image.width * item.image.height if item.image else 0


def _encode_png(image: Picture) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
