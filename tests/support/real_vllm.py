"""Use the real vLLM on the CPU in this process: import it late, and start small engines."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from searchapp.models import ModelSpec, resolve_model

if TYPE_CHECKING:
    from searchapp.engines.local import LocalEngine

CACHE_BYTES = 64 << 20  # zeroing vLLM's default of a GiB takes as long as the rest of a start

VLLM_MARKS = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="vLLM is not installed: pip install -e '.[cpu]'",
    ),
    pytest.mark.usefixtures("patched_torchvision"),
]


def needs_vllm(test: Any) -> Any:
    """Mark a test that runs the real vLLM; skip it if vLLM is not installed."""
    for mark in VLLM_MARKS:
        test = mark(test)
    return test


def make_exact(spec: ModelSpec) -> ModelSpec:
    """Return the spec with transformers' number format, float32, and a small cache."""
    arguments = {"dtype": "float32", "kv_cache_memory_bytes": CACHE_BYTES}
    return replace(spec, engine_arguments={**spec.engine_arguments, **arguments})


def start_exact_engine(spec: ModelSpec) -> LocalEngine:
    """Start an engine with a spec of make_exact().

    It lives as long as this process: closing it takes longer than starting the next one.
    """
    from searchapp.engines.local import LocalEngine

    return LocalEngine(make_exact(spec))


@cache
def start_starter() -> LocalEngine:
    """Start the starter model, once for this process."""
    from searchapp.engines.local import LocalEngine

    return LocalEngine(resolve_model("starter"))
