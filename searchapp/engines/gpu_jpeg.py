"""Decode JPEGs on the GPU with nvJPEG, which comes with torchvision.

https://docs.pytorch.org/vision/stable/generated/torchvision.io.decode_jpeg.html
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from searchapp.engines.base import summarize_error
from searchapp.engines.batched_jpeg import MIN_PIXELS, BatchedJpegDecoder
from searchapp.engines.proven_jpeg import ProvenDecoder
from searchapp.engines.tensors import bytes_to_tensor
from searchapp.models import ModelSpec, has_gpu
from searchapp.pictures.jpeg_decoder import JpegJob
from searchapp.types import DecodeDevice

logger = logging.getLogger(__name__)

# Compute capabilities of GPUs with JPEG hardware: A100, Ada, Hopper, Blackwell. Others decode with
# the cores' help, which is no faster than the cores alone.
# https://docs.nvidia.com/cuda/nvjpeg/index.html#hardware-acceleration
HARDWARE_CAPABILITIES = {(8, 0), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0)}


def may_decode_jpegs(spec: ModelSpec, device: DecodeDevice) -> bool:
    """Return whether the GPU decodes JPEGs for a model, if its hardware and software can."""
    return device == "gpu" or (device == "auto" and spec.pooling is None)


def start_jpeg_decoder(spec: ModelSpec, device: DecodeDevice) -> BatchedJpegDecoder | None:
    """Start a decoder in a process with a running engine; return None to decode with Pillow.

    With "auto", the GPU helps the cores if it has JPEG hardware and if the model is small: a large
    model keeps the GPU busy and leaves the cores idle. With "gpu", it decodes all JPEGs that it
    can. If the GPU should decode but cannot, the returned decoder only reports why.
    """
    if device == "cpu":
        return None
    is_preferred = device == "gpu"
    try:
        problem = _find_reason_for_cpu(spec, is_preferred=is_preferred)
        if problem is None:
            return BatchedJpegDecoder(
                _start_nvjpeg().decode_batch,
                is_preferred=is_preferred,
                min_pixels=1 if is_preferred else MIN_PIXELS,
            )
        is_notable = is_preferred
    except Exception as error:  # ImportError, or any error of torch, torchvision or CUDA
        problem, is_notable = f"nvJPEG does not work ({summarize_error(error)})", True
    logger.log(
        logging.INFO if is_notable else logging.DEBUG, "Decoding JPEGs on the CPU: %s", problem
    )
    return BatchedJpegDecoder(None, is_preferred=False, problem=problem) if is_notable else None


def _find_reason_for_cpu(spec: ModelSpec, *, is_preferred: bool) -> str | None:
    """Return why JPEGs are decoded on the CPU; None if the GPU should decode.

    is_preferred: whether the user prefers the GPU.
    """
    if not has_gpu():
        return "there is no GPU"
    if is_preferred:
        return None
    if not may_decode_jpegs(spec, "auto"):
        return f"the model {spec.name} keeps the GPU busy"
    # Without an engine in this process, a server runs the model. torch need not be installed.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return "this process does not use the GPU"
    if torch.cuda.get_device_capability() not in HARDWARE_CAPABILITIES:
        return f"{torch.cuda.get_device_name()} has no JPEG hardware"
    return None


def _start_nvjpeg() -> ProvenDecoder:
    """Start a decoder that uses nvJPEG; raise an exception if that fails."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    streams = threading.local()

    @contextmanager
    def use_own_stream() -> Iterator[None]:
        # A stream for each thread: the model and other batches must not wait for these pictures.
        if not hasattr(streams, "own"):
            streams.own = torch.cuda.Stream()
        with torch.inference_mode(), torch.cuda.stream(streams.own):
            try:
                yield
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()  # The model needs what torch keeps for this decoder.
                raise

    def decode_files(jobs: Sequence[JpegJob]) -> list[Any]:
        files = [bytes_to_tensor(job.data) for job in jobs]
        decoded: list[Any] = decode_jpeg(files, ImageReadMode.RGB, device="cuda")
        return decoded

    return ProvenDecoder(decode_files, use_own_stream)
