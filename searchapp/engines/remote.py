"""vLLM on another machine: any OpenAI-compatible server of `vllm serve MODEL --runner pooling`."""

from __future__ import annotations

import base64
import binascii
import io
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.base import Refusal, Vector, checked, embed_apart
from searchapp.errors import EngineError, ModelError
from searchapp.models import EngineInput, ModelSpec

if TYPE_CHECKING:
    import httpx
    from PIL.Image import Image as Picture

TEXTS = 64  # a request
SECONDS = 120.0  # for one answer
PATIENCE = 60.0  # seconds of trying again
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may pass by themselves


class _Refused(Exception):
    """The server does not take what it was sent."""


class RemoteEngine:
    """A model served by vLLM elsewhere: see Engine.

    Works for models with a tower each for texts and pictures (CLIP, SigLIP): their pictures need no
    prompt of their own. The others' exact prompts cannot be sent through `messages` without the
    server trusting templates of its clients, and are refused.
    """

    def __init__(
        self,
        spec: ModelSpec,
        url: str,
        *,
        api_key: str | None = None,
        concurrency: int = 8,
        patience: float = PATIENCE,
    ) -> None:
        """Connect; raise EngineError or ModelError where the server, or its model, is not ours."""
        import httpx

        if spec.placeholder is not None:
            raise ModelError(
                f"{Path(spec.name).name} cannot be used by --engine: its pictures need a prompt of "
                "their own, which vLLM's API does not take"
            )
        self._spec, self._patience = spec, patience
        self._url = url.rstrip("/").removesuffix("/v1")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        try:
            self._client = httpx.Client(base_url=self._url, headers=headers, timeout=SECONDS)
        except (httpx.InvalidURL, ValueError) as error:
            raise EngineError(f"--engine {url} is no URL: {error}") from error
        self._senders = ThreadPoolExecutor(concurrency, thread_name_prefix="remote")
        self._model = self._find_model()
        if spec.pad_text:
            self._check_padding()

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""
        return self._spec

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed, several requests at a time; what the server refuses is refused alone."""
        texts = [i for i, item in enumerate(inputs) if item.image is None]
        parts = [texts[start : start + TEXTS] for start in range(0, len(texts), TEXTS)]
        parts += [[i] for i, item in enumerate(inputs) if item.image is not None]

        def send(part: list[int]) -> list[Vector | Refusal]:
            return embed_apart(self._embed, [inputs[i] for i in part], (EngineError,))

        results: dict[int, Vector | Refusal] = {}
        for part, outputs in zip(parts, self._senders.map(send, parts), strict=True):
            results |= zip(part, outputs, strict=True)
        return [results[i] for i in range(len(inputs))]

    def count_tokens(self, prompt: str) -> int:
        """Count by the server's tokenizer."""
        answer = self._post("/tokenize", {"model": self._model, "prompt": prompt})
        count = answer.get("count")
        if not isinstance(count, int):
            raise EngineError(f"{self._url} does not say how many tokens a text has")
        return count

    def close(self) -> None:
        """Close the connections."""
        self._senders.shutdown(cancel_futures=True)
        self._client.close()

    def _embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed texts, or one picture, in one request."""
        first = inputs[0]
        request: dict[str, Any] = {"model": self._model, "encoding_format": "base64"}
        if first.image is None:
            request["input"] = [item.prompt for item in inputs]
            if self._spec.pad_text:
                request["padding"] = "max_length"
        elif first.prompt:
            raise _Refused("a picture and a text cannot be embedded as one prompt")
        else:
            content = [{"type": "image_url", "image_url": {"url": _data_uri(first.image)}}]
            request["messages"] = [{"role": "user", "content": content}]
        vectors = _vectors(self._post("/v1/embeddings", request), len(inputs), self._url)
        return [checked(vector, self._spec) for vector in vectors]

    def _find_model(self) -> str:
        """Return the name by which the server calls our model."""
        answer = self._request("GET", "/v1/models")
        served = [entry for entry in answer.get("data", []) if isinstance(entry, dict)]
        ours = {self._spec.source, self._spec.name}
        if self._spec.is_folder:
            ours.add(Path(self._spec.source).name)
        for entry in served:
            names = {str(entry.get("id")), str(entry.get("root"))}
            if self._spec.is_folder:
                names |= {Path(name).name for name in names}
            if names & ours:
                return str(entry["id"])
        shown = ", ".join(str(entry.get("id")) for entry in served) or "nothing"
        raise ModelError(
            f"{self._url} serves {shown}, not {self._spec.source}; start it with "
            f"`vllm serve {self._spec.source} --runner pooling`"
        )

    def _check_padding(self) -> None:
        """Refuse a server too old to pad texts: its vectors would be wrong, silently."""
        request = {"model": self._model, "input": ["a"], "padding": "max_length"}
        tokens = self._post("/v1/embeddings", request).get("usage", {}).get("prompt_tokens")
        if tokens != self._spec.text_limit:
            raise ModelError(
                f"{self._url} does not pad texts, which {Path(self._spec.name).name} needs; "
                "upgrade its vLLM to 0.32 or newer"
            )

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask, again and again while the trouble may pass; raise _Refused or EngineError."""
        import httpx

        end, wait = time.monotonic() + self._patience, 0.25
        while True:
            delay = wait * random.uniform(0.5, 1.0)
            try:
                response = self._client.request(method, path, json=body)
            except httpx.TransportError as error:
                problem = f"cannot be reached ({error or type(error).__name__})"
            else:
                if response.status_code not in PASSING:
                    return self._answer(response)
                problem = f"answers {response.status_code}: {_reason(response)}"
                delay = max(delay, _retry_after(response))
            if time.monotonic() + delay > end:
                raise EngineError(
                    f"the engine at {self._url} {problem}, for {self._patience:.0f} s now; is "
                    "`vllm serve` running there?"
                )
            time.sleep(delay)
            wait = min(8.0, 2 * wait)

    def _answer(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code in (401, 403):
            raise EngineError(f"the engine at {self._url} wants another --api-key")
        if response.status_code == 404:
            raise EngineError(
                f"the engine at {self._url} knows no {response.request.url.path}; is it a vLLM "
                "server, started with --runner pooling?"
            )
        if response.status_code >= 400:
            raise _Refused(_reason(response))
        try:
            answer = response.json()
        except ValueError as error:
            raise EngineError(f"the engine at {self._url} answers no JSON") from error
        if not isinstance(answer, dict):
            raise EngineError(f"the engine at {self._url} answers what no vLLM server does")
        return answer


def _vectors(answer: dict[str, Any], expected: int, url: str) -> list[Vector]:
    """Return the vectors of an answer in the order asked for; garbage is an EngineError."""
    try:
        entries = sorted(answer["data"], key=lambda entry: entry["index"])
        if [entry["index"] for entry in entries] != list(range(expected)):
            raise ValueError("some are missing")
        return [
            np.frombuffer(base64.b64decode(entry["embedding"], validate=True), dtype="<f4")
            for entry in entries
        ]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise EngineError(f"the engine at {url} answers no embeddings: {error}") from error


def _data_uri(image: Picture) -> str:
    """Return a picture as a URI, without loss."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _reason(response: httpx.Response) -> str:
    """Return what a server says is wrong, in a line."""
    try:
        body = response.json()
        text = str(body.get("error", {}).get("message") or body.get("message") or body)
    except (ValueError, AttributeError):
        text = response.text
    return text.strip().splitlines()[0][:300] if text.strip() else response.reason_phrase


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(30.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0
