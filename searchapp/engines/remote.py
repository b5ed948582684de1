"""vLLM on another machine, or in a process of its own, asked over HTTP."""

from __future__ import annotations

import base64
import io
import json
import random
import shlex
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from searchapp.engines.base import Refusal, Vector, checked, embed_apart, reason_of
from searchapp.errors import EngineError, ModelError, SearchAppError
from searchapp.models import EngineInput, ModelSpec, document_prompt

TEXTS = 32  # a request
PICTURES = 4  # a request
ITEMS_FAULT = (400, 413, 422)  # the server does not take what it was given
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # what may be better the next time
TRIES = 3  # after so many failures, the server is asked whether it fails at something known, too
# What a prompt with its placeholder passes through unchanged, however the server shows it contents.
RAW = (
    "{%- for part in ([messages[0]['content']] if messages[0]['content'] is string "
    "else messages[0]['content']) -%}"
    "{{- part if part is string else part['text'] if part['type'] == 'text' else '' -}}"
    "{%- endfor -%}"
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds."""

    total: float = 60.0  # from the first try of a request to the start of its last
    first: float = 0.5  # pause after the first try, which doubles with every other
    longest: float = 10.0  # pause
    answer: float = 30.0  # for one answer


class _Refused(Exception):
    """The server is well, and does not take what it was given."""


class RemoteEngine:
    """A model that `vllm serve MODEL --runner pooling` runs (vLLM 0.32 or newer).

    CLIP and SigLIP work with the server as it starts. E5-V, VLM2Vec and Qwen3-VL have prompts of
    their own, which go to the server as a chat template with every picture, so it must be started
    with --trust-request-chat-template; the last two have options for the image processor, so with
    --trust-request-mm-kwargs too. serve_command() says it all, and so does the error where a
    server refuses. Texts and pictures go as JSON, pictures as PNG, and vectors come as float32.
    """

    def __init__(
        self,
        spec: ModelSpec,
        url: str,
        *,
        api_key: str | None = None,
        concurrency: int = 8,
        patience: Patience = Patience(),
    ) -> None:
        """Connect, and see that the server has the model and embeds with it.

        concurrency: requests in flight. Errors: EngineError where there is no such server,
        ModelError where it does not serve this model, or not as this model needs it.
        """
        import httpx

        self._spec, self._patience = spec, patience
        self._url, self._name = _address(url)
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise EngineError("--api-key holds characters that no key has; copy it again")
        self._client = httpx.Client(
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(patience.answer, connect=min(5.0, patience.answer)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=concurrency),
        )
        self._leaving = threading.Event()
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="remote-engine")
        self._known_good: dict[str, Any] | None = None
        try:
            self._model = self._find_model()
            self._known_good = self._try_out()
        except BaseException:
            self.close()
            raise

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""
        return self._spec

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed in small requests, several at a time: see Engine."""
        texts = [i for i, item in enumerate(inputs) if item.image is None]
        pictures = [i for i, item in enumerate(inputs) if item.image is not None]
        parts = [
            numbers[start : start + size]
            for numbers, size in ((texts, TEXTS), (pictures, PICTURES))
            for start in range(0, len(numbers), size)
        ]
        fatal = (SearchAppError,)
        embed = partial(embed_apart, self._embed, fatal=fatal)
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
        """Ask the server's tokenizer."""
        try:
            answer = self._ask("/tokenize", {"model": self._model, "prompt": prompt})
            count = answer["count"]
        except (_Refused, KeyError, TypeError) as error:
            raise EngineError(f"{self._name} does not count tokens: {reason_of(error)}") from error
        if not isinstance(count, int):
            raise EngineError(f"{self._name} gives {count!r} as a number of tokens")
        return count

    def close(self) -> None:
        """Give up what is under way, and the connections."""
        self._leaving.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _find_model(self) -> str:
        """Return what the server calls the spec's model."""
        answer = self._ask("/v1/models", hasty=True)
        try:
            cards = [card for card in answer["data"] if not card.get("parent")]  # no adapters
            served = [(str(card["id"]), str(card.get("root") or "")) for card in cards]
        except (KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"{self._name}/v1/models gives no list of models") from error
        source = Path(self._spec.source)
        wanted = {self._spec.source, self._spec.name}
        wanted.add(source.name if self._spec.is_folder else self._spec.revision)
        for name, root in served:
            folders = {Path(path).name for path in (name, root) if path.startswith("/")}
            if wanted & {name, root, *folders}:
                return name
        raise ModelError(
            f"{self._name} serves {', '.join(name for name, _ in served) or 'no model'}, "
            f"and not {self._spec.name} ({self._spec.source}); name that server's model with "
            f"--model, or start it with: {serve_command(self._spec)}"
        )

    def _try_out(self) -> dict[str, Any]:
        """Embed a grey picture and a word; return the request that went well."""
        from PIL import Image

        side = self._spec.image.side or 64
        picture = EngineInput(document_prompt(self._spec), Image.new("RGB", (side, side), "grey"))
        text = [EngineInput("a")] if self._spec.pad_text else []
        for item in [picture, *text]:
            try:
                (output,) = self._embed([item])
            except _Refused as error:
                output = Refusal(str(error))
            if isinstance(output, Refusal):
                raise ModelError(
                    f"{self._spec.name}: {self._name} cannot be used for it: {output.reason}; "
                    f"start it with: {serve_command(self._spec)}"
                )
        return self._request([picture])

    def _embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed texts, or pictures; raise _Refused where one of them is not taken."""
        answer = self._ask("/v1/embeddings", self._request(inputs))
        try:
            raw = {item["index"]: _numbers(item["embedding"]) for item in answer["data"]}
            if len(answer["data"]) != len(inputs) or set(raw) != set(range(len(inputs))):
                raise ValueError(f"{len(answer['data'])} vectors for {len(inputs)} inputs")
            tokens = answer["usage"]["prompt_tokens"] if self._spec.pad_text else None
            outputs = [checked(raw[number], self._spec) for number in range(len(inputs))]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(
                f"{self._name} answers, but not with vectors ({type(error).__name__}: "
                f"{reason_of(error)}); is it vLLM, and what stands between?"
            ) from error
        padded = len(inputs) * self._spec.text_limit
        if inputs[0].image is None and tokens not in (None, padded):
            raise ModelError(
                f"{self._spec.name} needs its texts padded to {self._spec.text_limit} tokens, and "
                f"{self._name} does not do it; it must be vLLM 0.32 or newer"
            )
        return outputs

    def _request(self, inputs: Sequence[EngineInput]) -> dict[str, Any]:
        """Return the JSON for texts, or for pictures: all have one, or none has."""
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
            request["chat_template"] = RAW
        if options := self._spec.engine_arguments.get("mm_processor_kwargs"):
            request["mm_processor_kwargs"] = dict(options)
        conversations = [[_message(item)] for item in inputs]
        return request | {"messages": conversations[0] if len(inputs) == 1 else conversations}

    def _ask(self, path: str, body: dict[str, Any] | None = None, *, hasty: bool = False) -> Any:
        """Return the JSON that the server answers, trying again while that may help.

        hasty: where nobody answers at all, say so at once. Errors: _Refused, EngineError.
        """
        import httpx

        started, pause, tries = time.monotonic(), self._patience.first, 0
        while True:
            tries, least = tries + 1, 0.0
            try:
                response = self._once(path, body)
            except (httpx.RequestError, RuntimeError) as error:  # RuntimeError: closed meanwhile
                trouble = f"no answer ({reason_of(error)})"
                if hasty and not isinstance(error, httpx.ReadError | httpx.RemoteProtocolError):
                    raise EngineError(
                        f"{self._name}: {trouble}; is the address right, and has the server "
                        "started (a minute or more)?"
                    ) from error
            else:
                if response.status_code == 200:
                    try:
                        return response.json()
                    except ValueError as error:
                        raise EngineError(
                            f"{self._name}{path} answers with something that is no JSON; "
                            "is it vLLM?"
                        ) from error
                trouble = f"{response.status_code} {response.reason_phrase}: {_said(response)}"
                if response.status_code not in AGAIN:
                    raise self._denied(response, path)
                if response.status_code == 500 and tries >= TRIES and self._is_well():
                    raise _Refused(f"the server fails on it: {_said(response)}")
                least = _retry_after(response.headers.get("Retry-After", ""))
            wait = max(least, pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, self._patience.longest)
            waited = time.monotonic() - started
            if waited + wait > self._patience.total or self._leaving.wait(wait):
                asks = f", and it asks to wait {least:.0f} s more" if least else ""
                raise EngineError(
                    f"{self._name} was tried {tries} times in {waited:.0f} s; at last: {trouble}"
                    f"{asks}. What is embedded is kept; try again when the server is well"
                )

    def _once(self, path: str, body: dict[str, Any] | None) -> Any:
        method = "GET" if body is None else "POST"
        return self._client.request(method, self._url + path, json=body)

    def _is_well(self) -> bool:
        """Tell whether the server still does what it could do at the start."""
        import httpx

        if self._known_good is None:
            return False
        with suppress(httpx.RequestError, RuntimeError):
            return bool(self._once("/v1/embeddings", self._known_good).status_code == 200)
        return False

    def _denied(self, response: Any, path: str) -> Exception:
        """Return the error for an answer that will be the same the next time."""
        status, said = response.status_code, _said(response)
        if status in ITEMS_FAULT:
            return _Refused(said)
        remedy = "is it vLLM?"
        if status in (401, 403):
            remedy = "it asks for a key: give the right one with --api-key"
        elif 300 <= status < 400:
            remedy = f"it sends one to {response.headers.get('Location')}: give that address"
        elif status in (404, 405, 501):
            remedy = (
                "give the address without a path, of a server that was started with: "
                + serve_command(self._spec)
            )
        return EngineError(f"{self._name}{path}: {status} {said}; {remedy}")


def serve_command(spec: ModelSpec) -> str:
    """Return the command that serves a model as RemoteEngine needs it."""
    words = ["vllm", "serve", spec.source, "--runner", "pooling"]
    words += [] if spec.is_folder else ["--revision", spec.revision]
    if spec.pooling:
        words += ["--pooler-config", json.dumps({"seq_pooling_type": spec.pooling})]
    if "max_model_len" in spec.engine_arguments:
        words += ["--max-model-len", str(spec.engine_arguments["max_model_len"])]
    words += ["--trust-remote-code"] if spec.code else []
    words += ["--trust-request-chat-template"] if spec.placeholder else []
    words += (
        ["--trust-request-mm-kwargs"] if "mm_processor_kwargs" in spec.engine_arguments else []
    )
    return shlex.join(words)


def _address(url: str) -> tuple[str, str]:
    """Return a server's address without /v1, and the same without a password, for messages."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise EngineError(f"--engine {url}: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise EngineError("--engine: give an address such as http://127.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{parts.scheme}://{parts.netloc}{path}",
        f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{path}",
    )


def _message(item: EngineInput) -> dict[str, Any]:
    assert item.image is not None
    buffer = io.BytesIO()
    item.image.save(buffer, "PNG", compress_level=1)
    url = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}}]
    if item.prompt:
        content.append({"type": "text", "text": item.prompt})
    return {"role": "user", "content": content}


def _numbers(raw: Any) -> Vector:
    """Read a vector as it was asked for, or as a list, which other servers send."""
    if isinstance(raw, str):
        return np.frombuffer(base64.b64decode(raw, validate=True), dtype="<f4")
    return np.asarray(raw, dtype=np.float32)


def _said(response: Any) -> str:
    """Return the reason that an answer gives, in one line."""
    said: Any = response.text
    with suppress(ValueError):
        said = response.json()
        for key in ("error", "message", "detail"):  # {"error": {"message": ...}}, and the like
            said = said.get(key, said) if isinstance(said, dict) else said
    return reason_of(Exception(said)) if said else str(response.reason_phrase)


def _retry_after(header: str) -> float:
    """Return the seconds that a server asks to wait: it sends a number, or a moment."""
    with suppress(ValueError):
        return max(0.0, min(float(header), 86400.0))
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(header)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return 0.0
