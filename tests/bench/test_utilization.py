"""Test the GPU figures of `bench index` with a fake nvidia-smi."""

import sys
import time
from pathlib import Path

import pytest

from searchapp.bench.utilization import UsageSampler

SMI = """#!{python}
import sys, time
GPUS = [  # index, UUID, free, busy, used
    (0, "GPU-a", 79000, 90, 1000), (1, "GPU-b", 78000, 80, 2000),
    (2, "GPU-c", 79500, 0, 500), (3, "GPU-d", 79500, 0, 500),
]
chosen = sys.argv[sys.argv.index("-i") + 1].split(",") if "-i" in sys.argv else None
found = [gpu for gpu in GPUS if chosen is None or str(gpu[0]) in chosen or gpu[1] in chosen]
names = {{"index": 0, "uuid": 1, "memory.free": 2, "utilization.gpu": 3, "memory.used": 4}}
(fields,) = [arg.partition("=")[2].split(",") for arg in sys.argv if arg.startswith("--query-gpu=")]
while True:
    for gpu in found:
        print(*(gpu[names[name]] for name in fields), sep=", ", flush=True)
    if "-lms" not in sys.argv:
        break
    time.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("visible", "busy", "memory"),
    [
        (None, 42.5, 4000), ("0,1", 85, 3000), ("1", 80, 2000), ("GPU-c,GPU-b", 40, 2500),
        ("", None, 0),
    ],
)  # fmt: skip
def test_only_gpus_that_are_visible_count(
    visible: str | None,
    busy: float | None,
    memory: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The utilization is the mean of the visible GPUs, and their memory is added up."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text(SMI.format(python=sys.executable))
    smi.chmod(0o755)
    monkeypatch.setattr("searchapp.models.gpu.is_cpu_build", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    since = time.monotonic()
    with UsageSampler() as usage:
        deadline = since + 30
        while (
            busy is not None and usage.peak_gpu_memory_mb < memory and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        time.sleep(0.3)
    until = time.monotonic()
    percent = usage.compute_gpu_percent(since, until)
    # The last round of samples may lack some GPUs, so the mean is not exact.
    assert percent == (None if busy is None else pytest.approx(busy, abs=3))
    assert usage.peak_gpu_memory_mb == memory
