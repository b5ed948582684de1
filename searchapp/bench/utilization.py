"""How busy the machine is while something runs: its GPUs, and the cores that we keep busy."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from searchapp.engines.machine import list_cores, list_gpus

SAMPLE_INTERVAL_S = 0.25  # seconds
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class UsageSampler:
    """Samples, as a context, this process with its children and the GPUs that it may use."""

    def __init__(self) -> None:
        self.peak_gpu_memory_mb = 0.0  # the most seen at once, of these GPUs together
        self._gpu_samples: list[tuple[float, float]] = []  # when, and percent
        self._cpu_samples: list[tuple[float, float]] = []  # when, and seconds so far
        self._stop_event = threading.Event()
        self._threads: list[threading.Thread] = []
        self._smi_process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if ours := ",".join(gpu.name for gpu in list_gpus()):
            query = "--query-gpu=index,utilization.gpu,memory.used"
            form = "--format=csv,noheader,nounits"
            command = [
                "nvidia-smi",
                "-i",
                ours,
                query,
                form,
                "-lms",
                str(int(SAMPLE_INTERVAL_S * 1000)),
            ]
            self._smi_process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._threads.append(threading.Thread(target=self._sample_gpu, daemon=True))
        self._threads.append(threading.Thread(target=self._sample_cpu, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_event.set()
        if self._smi_process is not None:
            self._smi_process.kill()
        for thread in self._threads:
            thread.join(timeout=2)

    def mean_gpu_percent(self, since: float, until: float) -> float | None:
        """Return the mean share of time in which a GPU worked; None where there is none."""
        samples = [percent for when, percent in self._gpu_samples if since <= when <= until]
        return round(sum(samples) / len(samples), 1) if samples else None

    def mean_cpu_percent(self, since: float, until: float) -> float | None:
        """Return the share of this process's cores that it and its children used."""
        samples = [sample for sample in self._cpu_samples if since <= sample[0] <= until]
        if len(samples) < 2:
            return None
        (first, before), (last, after) = samples[0], samples[-1]
        return round(100 * (after - before) / ((last - first) * len(list_cores())), 1)

    def _sample_gpu(self) -> None:
        assert self._smi_process is not None
        assert self._smi_process.stdout is not None
        memory_mb_by_gpu = dict[str, float]()  # by each GPU, when it was seen last
        for line in self._smi_process.stdout:
            parts = [part.strip() for part in line.split(",")]
            if len(parts) == 3 and all(part.isdigit() for part in parts):
                self._gpu_samples.append((time.monotonic(), float(parts[1])))
                memory_mb_by_gpu[parts[0]] = float(parts[2])
                self.peak_gpu_memory_mb = max(
                    self.peak_gpu_memory_mb, sum(memory_mb_by_gpu.values())
                )

    def _sample_cpu(self) -> None:
        total, before = 0, dict[int, int]()
        while not self._stop_event.wait(SAMPLE_INTERVAL_S):
            now = _read_cpu_ticks()  # of those that have ended, the last interval is not known
            total += sum(max(0, ticks - before.get(pid, 0)) for pid, ticks in now.items())
            before = now
            self._cpu_samples.append((time.monotonic(), total / TICKS_PER_S))


def _read_cpu_ticks() -> dict[int, int]:
    """Return the processor time of this process and its living children, by process."""
    ticks_by_pid, own_pid = dict[int, int](), os.getpid()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(folder.name) == own_pid or int(fields[1]) == own_pid:
                ticks_by_pid[int(folder.name)] = int(fields[11]) + int(fields[12])
    return ticks_by_pid
