"""vLLM in this process: for queries, for tests, and wherever there is no GPU to keep busy."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from searchapp.engines.base import Refusal, Vector, checked, embed_apart, reason_of
from searchapp.engines.mend import mend_torchvision
from searchapp.engines.quiet import last_lines, quiet
from searchapp.errors import EngineError, ModelError
from searchapp.models import EngineInput, ModelSpec, check_trust, has_gpu, hub

INSTALL = "pip install 'searchapp[gpu]' (NVIDIA) or 'searchapp[cpu]'"
# Set before vLLM is imported, and only where the user has not: in this process, with no statistics
# sent anywhere, no log lines, no progress bars.
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
QUIET_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "TQDM_DISABLE": "1",
}
SLICE = 64  # inputs a call: embed() holds all it is given in memory


class _Dead(Exception):
    """The engine failed, not the input."""


class LocalEngine:
    """A model run by vLLM in this process."""

    def __init__(self, spec: ModelSpec, *, seed: int = 0, verbose: bool = False) -> None:
        """Load the model, which takes from seconds to a minute."""
        self._spec, self._seed, self._verbose = spec, seed, verbose
        self._llm: Any = None
        self._start()

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""
        return self._spec

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed in slices: see Engine. A dead engine is started again, once for each slice."""
        results: list[Vector | Refusal] = []
        for start in range(0, len(inputs), SLICE):
            part = inputs[start : start + SLICE]
            try:
                results += embed_apart(self._embed, part, (_Dead,))
            except _Dead:
                self._start()
                results += self._embed_one_by_one(part)
        return results

    def count_tokens(self, prompt: str) -> int:
        """Count by the model's own tokenizer."""
        return len(self._llm.get_tokenizer()(prompt)["input_ids"])

    def close(self) -> None:
        """Free the model's memory."""
        if self._llm is None:
            return
        self._llm = None
        gc.collect()
        with suppress(Exception), quiet(self._verbose):  # a dying engine must not hide the answer
            from vllm.distributed import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()

    def _embed_one_by_one(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Find what kills the engine: it alone is refused."""
        results: list[Vector | Refusal] = []
        for single in inputs:
            try:
                results += embed_apart(self._embed, [single], (_Dead,))
            except _Dead as error:
                results.append(Refusal(f"the engine failed on it: {error}"))
                self._start()
        return results

    def _start(self) -> None:
        self.close()
        check_trust(self._spec)
        folder = str(hub.fetch(self._spec))
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if not self._verbose:
            for name, value in QUIET_ENVIRONMENT.items():
                os.environ.setdefault(name, value)
        with quiet(self._verbose) as hidden:
            try:
                mend_torchvision()
                from vllm import LLM
                from vllm.config import PoolerConfig

                pooling = self._spec.pooling
                arguments = {
                    "runner": "pooling",
                    "seed": self._seed,
                    "limit_mm_per_prompt": {"image": 1, "video": 0, "audio": 0},
                    "mm_processor_cache_gb": 0,
                    "enable_prefix_caching": False,
                    "trust_remote_code": self._spec.trusted,
                    "pooler_config": PoolerConfig(seq_pooling_type=pooling) if pooling else None,
                    **(_on_gpu(self._spec) if has_gpu() else _on_cpu()),
                    **self._spec.engine_arguments,
                }
                self._llm = LLM(model=folder, **arguments)
            except ImportError as error:
                raise EngineError(
                    f"vLLM cannot be imported ({reason_of(error)}); install it: {INSTALL}"
                ) from error
            except Exception as error:  # vLLM states what is wrong with a model in many ways
                raise ModelError(
                    f"{self._spec.name}: vLLM cannot start it: {reason_of(error)}; "
                    f"-v shows more\n{last_lines(hidden)}"
                ) from error

    def _embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed texts and pictures, each in a call of their own where only texts are padded."""
        results: dict[int, Vector | Refusal] = {}
        texts = [i for i, item in enumerate(inputs) if self._spec.pad_text and item.image is None]
        rest = [i for i in range(len(inputs)) if i not in set(texts)]
        for numbers, options in ((texts, {"padding": "max_length"}), (rest, None)):
            if numbers:
                outputs = self._call([_prompt(inputs[i]) for i in numbers], options)
                results |= zip(numbers, outputs, strict=True)
        return [results[i] for i in range(len(inputs))]

    def _call(
        self, prompts: list[str | dict[str, Any]], tokenization: dict[str, str] | None
    ) -> list[Vector | Refusal]:
        try:
            outputs = self._llm.embed(prompts, use_tqdm=False, tokenization_kwargs=tokenization)
        except _input_errors():
            raise
        except Exception as error:  # EngineDeadError, or from inside the model's run
            raise _Dead(reason_of(error)) from error
        return [checked(output.outputs.embedding, self._spec) for output in outputs]


def _prompt(item: EngineInput) -> str | dict[str, Any]:
    if item.image is None:
        return item.prompt
    return {"prompt": item.prompt, "multi_modal_data": {"image": item.image}}


def _on_gpu(spec: ModelSpec) -> dict[str, Any]:
    """Take the memory that the model needs and no more: by itself vLLM takes nearly all there is.

    Two towers need next to no cache; the others one for the longest prompt, at most 1.6 GB of them.
    """
    return {"kv_cache_memory_bytes": (2048 if spec.pooling else 256) << 20}


def _on_cpu() -> dict[str, Any]:
    """Compile nothing, and take the numbers that this CPU is quick with: never float16.

    bfloat16 changes a vector's direction by some 1e-5 (cosine distance).
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = ""
    return {"enforce_eager": True, "dtype": "bfloat16" if "bf16" in flags else "float32"}


def _input_errors() -> tuple[type[Exception], ...]:
    """Return what vLLM's checks of an input raise; after anything else its state is unknown."""
    errors: tuple[type[Exception], ...] = (ValueError, TypeError, AssertionError, OSError)
    with suppress(ImportError):
        from vllm.exceptions import VLLMClientError

        errors += (VLLMClientError,)
    return errors
