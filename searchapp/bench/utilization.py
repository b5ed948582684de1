"""How busy the machine is while something runs: its GPUs, and the cores that we keep busy."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from searchapp.engines.machine import cores, gpus

INTERVAL = 0.25  # seconds
TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """Samples, as a context, this process with its children and the GPUs that it may use."""

    def __init__(self) -> None:
        self.gpu_memory_mb = 0.0  # the most seen at once, of these GPUs together
        self._gpu: list[tuple[float, float]] = []  # when, and percent
        self._cpu: list[tuple[float, float]] = []  # when, and seconds so far
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._smi: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if ours := ",".join(gpu.name for gpu in gpus()):
            query = "--query-gpu=index,utilization.gpu,memory.used"
            form = "--format=csv,noheader,nounits"
            command = ["nvidia-smi", "-i", ours, query, form, "-lms", str(int(INTERVAL * 1000))]
            self._smi = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._threads.append(threading.Thread(target=self._watch_gpu, daemon=True))
        self._threads.append(threading.Thread(target=self._watch_cpu, daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._smi is not None:
            self._smi.kill()
        for thread in self._threads:
            thread.join(timeout=2)

    def gpu_percent(self, since: float, until: float) -> float | None:
        """Return the mean share of time in which a GPU worked; None where there is none."""
        seen = [percent for when, percent in self._gpu if since <= when <= until]
        return round(sum(seen) / len(seen), 1) if seen else None

    def cpu_percent(self, since: float, until: float) -> float | None:
        """Return the share of this process's cores that it and its children used."""
        seen = [sample for sample in self._cpu if since <= sample[0] <= until]
        if len(seen) < 2:
            return None
        (first, before), (last, after) = seen[0], seen[-1]
        return round(100 * (after - before) / ((last - first) * len(cores())), 1)

    def _watch_gpu(self) -> None:
        assert self._smi is not None
        assert self._smi.stdout is not None
        used = dict[str, float]()  # by each GPU, when it was seen last
        for line in self._smi.stdout:
            parts = [part.strip() for part in line.split(",")]
            if len(parts) == 3 and all(part.isdigit() for part in parts):
                self._gpu.append((time.monotonic(), float(parts[1])))
                used[parts[0]] = float(parts[2])
                self.gpu_memory_mb = max(self.gpu_memory_mb, sum(used.values()))

    def _watch_cpu(self) -> None:
        total, before = 0, dict[int, int]()
        while not self._over.wait(INTERVAL):
            now = _cpu_ticks()  # of those that have ended, the last interval is not known
            total += sum(max(0, ticks - before.get(pid, 0)) for pid, ticks in now.items())
            before = now
            self._cpu.append((time.monotonic(), total / TICKS))


def _cpu_ticks() -> dict[int, int]:
    """Return the processor time of this process and its living children, by process."""
    found, me = dict[int, int](), os.getpid()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(folder.name) == me or int(fields[1]) == me:
                found[int(folder.name)] = int(fields[11]) + int(fields[12])
    return found
