"""Simulate machines: their shared libraries, and their NVIDIA driver."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest


class Driver:
    """Acts as an NVIDIA driver for a version of CUDA and a number of GPUs."""

    def __init__(self, version: int, gpus: int = 1) -> None:
        self.version, self.gpus = version, gpus

    def cuInit(self, _: int) -> int:
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.gpus
        return 0


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Shared libraries by name; loading any other library fails."""
    installed: dict[str, object] = {}

    def load(name: str) -> object:
        if name not in installed:
            raise OSError(f"{name}: cannot open shared object file")
        return installed[name]

    monkeypatch.setattr(ctypes, "CDLL", load)
    return installed
