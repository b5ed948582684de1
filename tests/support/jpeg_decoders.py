"""A decoder of JPEGs in place of the GPU's: lenient, as nvJPEG is, and with the same arithmetic."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageFile

from searchapp.engines.batched_jpeg import BatchedJpegDecoder, Pixels
from searchapp.engines.reduce_jpegs import reduce_pictures
from searchapp.models import ModelSpec
from searchapp.pictures.jpeg_decoder import SAMPLING_420, JpegJob, JpegShape

DEADLY_COMMENT = b"deadly"


def make_job(data: bytes = b"good", pixels: int = 4, factor: int = 2) -> JpegJob:
    """Return a job whose data need not be a JPEG."""
    return JpegJob(data, JpegShape(pixels, 1, factor, SAMPLING_420, has_restarts=False), 0)


def decode_with_torch(jobs: Sequence[JpegJob]) -> list[Pixels]:
    """Decode JPEGs at full size, and reduce them with torch on the CPU."""
    import torch

    made = []
    for job in jobs:
        with Image.open(io.BytesIO(job.data)) as image:
            values = np.array(image.convert("RGB"))
        made += reduce_pictures(torch.from_numpy(values).permute(2, 0, 1)[None], job.shape)
    return made


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


def decode_with_pillow(jobs: Sequence[JpegJob]) -> list[Pixels]:
    """Decode JPEGs at their reduced size; a JPEG with the comment DEADLY_COMMENT ends the process.

    Without torch, whose import takes a worker process several seconds.
    """
    pictures = []
    for job in jobs:
        shape = job.shape
        with Image.open(io.BytesIO(job.data)) as image:
            if image.info.get("comment") == DEADLY_COMMENT:
                os.kill(os.getpid(), signal.SIGKILL)
            image.draft(None, (shape.width // shape.factor, shape.height // shape.factor))
            pictures.append(np.array(image.convert("RGB")))
    return pictures


def start_decoder(spec: ModelSpec, device: str) -> BatchedJpegDecoder | None:
    if device == "cpu":
        return None
    return BatchedJpegDecoder(decode_with_pillow, is_preferred=True, min_pixels=1)


def start_exhausted_decoder(spec: ModelSpec, device: str) -> BatchedJpegDecoder:
    """Start a decoder that runs out of memory at its first picture."""

    def decode(jobs: Sequence[JpegJob]) -> list[Pixels]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    return BatchedJpegDecoder(decode, is_preferred=True, min_pixels=1)


def start_missing_decoder(spec: ModelSpec, device: str) -> BatchedJpegDecoder:
    """Return a decoder that cannot start."""
    return BatchedJpegDecoder(None, is_preferred=False, problem="nvJPEG does not work")
