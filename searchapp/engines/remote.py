"""Embed with a vLLM server over HTTP, on this machine or another one."""

from __future__ import annotations

import base64
import io
import json
import logging
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.base import (
    Refusal,
    Vector,
    embed_isolating_failures,
    normalize_vector,
    summarize_error,
)
from searchapp.engines.http_requests import EngineHttpClient, RequestRefusedError, RetryPolicy
from searchapp.engines.vllm_settings import QUANTIZATION_BY_PRECISION
from searchapp.errors import EngineError, ModelError, SearchAppError
from searchapp.models import EngineInput, ModelSpec, make_document_prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

TEXTS_PER_REQUEST = 32
PICTURES_PER_REQUEST = 4
MIN_VLLM_VERSION = "0.32"
# A chat template that renders our prompt unchanged, placeholder included. The server passes a
# message's content as a string or as a list of parts; the template accepts both.
RAW_CHAT_TEMPLATE = (
    "{%- for part in ([messages[0]['content']] if messages[0]['content'] is string "
    "else messages[0]['content']) -%}"
    "{{- part if part is string else part['text'] if part['type'] == 'text' else '' -}}"
    "{%- endfor -%}"
)


class RemoteEngine:
    """A model that `vllm serve MODEL --runner pooling` runs (vLLM 0.32 or newer).

    CLIP and SigLIP need no further options. E5-V, VLM2Vec and Qwen-VL have their own prompts,
    which are sent as a chat template with every picture: start the server with
    --trust-request-chat-template. VLM2Vec and Qwen-VL models also need --trust-request-mm-kwargs,
    because they have options for the image processor. `build_serve_command` returns the complete
    command, and the error message shows it if a server rejects a request. Texts and pictures (PNG)
    are sent as JSON; vectors are returned as float32.
    """

    def __init__(
        self,
        spec: ModelSpec,
        url: str,
        *,
        api_key: str | None = None,
        concurrency: int = 8,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """Connect to a vLLM server; check that it serves the model and returns vectors.

        concurrency: maximum number of requests in flight. Raises EngineError if no vLLM server
        answers, ModelError if the server does not serve this model or lacks a necessary option.
        """
        self._spec = spec
        self._client = EngineHttpClient(
            url, api_key, concurrency, retry_policy or RetryPolicy(), build_serve_command(spec)
        )
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="remote-engine")
        try:
            self._model = find_served_model(
                self._client, spec,
                "Give the server's model with --model, or start the server with: "
                f"{build_serve_command(spec)}",
            )  # fmt: skip
            self._check_server()
        except BaseException:
            self.close()
            raise
        logger.info("Using the vLLM server at %s with the model %s", self._client.name, self._model)

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""
        return self._spec

    def prepare(self, item: EngineInput) -> EngineInput:
        """Return the input unchanged: the server prepares it."""
        return item

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed inputs in small requests, several in flight at a time: see Engine.embed."""
        texts = [i for i, item in enumerate(inputs) if item.image is None]
        pictures = [i for i, item in enumerate(inputs) if item.image is not None]
        parts = [
            numbers[start : start + size]
            for numbers, size in ((texts, TEXTS_PER_REQUEST), (pictures, PICTURES_PER_REQUEST))
            for start in range(0, len(numbers), size)
        ]
        fatal = (SearchAppError,)
        embed = partial(embed_isolating_failures, self._embed_request, fatal=fatal)
        futures = [self._pool.submit(embed, [inputs[i] for i in part]) for part in parts]
        results: dict[int, Vector | Refusal] = {}
        try:
            for part, future in zip(parts, futures, strict=True):
                results |= zip(part, future.result(), strict=True)
        finally:
            for future in futures:
                future.cancel()
        return [results[i] for i in range(len(inputs))]

    def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt with the server's tokenizer."""
        try:
            return self._client.count_tokens(self._model, prompt)
        except RequestRefusedError as error:
            raise EngineError(
                f"{self._client.name} cannot count tokens: {summarize_error(error)}. Check that a "
                f"vLLM server (version {MIN_VLLM_VERSION} or newer) runs there."
            ) from error

    def close(self) -> None:
        """Cancel running requests and close the connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _check_server(self) -> None:
        """Check that the server embeds a gray picture and, if the model pads texts, a text.

        Raises ModelError if the server refuses the picture or the text.
        """
        from PIL import Image

        side = self._spec.image.side or 64
        picture = EngineInput(
            make_document_prompt(self._spec), Image.new("RGB", (side, side), "gray")
        )
        text = [EngineInput("a red boat")] if self._spec.pad_text else []
        for item in [picture, *text]:
            try:
                (output,) = self._embed_request([item])
            except RequestRefusedError as error:
                output = Refusal(str(error))
            if isinstance(output, Refusal):
                raise ModelError(
                    f"{self._client.name} cannot embed with {self._spec.name}: {output.reason}. "
                    f"Start the server with: {build_serve_command(self._spec)}"
                )
        self._client.remember_good_request("/v1/embeddings", self._build_request([picture]))

    def _embed_request(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed inputs in one request: either only texts or only pictures.

        Raises RequestRefusedError if the server rejects an input.
        """
        answer = self._client.request_json("/v1/embeddings", self._build_request(inputs))
        try:
            raw = {item["index"]: _decode_vector(item["embedding"]) for item in answer["data"]}
            if len(answer["data"]) != len(inputs) or set(raw) != set(range(len(inputs))):
                raise ValueError(f"{len(answer['data'])} vectors for {len(inputs)} inputs")
            tokens = answer["usage"]["prompt_tokens"] if self._spec.pad_text else None
            outputs = [normalize_vector(raw[number], self._spec) for number in range(len(inputs))]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(
                f"{self._client.name} returned no valid vectors ({type(error).__name__}: "
                f"{summarize_error(error)}). Check that a vLLM server runs there, and that no "
                "proxy changes its answers."
            ) from error
        padded = len(inputs) * self._spec.text_limit
        if inputs[0].image is None and tokens not in (None, padded):
            raise ModelError(
                f"{self._spec.name} needs texts padded to {self._spec.text_limit} tokens, but "
                f"{self._client.name} does not pad them. Update its vLLM to {MIN_VLLM_VERSION} "
                "or newer."
            )
        return outputs

    def _build_request(self, inputs: Sequence[EngineInput]) -> dict[str, Any]:
        """Return the JSON of a request: either every input has a picture, or no input has one."""
        request: dict[str, Any] = {
            "model": self._model,
            "encoding_format": "base64",
            "embed_dtype": "float32",
            "endianness": "little",
            "add_special_tokens": True,
        }
        if inputs[0].image is None:
            padding = {"padding": "max_length"} if self._spec.pad_text else {}
            return request | padding | {"input": [item.prompt for item in inputs]}
        if self._spec.placeholder is not None:
            request["chat_template"] = RAW_CHAT_TEMPLATE
        if options := self._spec.engine_arguments.get("mm_processor_kwargs"):
            request["mm_processor_kwargs"] = dict(options)
        conversations = [[_build_message(item)] for item in inputs]
        return request | {"messages": conversations[0] if len(inputs) == 1 else conversations}


def find_served_model(client: EngineHttpClient, spec: ModelSpec | None, remedy: str) -> str:
    """Return the name under which a server serves a model; None: the first model that it serves.

    remedy: what to do if it serves other models. Raises EngineError if the server lists no models,
    ModelError if it does not serve this model.
    """
    answer = client.request_json("/v1/models", fail_fast=True)
    try:
        cards = [card for card in answer["data"] if not card.get("parent")]  # skips adapters
        served = [(str(card["id"]), str(card.get("root") or "")) for card in cards]
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{client.name}/v1/models returned no list of models. Check that a vLLM "
            "server runs there."
        ) from error
    if spec is None and served:
        return served[0][0]
    names = ", ".join(name for name, _ in served) or "no model"
    if spec is None:
        raise ModelError(f"{client.name} serves {names}. {remedy}")
    accepted_names = {spec.source, spec.name}
    accepted_names.add(Path(spec.source).name if spec.is_folder else spec.revision)
    for name, root in served:
        folders = {Path(path).name for path in (name, root) if path.startswith("/")}
        if accepted_names & {name, root, *folders}:
            return name
    raise ModelError(f"{client.name} serves {names}, not {spec.name} ({spec.source}). {remedy}")


def build_serve_command(spec: ModelSpec) -> str:
    """Return the shell command that serves a model with the options that RemoteEngine needs."""
    words = ["vllm", "serve", spec.source, "--runner", "pooling", "--mm-processor-cache-gb", "0"]
    words += [] if spec.is_folder else ["--revision", spec.revision]
    if spec.pooling:
        words += ["--pooler-config", json.dumps({"seq_pooling_type": spec.pooling})]
    if "max_model_len" in spec.engine_arguments:
        words += ["--max-model-len", str(spec.engine_arguments["max_model_len"])]
    words += ["--trust-remote-code"] if spec.code else []
    words += [] if spec.float16 else ["--dtype", "bfloat16"]
    if spec.precision:
        words += ["--quantization", QUANTIZATION_BY_PRECISION[spec.precision]]
    words += ["--trust-request-chat-template"] if spec.placeholder else []
    if "mm_processor_kwargs" in spec.engine_arguments:
        words.append("--trust-request-mm-kwargs")
    return shlex.join(words)


def encode_picture_url(image: Picture) -> str:
    """Return a picture as a data URL (PNG): https://www.rfc-editor.org/rfc/rfc2397."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _build_message(item: EngineInput) -> dict[str, Any]:
    assert item.image is not None
    url = encode_picture_url(item.image)
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}}]
    if item.prompt:
        content.append({"type": "text", "text": item.prompt})
    return {"role": "user", "content": content}


def _decode_vector(raw: Any) -> Vector:
    """Decode a vector in a server's answer: base64 of float32, or a list of numbers."""
    if isinstance(raw, str):
        return np.frombuffer(base64.b64decode(raw, validate=True), dtype="<f4")
    if not isinstance(raw, list):
        raise TypeError(f"{type(raw).__name__} instead of a vector")
    return np.asarray(raw, dtype=np.float32)
