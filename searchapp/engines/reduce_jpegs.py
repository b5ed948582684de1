"""Reduce decoded JPEGs with torch to the same size and pixels as libjpeg does while it decodes."""

from __future__ import annotations

from typing import Any

from searchapp.engines.batched_jpeg import Pixels
from searchapp.pictures.jpeg_decoder import JpegShape

LUMA_WEIGHTS = (0.299, 0.587, 0.114)  # of JPEG (JFIF): ITU-R BT.601


def reduce_pictures(decoded: Any, shape: JpegShape) -> list[Pixels]:
    """Return decoded pictures with each side divided by a factor, in memory of the CPU.

    Each pixel is the mean of a square. libjpeg, as Pillow's draft() calls it, returns the same
    within a few levels of 255. decoded: uint8, [n, 3, height, width]; all have the same shape.
    """
    import torch

    means = _reduce(decoded, shape.factor, shape.is_422)
    values = means.round_().clamp_(0, 255).to(torch.uint8)
    # The GPU puts the channels of a pixel side by side, as Pillow needs them.
    return list(values.contiguous().cpu().numpy())


def _reduce(pixels: Any, factor: int, is_422: bool) -> Any:
    """Return the means of pictures, [n, height, width, 3], in floating-point numbers.

    pixels: uint8, [n, 3, height, width]. is_422: libjpeg keeps the chroma at half the width.
    """
    import torch

    # float16 has all levels; the sums are float32. CPUs are slow with it.
    values = pixels.to(torch.float16 if pixels.is_cuda else torch.float32)
    means = torch.nn.functional.avg_pool2d(values, factor, ceil_mode=True, count_include_pad=False)
    if is_422:
        means = _halve_chroma(means.float(), is_smooth=factor < 8).to(values.dtype)
    return means.permute(0, 2, 3, 1)


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
