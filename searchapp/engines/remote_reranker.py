"""Rerank with a vLLM server over HTTP, on this machine or another one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from searchapp.engines.base import Refusal, Vector, embed_isolating_failures, summarize_error
from searchapp.engines.http_requests import EngineHttpClient, RequestRefusedError, RetryPolicy
from searchapp.engines.remote import encode_picture_url, find_served_model
from searchapp.engines.reranker import RerankQuestion
from searchapp.errors import EngineError, ModelError, SearchAppError
from searchapp.models import EngineInput, ModelSpec
from searchapp.models.qwen3_vl_reranker import CHAT_TEMPLATE, make_rerank_prompt

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class RemoteReranker:
    """A reranker that a vLLM server runs, with our chat template: see build_rerank_command."""

    def __init__(
        self,
        spec: ModelSpec,
        url: str,
        *,
        api_key: str | None = None,
        must_serve_spec: bool = False,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """Connect to a vLLM server, and check its chat template.

        must_serve_spec: refuse a server that runs another model. Raises EngineError if no vLLM
        server answers, ModelError if its model or its chat template is another one.
        """
        self._spec = spec
        command = build_rerank_command(spec)
        self._client = EngineHttpClient(url, api_key, 2, retry_policy or RetryPolicy(), command)
        try:
            self._model = find_served_model(
                self._client, spec if must_serve_spec else None,
                f"Give the server of the reranker with --reranker URL, or start it with: {command}",
            )  # fmt: skip
            self._check_template(command)
        except BaseException:
            self.close()
            raise

    @property
    def spec(self) -> ModelSpec:
        """Return the model's specification."""
        return self._spec

    def score(self, question: RerankQuestion, pictures: Sequence[Picture]) -> list[float | Refusal]:
        """Score pictures in one request; after a refusal, find the picture that causes it."""
        make_rerank_prompt(question.text, has_picture=question.image is not None)  # checks the text
        content: list[dict[str, Any]] = []
        if question.image is not None:
            content.append(_make_picture_part(question.image))
        if text := (question.text or "").strip():
            content.append({"type": "text", "text": text})

        def score_batch(inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
            documents = [{"content": [_make_picture_part(item.image)]} for item in inputs]
            scores, _ = self._request_scores({"content": content}, documents)
            return [np.array([score], np.float32) for score in scores]

        inputs = [EngineInput("", picture) for picture in pictures]
        outputs = embed_isolating_failures(score_batch, inputs, fatal=(SearchAppError,))
        return [each if isinstance(each, Refusal) else float(each[0]) for each in outputs]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _check_template(self, command: str) -> None:
        """Raise ModelError if the server fills another prompt than ours, by its tokens."""
        question, document = "a red boat", "a boat"
        prompt = make_rerank_prompt(question, has_picture=False, document=document)
        try:
            _, tokens = self._request_scores(question, [document])
            expected = self._client.count_tokens(self._model, prompt)
        except (RequestRefusedError, KeyError, TypeError) as error:
            raise ModelError(
                f"{self._client.name} cannot rerank: {summarize_error(error)}. Start the server "
                f"with: {command}"
            ) from error
        if tokens != expected:
            raise ModelError(
                f"{self._client.name} runs the reranker without its chat template (a prompt has "
                f"{tokens} tokens instead of {expected}), so its scores mean nothing. Start the "
                f"server with: {command}"
            )

    def _request_scores(
        self, question: str | dict[str, Any], documents: Sequence[str | dict[str, Any]]
    ) -> tuple[list[float], int]:
        """Return a score for each document, and the number of tokens of all prompts.

        Raises RequestRefusedError if the server rejects an input.
        """
        body = {"model": self._model, "queries": question, "documents": list(documents)}
        answer = self._client.request_json("/score", body)
        try:
            scores = {item["index"]: float(item["score"]) for item in answer["data"]}
            ordered = [scores[number] for number in range(len(documents))]
            if len(answer["data"]) != len(documents) or not all(0 <= s <= 1 for s in ordered):
                raise ValueError("the scores are not one from 0 to 1 for each picture")
            return ordered, int(answer["usage"]["prompt_tokens"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(
                f"{self._client.name} returned no valid scores ({type(error).__name__}: "
                f"{summarize_error(error)}). Check that a vLLM server with a reranker runs there."
            ) from error


def build_rerank_command(spec: ModelSpec) -> str:
    """Return the shell command that serves a reranker with its chat template."""
    words = ["vllm", "serve", spec.source, "--runner", "pooling"]
    words += [] if spec.is_folder else ["--revision", spec.revision]
    words += ["--max-model-len", str(spec.engine_arguments["max_model_len"])]
    words += ["--mm-processor-cache-gb", "0", "--limit-mm-per-prompt", '{"image": 2, "video": 0}']
    words += ["--mm-processor-kwargs", json.dumps(spec.engine_arguments["mm_processor_kwargs"])]
    words += ["--hf-overrides", json.dumps(spec.engine_arguments["hf_overrides"])]
    return shlex.join([*words, "--chat-template", CHAT_TEMPLATE])


def _make_picture_part(image: Picture | None) -> dict[str, Any]:
    assert image is not None
    return {"type": "image_url", "image_url": {"url": encode_picture_url(image)}}
