"""Start vLLM with a model in this process, and explain why it cannot start."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from searchapp.engines import encoder_attention, vllm_settings
from searchapp.engines.base import summarize_error
from searchapp.engines.captured_output import capture_output, read_last_lines
from searchapp.engines.requirements import explain_gpu_failure, list_cpu_problems
from searchapp.engines.torchvision_stub import patch_torchvision
from searchapp.errors import EngineError, ModelError
from searchapp.files.extras import install_hint
from searchapp.models import (
    ModelSpec,
    check_precision,
    check_trust,
    has_gpu,
    hub,
    is_cpu_build,
)

logger = logging.getLogger(__name__)


def prepare_start(spec: ModelSpec, *, verbose: bool) -> str:
    """Set vLLM's environment, and download a model if it is missing; return its folder.

    Raises ModelError if the model is not trusted or not available, or needs another GPU, and
    EngineError if this machine cannot run vLLM.
    """
    check_trust(spec)
    check_precision(spec)
    vllm_settings.set_environment_defaults(vllm_settings.VLLM_ENVIRONMENT)
    # Without AVX2, the extension can end the process before any error message.
    if is_cpu_build() and (problems := list_cpu_problems()):
        raise EngineError("\n  ".join(problems))
    folder = str(hub.fetch_model(spec))
    if not verbose:  # only after the download, so that its progress bars are shown
        vllm_settings.set_environment_defaults(vllm_settings.QUIET_ENVIRONMENT)
    return folder


@contextmanager
def watch_start(spec: ModelSpec, *, verbose: bool) -> Iterator[None]:
    """Run the with block, which starts vLLM: log its time, capture its output, explain its errors.

    Raises ModelError if vLLM cannot start the model, and EngineError if it cannot run at all.
    """
    device = "GPU" if has_gpu() else "CPU"
    logger.info("Starting vLLM with the model %s on the %s", spec.name, device)
    started_at = time.monotonic()
    with (
        capture_output(verbose) as captured,
        vllm_settings.pause_garbage_collection(),
        vllm_settings.hide_ray(),
    ):
        try:
            yield
        except Exception as error:  # vLLM raises many types for an unusable model.
            if problems := explain_gpu_failure(install_hint("cpu")):
                raise EngineError("\n  ".join(problems)) from error
            if isinstance(error, ImportError):
                raise EngineError(
                    f"vLLM cannot be imported ({summarize_error(error)}). Install it. With an "
                    f"NVIDIA GPU: {install_hint('gpu')}; without: {install_hint('cpu')}"
                ) from error
            precision = f" with --precision {spec.precision}" if spec.precision else ""
            raise ModelError(
                f"{spec.name}: vLLM cannot start the model{precision}: {summarize_error(error)}. "
                f"The option -vv shows more.\n{read_last_lines(captured)}"
            ) from error
    seconds = time.monotonic() - started_at
    logger.info("Started vLLM with the model %s in %.1f s", spec.name, seconds)


def create_llm(
    spec: ModelSpec, folder: str, *, seed: int, bulk: bool, max_pictures: int
) -> tuple[Any, dict[str, Any]]:
    """Create vLLM's LLM object from a model's folder; return it, and the arguments used.

    bulk: reserve more GPU memory. max_pictures: of a prompt. Call this function in a with block of
    watch_start(), which explains its errors.
    """
    if bulk and has_gpu():
        vllm_settings.enable_blocking_cuda_sync()
    vllm_settings.reuse_transformers_scan()
    patch_torchvision()
    if spec.architecture == encoder_attention.ARCHITECTURE and is_cpu_build():
        encoder_attention.patch_encoder_attention()
    from vllm import LLM
    from vllm.config import PoolerConfig

    # vLLM freezes the garbage collector's objects after its start, but collects before that.
    gc.freeze()
    arguments = {
        "runner": "pooling",
        "seed": seed,
        "limit_mm_per_prompt": {"image": max_pictures, "video": 0, "audio": 0},
        "mm_processor_cache_gb": 0,
        "enable_prefix_caching": False,
        "trust_remote_code": spec.trusted,
        "pooler_config": PoolerConfig(seq_pooling_type=spec.pooling) if spec.pooling else None,
        **vllm_settings.make_device_arguments(spec, bulk),
        **spec.engine_arguments,
    }
    return LLM(model=folder, **arguments), arguments
