"""Run a full batch of an image tower as one CUDA graph.

A tower launches about a thousand kernels for each batch. Between two launches, Python's lock goes
to other threads: the threads that read and decode pictures. A graph is a single launch.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

WARMUP_RUNS = 2  # before the recording: the first runs choose kernels and allocate memory


class TowerGraph:
    """The recorded kernels of an image tower for a batch of a fixed size."""

    def __init__(self, run: Callable[[Any], Any], channels: Any) -> None:
        """Record the kernels of a batch. No other thread of this process may use CUDA meanwhile.

        run: returns the vectors of pictures, [n, dimensions]. channels: pictures on the GPU, uint8,
        [n, 3, side, side]. Raises any exception if the kernels cannot be recorded.
        """
        import torch

        self._channels = channels
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(WARMUP_RUNS):
                run(channels)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self._graph):
            self._vectors = run(channels)

    def __call__(self, channels: Any) -> Any:
        """Return the vectors of pictures: [n, dimensions], valid until the next call.

        channels: uint8, [n, 3, side, side], on the CPU or the GPU; at most as many pictures as
        were recorded. The time does not depend on their number.
        """
        count = len(channels)
        self._channels[:count].copy_(channels)
        self._graph.replay()
        return self._vectors[:count]
