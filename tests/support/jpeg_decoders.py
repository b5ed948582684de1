"""A decoder of JPEGs in place of the GPU's: lenient, as nvJPEG is, and with the same arithmetic."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageFile

from searchapp.engines.batched_jpeg import BatchedJpegDecoder, Pixels
from searchapp.engines.gpu_jpeg import reduce_pictures
from searchapp.models import ModelSpec
from searchapp.pictures.jpeg_decoder import JpegJob


def decode_with_torch(jobs: Sequence[JpegJob]) -> list[Pixels]:
    """Decode JPEGs at full size, and reduce them with torch on the CPU."""
    import torch

    decoded = []
    for job in jobs:
        with Image.open(io.BytesIO(job.data)) as image:
            values = np.array(image.convert("RGB"))
        decoded.append(torch.from_numpy(values).permute(2, 0, 1))
    return reduce_pictures(decoded, jobs)


class RecordingDecoder:
    """Decodes with torch on the CPU, and records the jobs; accepts truncated pictures."""

    def __init__(self) -> None:
        self.jobs: list[JpegJob] = []

    def decode(self, pixel_count: int, make_job: Callable[[], JpegJob | None]) -> Pixels | None:
        if (job := make_job()) is None:
            return None
        self.jobs.append(job)
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return decode_with_torch([job])[0]
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


def start_decoder(spec: ModelSpec, device: str) -> BatchedJpegDecoder:
    # An engine has imported torch before the first picture. On a busy machine, this import alone
    # can take longer than a picture may take.
    import torch  # noqa: F401

    return BatchedJpegDecoder(decode_with_torch, is_preferred=True, min_pixels=1)


def start_exhausted_decoder(spec: ModelSpec, device: str) -> BatchedJpegDecoder:
    """Start a decoder that runs out of memory at its first picture."""

    def decode(jobs: Sequence[JpegJob]) -> list[Pixels]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    return BatchedJpegDecoder(decode, is_preferred=True, min_pixels=1)
