"""Sample how busy the GPUs and the CPU cores are while a measurement runs."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from searchapp.engines.machine import list_cores, list_gpus

SAMPLE_INTERVAL_S = 0.25
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class UsageSampler:
    """Context manager that samples the load of the visible GPUs and of this process.

    The load of the process includes its child processes.
    """

    def __init__(self) -> None:
        self.peak_gpu_memory_mb = 0.0  # of all visible GPUs together
        self._gpu_samples: list[tuple[float, float]] = []  # (time, percent)
        self._cpu_samples: list[tuple[float, float]] = []  # (time, CPU seconds used until then)
        self._stop_event = threading.Event()
        self._threads: list[threading.Thread] = []
        self._smi_process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if gpu_names := ",".join(gpu.name for gpu in list_gpus()):
            command = [
                "nvidia-smi",
                *("-i", gpu_names),
                "--query-gpu=index,utilization.gpu,memory.used",
                "--format=csv,noheader,nounits",
                *("-lms", str(int(SAMPLE_INTERVAL_S * 1000))),
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

    def compute_gpu_percent(self, since: float, until: float) -> float | None:
        """Return the mean GPU utilization between two times of time.monotonic(), or None.

        None: there are no samples between these times.
        """
        samples = [percent for when, percent in self._gpu_samples if since <= when <= until]
        return round(sum(samples) / len(samples), 1) if samples else None

    def compute_cpu_percent(self, since: float, until: float) -> float | None:
        """Return how much of the usable cores this process and its children used, in percent."""
        samples = [sample for sample in self._cpu_samples if since <= sample[0] <= until]
        if len(samples) < 2:
            return None
        (first_time, first_s), (last_time, last_s) = samples[0], samples[-1]
        return round(100 * (last_s - first_s) / ((last_time - first_time) * len(list_cores())), 1)

    def _sample_gpu(self) -> None:
        assert self._smi_process is not None
        assert self._smi_process.stdout is not None
        memory_mb_by_gpu = dict[str, float]()  # the last sample of each GPU
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
            # The last interval of a process that has ended is lost.
            current = _read_cpu_ticks()
            total += sum(max(0, ticks - before.get(pid, 0)) for pid, ticks in current.items())
            before = current
            self._cpu_samples.append((time.monotonic(), total / TICKS_PER_S))


def _read_cpu_ticks() -> dict[int, int]:
    """Return the CPU time of this process and its running children, in clock ticks by pid."""
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
