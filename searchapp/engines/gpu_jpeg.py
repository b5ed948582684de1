"""Decode JPEGs on the GPU with nvJPEG, which comes with torchvision.

https://docs.pytorch.org/vision/stable/generated/torchvision.io.decode_jpeg.html
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from searchapp.engines.base import summarize_error
from searchapp.engines.batched_jpeg import MIN_PIXELS, BatchedJpegDecoder, Pixels
from searchapp.models import ModelSpec, has_gpu
from searchapp.pictures.jpeg_decoder import JpegJob
from searchapp.pictures.jpeg_segments import END_MARKER
from searchapp.types import DecodeDevice

logger = logging.getLogger(__name__)

# Compute capabilities of GPUs with JPEG hardware: A100, Ada, Hopper, Blackwell. Others decode with
# the cores' help, which is no faster than the cores alone.
# https://docs.nvidia.com/cuda/nvjpeg/index.html#hardware-acceleration
HARDWARE_CAPABILITIES = {(8, 0), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0)}
PROBE_SIDE = 512  # pixels
MARK = (1, 254, 3)  # red, green, blue: a color that photos lack
SWITCH_INTERVAL_S = 0.0005
LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # of JPEG (JFIF): ITU-R BT.601


def start_jpeg_decoder(spec: ModelSpec, device: DecodeDevice) -> BatchedJpegDecoder | None:
    """Start a decoder in a process with a running engine; return None to decode with Pillow.

    With "auto", the GPU helps the cores if it has JPEG hardware, if truncated JPEGs are noticed,
    and if the model is small: a large model keeps the GPU busy and leaves the cores idle. With
    "gpu", it decodes all JPEGs that it can; if it can decode none, the returned decoder tells why.
    """
    if device == "cpu":
        return None
    is_preferred = device == "gpu"
    problem = None if is_preferred else _find_reason_for_cpu(spec)
    if problem is None:
        try:
            decoder = _start_nvjpeg()
        except Exception as error:  # ImportError, or any error of torch, torchvision or CUDA
            problem = f"nvJPEG does not work ({summarize_error(error)})"
        else:
            if not (decoder.notices_truncation or is_preferred):
                problem = "nvJPEG shows parts of other pictures in truncated JPEGs"
    if problem is None:
        # With Python's default of 5 ms, the decoder mostly waits for Python's lock.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        logger.debug("JPEGs are decoded on the GPU%s.", "" if is_preferred else ", too")
        min_pixels = 1 if is_preferred else MIN_PIXELS
        return BatchedJpegDecoder(
            decoder.decode_batch, is_preferred=is_preferred, min_pixels=min_pixels
        )
    logger.info("Decoding JPEGs on the CPU: %s", problem)
    return BatchedJpegDecoder(None, is_preferred=True, problem=problem) if is_preferred else None


def reduce_pictures(decoded: Sequence[Any], jobs: Sequence[JpegJob]) -> list[Pixels]:
    """Return decoded pictures with each side divided by a factor, in memory of the CPU.

    Each pixel is the mean of a square. libjpeg, as Pillow's draft() calls it, returns the same
    within a few levels of 255. decoded: uint8 tensors [3, height, width].
    """
    import torch

    reduced = [_reduce(each, job) for each, job in zip(decoded, jobs, strict=True)]
    # One copy for all pictures: after each call of torch, this thread waits for Python's lock.
    flat = torch.cat([each.reshape(-1) for each in reduced]).round_().clamp_(0, 255)
    values = flat.to(torch.uint8).cpu().numpy()
    pictures, start = list[Pixels](), 0
    for each in reduced:
        end = start + each.numel()
        pictures.append(values[start:end].reshape(each.shape))
        start = end
    return pictures


def _reduce(pixels: Any, job: JpegJob) -> Any:
    """Return the means of a picture, [height, width, 3], in floating-point numbers."""
    import torch

    # float16 has all levels; the sums are float32. CPUs are slow with it.
    values = pixels.to(torch.float16 if pixels.is_cuda else torch.float32)
    means = torch.nn.functional.avg_pool2d(
        values[None], job.factor, ceil_mode=True, count_include_pad=False
    )
    if job.is_422:
        means = _halve_chroma(means.float(), is_smooth=job.factor < 8).to(values.dtype)
    return means[0].permute(1, 2, 0)


def _halve_chroma(rgb: Any, *, is_smooth: bool) -> Any:
    """Return pictures whose chroma is reduced to half the width, and enlarged again.

    rgb: [n, 3, height, width]. is_smooth: interpolate, which libjpeg does except for the factor 8
    (jdsample.c: "fancy upsampling").
    """
    import torch

    luma = (rgb * torch.tensor(LUMA_WEIGHTS, device=rgb.device)[:, None, None]).sum(1, keepdim=True)
    half = torch.nn.functional.avg_pool2d(
        rgb - luma, (1, 2), ceil_mode=True, count_include_pad=False
    )
    mode = {"mode": "bilinear", "align_corners": False} if is_smooth else {"mode": "nearest"}
    chroma = torch.nn.functional.interpolate(half, scale_factor=(1.0, 2.0), **mode)
    return luma + chroma[..., : rgb.shape[-1]]


def _find_reason_for_cpu(spec: ModelSpec) -> str | None:
    """Return why JPEGs are better decoded on the CPU; None if the GPU should help."""
    if not has_gpu():
        return "there is no GPU"
    if spec.pooling is not None:
        return f"the model {spec.name} keeps the GPU busy"
    # Without an engine in this process, a server runs the model. torch need not be installed.
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return "this process does not use the GPU"
    if torch.cuda.get_device_capability() not in HARDWARE_CAPABILITIES:
        return f"{torch.cuda.get_device_name()} has no JPEG hardware"
    return None


class NvjpegDecoder:
    """Decodes batches of JPEGs on the GPU, and notices truncated ones.

    A truncated JPEG with an end marker has no structure that shows it. libjpeg shows gray for what
    is missing; nvJPEG leaves the memory as it was, with parts of other pictures. So the memory that
    torch will lend to nvJPEG is marked before. If the last pixel of a picture still has the mark,
    Pillow must decode this picture.
    """

    def __init__(
        self,
        decode_files: Callable[[Sequence[JpegJob]], list[Any]],
        mark_memory: Callable[[Sequence[JpegJob]], list[int]],
        use_stream: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Decode two JPEGs, to find out whether this works; raise an exception if it fails.

        decode_files: returns tensors [3, height, width]. mark_memory: fills the memory for these
        tensors with MARK, and returns its addresses. use_stream: entered for each batch.
        """
        self._decode_files, self._mark_memory = decode_files, mark_memory
        self._use_stream = use_stream
        self.notices_truncation = True
        complete, truncated = _make_probes()
        (pixels,), (rest,) = self.decode_batch([complete]), self.decode_batch([truncated])
        if pixels is None or rest is not None:  # also if torch lends other memory than expected
            self.notices_truncation = False
            (pixels,) = self.decode_batch([complete])
        side = PROBE_SIDE // 2
        if pixels is None or pixels.shape != (side, side, 3) or pixels[0, 0, 0] < 250:
            raise RuntimeError("a red picture is not red")

    def decode_batch(self, jobs: Sequence[JpegJob]) -> list[Pixels | None]:
        """Decode JPEGs; return None for each one that Pillow must decode."""
        with self._use_stream():
            addresses = self._mark_memory(jobs) if self.notices_truncation else None
            decoded = self._decode_files(jobs)
            pictures = reduce_pictures(decoded, jobs)
            if addresses is None:
                return list(pictures)
            return [
                picture if is_complete else None
                for picture, is_complete in zip(
                    pictures, _find_complete(decoded, addresses), strict=True
                )
            ]


def _find_complete(decoded: Sequence[Any], addresses: Sequence[int]) -> list[bool]:
    """Return which pictures are decoded to their end, in memory that had the mark."""
    import torch

    ends = torch.stack([each[:, -1, -1] for each in decoded]).cpu()
    has_end = (ends != torch.tensor(MARK, dtype=torch.uint8)).any(1).tolist()
    return [
        is_written and each.data_ptr() == address
        for each, address, is_written in zip(decoded, addresses, has_end, strict=True)
    ]


def _make_probes() -> tuple[JpegJob, JpegJob]:
    """Return a complete red picture, and one of noise that ends too early, with an end marker."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (PROBE_SIDE, PROBE_SIDE, 3), np.uint8)
    red = Image.new("RGB", (PROBE_SIDE, PROBE_SIDE), (255, 0, 0))
    complete, truncated = io.BytesIO(), io.BytesIO()
    red.save(complete, "JPEG")
    Image.fromarray(noise).save(truncated, "JPEG")
    start = truncated.getvalue()[: truncated.tell() // 2].rstrip(b"\xff") + END_MARKER
    return JpegJob(complete.getvalue(), PROBE_SIDE**2, 2), JpegJob(start, PROBE_SIDE**2, 2)


def _mark_gpu_memory(jobs: Sequence[JpegJob]) -> list[int]:
    """Fill the memory with MARK that torch lends next for pictures; return the addresses.

    torch lends the same memory to a stream again, for the same sizes in the same order.
    """
    import torch

    blanks = [torch.empty((3, j.pixel_count), dtype=torch.uint8, device="cuda") for j in jobs]
    for blank in blanks:
        for plane, level in zip(blank, MARK, strict=True):
            plane.fill_(level)
    torch.cuda.current_stream().synchronize()  # nvJPEG uses another stream.
    return [blank.data_ptr() for blank in blanks]


def _start_nvjpeg() -> NvjpegDecoder:
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
        # A copy, because torch requires writable memory.
        files = [torch.frombuffer(bytearray(job.data), dtype=torch.uint8) for job in jobs]
        decoded: list[Any] = decode_jpeg(files, ImageReadMode.RGB, device="cuda")
        return decoded

    return NvjpegDecoder(decode_files, _mark_gpu_memory, use_own_stream)
