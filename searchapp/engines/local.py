"""vLLM in this process: for queries, for tests, and wherever there is no GPU to keep busy."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchapp.engines.base import Refusal, Vector, normalize_vector, summarize_error
from searchapp.engines.captured_output import capture_output, read_last_lines
from searchapp.engines.pixels import PixelRenderer
from searchapp.engines.requirements import explain_gpu_failure, is_cpu_build, list_cpu_problems
from searchapp.engines.resize import resize_picture
from searchapp.engines.torchvision_stub import patch_torchvision
from searchapp.errors import EngineError, ModelError
from searchapp.files.extras import install_hint
from searchapp.models import EngineInput, ModelSpec, check_trust, has_gpu, hub, make_document_prompt
from searchapp.pictures import model_size

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Set before vLLM is imported, and only where the user has not: in this process, with no statistics
# sent anywhere, no log lines, no progress bars.
VLLM_ENVIRONMENT = {
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
CUDA_BLOCKING_SYNC = 4  # CUDA's CU_CTX_SCHED_BLOCKING_SYNC
MAX_SLICE_INPUTS = 256  # inputs that the engine holds at once
MAX_CONCURRENT_INPUTS = 128  # of them that the model runs on: memory grows with it, speed hardly


MAX_OUT_OF_MEMORY_INPUTS = (
    3  # inputs in a row that have not the memory each by itself, until the engine gives up
)


class _EngineFailedError(Exception):
    """The engine failed, not the input."""


class _OutOfMemoryError(_EngineFailedError):
    """So much at once is too much; the engine itself is well."""


class LocalEngine:
    """A model run by vLLM in this process."""

    def __init__(
        self, spec: ModelSpec, *, seed: int = 0, verbose: bool = False, bulk: bool = False
    ) -> None:
        """Load the model, which takes from seconds to a minute.

        bulk: take more of a GPU's memory, for whole batches of long prompts.
        """
        self._spec, self._seed, self._verbose, self._bulk = spec, seed, verbose, bulk
        self._llm: Any = None
        self._pixel_renderer: PixelRenderer | None = None
        self._requests = itertools.count()
        self._slice_inputs = MAX_SLICE_INPUTS  # less where that was too much for the memory
        self._out_of_memory_count = 0
        self._render_lock = threading.Lock()
        self._start()

    @property
    def spec(self) -> ModelSpec:
        """Return the model."""
        return self._spec

    @property
    def llm(self) -> Any:
        """Return vLLM's own LLM, to measure it."""
        return self._llm

    def prepare(self, item: EngineInput) -> EngineInput:
        """Render an input as the engine takes it: tokens, and the picture's numbers."""
        if item.rendered is not None:
            return item
        try:
            rendered = self._render_input(item)
        except Exception as error:  # a model's processor raises anything on what it is given
            rendered = Refusal(summarize_error(error))
        return replace(item, image=None, rendered=rendered)

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Embed in slices: see Engine. A dead engine is started again, once for each slice.

        A slice that is too much for the memory is halved, and those after it are as small.
        """
        results: list[Vector | Refusal] = []
        while len(results) < len(inputs):
            start = len(results)
            part = [self.prepare(item) for item in inputs[start : start + self._slice_inputs]]
            try:
                results += self._run_model(part)
                self._out_of_memory_count = 0
            except _EngineFailedError as error:
                if isinstance(error, _OutOfMemoryError) and len(part) > 1:
                    self._slice_inputs = min(len(part), MAX_CONCURRENT_INPUTS) // 2
                    continue
                self._start()
                results += self._run_one_by_one(part)
        return results

    def count_tokens(self, prompt: str) -> int:
        """Count by the model's own tokenizer."""
        return len(self._llm.get_tokenizer()(prompt)["input_ids"])

    def count_image_tokens(self, image: Picture) -> int:
        """Count what the model makes of a picture, in its own size: tokens, or patches."""
        prepared = self._render_with_vllm(EngineInput(self._spec.prompts.document, image))
        if self._spec.pooling is None:
            vision = self._llm.model_config.hf_config.vision_config
            return int(vision.image_size // vision.patch_size) ** 2
        (place,) = prepared["mm_placeholders"]["image"]
        return int(place.get_num_embeds())

    def close(self) -> None:
        """Free the model's memory."""
        if self._llm is None:
            return
        self._llm = None
        gc.collect()
        with (
            suppress(Exception),
            capture_output(self._verbose),
        ):  # a dying engine must not hide the answer
            from vllm.distributed import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()

    def _run_one_by_one(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Find what kills the engine: it alone is refused."""
        results: list[Vector | Refusal] = []
        for single in inputs:
            try:
                results += self._run_model([single])
                self._out_of_memory_count = 0
            except _EngineFailedError as error:
                self._out_of_memory_count = (
                    self._out_of_memory_count + 1 if isinstance(error, _OutOfMemoryError) else 0
                )
                if self._out_of_memory_count >= MAX_OUT_OF_MEMORY_INPUTS:
                    raise EngineError(
                        f"{self._spec.name} has not the memory for a single input ({error}); see "
                        "what else uses it (nvidia-smi), or take fewer --replicas or a smaller "
                        "--model"
                    ) from error
                results.append(Refusal(f"the engine failed on it: {error}"))
                self._start()
        return results

    def _start(self) -> None:
        self.close()
        check_trust(self._spec)
        for name, value in VLLM_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # Without AVX2 the extension may end the process: afterwards nobody could say why.
        if is_cpu_build() and (problems := list_cpu_problems()):
            raise EngineError("\n".join(problems))
        folder = str(hub.fetch_model(self._spec))
        if not self._verbose:
            for name, value in QUIET_ENVIRONMENT.items():
                os.environ.setdefault(name, value)
        with capture_output(self._verbose) as captured, _pause_garbage_collection():
            try:
                if self._bulk and has_gpu():
                    _enable_blocking_cuda_sync()
                patch_torchvision()
                from vllm import LLM
                from vllm.config import PoolerConfig

                gc.freeze()  # vLLM does so too, when it has started, and collects before it
                pooling = self._spec.pooling
                arguments = {
                    "runner": "pooling",
                    "seed": self._seed,
                    "limit_mm_per_prompt": {"image": 1, "video": 0, "audio": 0},
                    "mm_processor_cache_gb": 0,
                    "enable_prefix_caching": False,
                    "trust_remote_code": self._spec.trusted,
                    "pooler_config": PoolerConfig(seq_pooling_type=pooling) if pooling else None,
                    **(
                        _make_gpu_arguments(self._spec, self._bulk)
                        if has_gpu()
                        else _make_cpu_arguments()
                    ),
                    **self._spec.engine_arguments,
                }
                self._llm = LLM(model=folder, **arguments)
                model_size.set_resize_function(resize_picture)
                if not self._spec.prompts.document:  # a two-tower model: nothing but the picture
                    self._pixel_renderer = PixelRenderer.learn_from_renderer(
                        lambda image: self._render_with_vllm(EngineInput("", image)),
                        self._spec.image,
                    )
                if has_gpu():  # kernels are compiled at their first use, which takes a second
                    gray = model_size.make_blank_picture(self._spec.image)
                    self._run_model(
                        [self.prepare(EngineInput(make_document_prompt(self._spec), gray))]
                    )
            except Exception as error:  # vLLM states what is wrong with a model in many ways
                if problems := explain_gpu_failure(install_hint("cpu")):
                    raise EngineError("\n".join(problems)) from error
                if isinstance(error, ImportError):
                    raise EngineError(
                        f"vLLM cannot be imported ({summarize_error(error)}); install it. With an NVIDIA "
                        f"GPU: {install_hint('gpu')}; without: {install_hint('cpu')}"
                    ) from error
                raise ModelError(
                    f"{self._spec.name}: vLLM cannot start it: {summarize_error(error)}; "
                    f"-v shows more\n{read_last_lines(captured)}"
                ) from error

    def _render_input(self, item: EngineInput) -> Any:
        image = item.image
        if (
            self._pixel_renderer
            and image is not None
            and not item.prompt
            and self._pixel_renderer.can_render(image)
        ):
            return self._pixel_renderer.render_picture(image)
        return self._render_with_vllm(item)

    def _render_with_vllm(self, item: EngineInput) -> Any:
        """Let vLLM and the model's own processor render an input."""
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        prompt: dict[str, Any] = {"prompt": item.prompt}
        if item.image is not None:
            prompt["multi_modal_data"] = {"image": item.image}
        renderer = self._llm.llm_engine.renderer
        tokenization = renderer.default_cmpl_tok_params
        if self._spec.pad_text and item.image is None:
            tokenization = tokenization.with_kwargs(padding="max_length")
        parsed = parse_model_prompt(self._llm.model_config, prompt)
        # It sets torch's number of threads while it works, and puts back what it found.
        with self._render_lock:
            (rendered,) = renderer.render_cmpl([parsed], tokenization)
        return rendered

    def _run_model(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        """Run the model on prepared inputs; raise _Dead where the engine fails, not an input."""
        from vllm import PoolingParams

        engine, numbers = self._llm.llm_engine, dict[str, int]()
        results: list[Vector | Refusal] = []
        for number, item in enumerate(inputs):
            results.append(Refusal("the engine gave no answer"))
            if isinstance(item.rendered, Refusal):
                results[number] = item.rendered
                continue
            name = str(next(self._requests))
            try:
                engine.add_request(name, item.rendered, PoolingParams(task="embed"))
                numbers[name] = number
            except Exception as error:  # vLLM's checks: too long, and the like
                results[number] = Refusal(summarize_error(error))
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    vector = output.outputs.data.float().numpy()
                    results[numbers[output.request_id]] = normalize_vector(vector, self._spec)
        except Exception as error:  # EngineDeadError, or from inside the model's run
            if _is_out_of_memory(error) and self._abort_requests(list(numbers)):
                raise _OutOfMemoryError(summarize_error(error)) from error
            raise _EngineFailedError(summarize_error(error)) from error
        return results

    def _abort_requests(self, requests: list[str]) -> bool:
        """Take back what was asked, and free the memory; False where the engine does not let us."""
        try:
            engine = self._llm.llm_engine
            engine.abort_request(requests)
            with suppress(ImportError):
                import torch

                torch.cuda.empty_cache()
            return not engine.has_unfinished_requests()
        except Exception:  # it is past that: it will be started again
            return False


def _is_out_of_memory(error: BaseException) -> bool:
    """Tell whether there was not the memory: torch says so in several ways, on CPU and GPU."""
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in message for words in ("out of memory", "can't allocate memory")
    )


def _make_gpu_arguments(spec: ModelSpec, bulk: bool) -> dict[str, Any]:
    """Take the memory that the model needs and no more: by itself vLLM takes nearly all there is.

    Two towers need next to no cache; the others one for the longest prompt, at most 1.6 GB of them.
    """
    cache = ((6144 if bulk else 2048) if spec.pooling else 256) << 20
    # The share is what must be free at the start: nothing beside the size of the cache.
    return {
        "kv_cache_memory_bytes": cache,
        "gpu_memory_utilization": 0.01,
        "max_num_seqs": MAX_CONCURRENT_INPUTS,
        "enforce_eager": True,  # compiling takes a minute, and gains nothing on whole batches
    }


@contextmanager
def _pause_garbage_collection() -> Iterator[None]:
    """Look for no garbage in a block: imports make a million objects, which all stay.

    To look at them again and again is a quarter of the time that a small model takes to start.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    except BaseException:
        gc.unfreeze()
        raise
    finally:
        if enabled:
            gc.enable()


def _enable_blocking_cuda_sync() -> None:
    """Let CUDA wait without spinning: with many engines the cores are needed to decode.

    To be called before anything else of CUDA; where it fails, CUDA spins as it does by itself.
    """
    with suppress(OSError, AttributeError):
        cuda, device = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        cuda.cuInit(0)
        cuda.cuDeviceGet(ctypes.byref(device), 0)
        cuda.cuDevicePrimaryCtxSetFlags_v2(device, CUDA_BLOCKING_SYNC)


def _make_cpu_arguments() -> dict[str, Any]:
    """Compile nothing, and take the numbers that this CPU is quick with: never float16.

    bfloat16 changes a vector's direction by some 1e-5 (cosine distance).
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        flags = ""
    return {"enforce_eager": True, "dtype": "bfloat16" if "bf16" in flags else "float32"}
