"""Reduce decoded JPEGs with torch to the same size and pixels as libjpeg does while it decodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from searchapp.engines.batched_jpeg import Pixels
from searchapp.pictures.jpeg_decoder import JpegJob

LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # of JPEG (JFIF): ITU-R BT.601


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
        values[None], job.shape.factor, ceil_mode=True, count_include_pad=False
    )
    if job.shape.is_422:
        means = _halve_chroma(means.float(), is_smooth=job.shape.factor < 8).to(values.dtype)
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
