"""Replace vLLM's LLM below the real LocalEngine: record the prompts, answer with ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class FakeLLM:
    """Acts as the LLM, the engine, the renderer and the tokenization of vLLM at once."""

    model_config = SimpleNamespace(is_encoder_decoder=False)

    def __init__(self, dimensions: int) -> None:
        self.prompts: list[Any] = []
        self.llm_engine = self.renderer = self.default_cmpl_tok_params = self
        self._dimensions = dimensions
        self._pending: list[str] = []

    def with_kwargs(self, **_: object) -> FakeLLM:
        return self

    def render_cmpl(self, prompts: list[Any], _: object) -> list[Any]:
        self.prompts += prompts
        return prompts

    def add_request(self, name: str, prompt: Any, _: object) -> None:
        self._pending.append(name)

    def has_unfinished_requests(self) -> bool:
        return bool(self._pending)

    def step(self) -> list[Any]:
        import torch

        output = SimpleNamespace(data=torch.ones(self._dimensions))
        done, self._pending = self._pending, []
        return [SimpleNamespace(request_id=name, outputs=output) for name in done]

    def get_tokenizer(self) -> Any:
        return lambda text: {"input_ids": text.split()}
