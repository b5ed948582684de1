"""A GPU's decoder in place of nvJPEG: its buffers keep what earlier pictures left there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from searchapp.engines.proven_jpeg import ProvenDecoder
from searchapp.pictures.jpeg_decoder import JpegJob, JpegShape, parse_baseline
from support.pixels import encode_picture

LIBJPEG_GRAY = 128
NOISE_LEVEL = 77  # of pixels that no picture left


@dataclass
class FakeGpu:
    """Decodes into a few buffers in turn, and leaves the end of a truncated JPEG as it was.

    The faults are those that nvJPEG could have. None of them may lead to wrong pixels.
    """

    buffer_count: int = 3
    is_reversed: bool = False  # The last picture of a batch is decoded first.
    shows_noise: bool = False  # The missing part shows what no earlier picture left.
    shows_other_colors: bool = False  # red and blue are exchanged
    refuses_truncated: bool = False  # with an exception
    fault_from_width: int = 0  # Only pictures of at least this width have the faults.
    decoded: list[JpegJob] = field(default_factory=list)
    buffers: dict[int, NDArray[np.uint8]] = field(default_factory=dict)

    def start(self) -> ProvenDecoder:
        return ProvenDecoder(self.decode_files)

    def list_pictures(self) -> list[JpegJob]:
        """Return what was decoded, without blank pictures; forget it."""
        decoded, self.decoded = self.decoded, []
        return [job for job in decoded if not is_blank(job)]

    def decode_files(self, jobs: Sequence[JpegJob]) -> list[Any]:
        import torch

        self.decoded += jobs
        numbers = list(range(len(jobs)))
        made = {
            number: torch.from_numpy(self._decode(jobs[number], turn % self.buffer_count))
            for turn, number in enumerate(reversed(numbers) if self.is_reversed else numbers)
        }
        return [made[number].permute(2, 0, 1) for number in numbers]

    def _decode(self, job: JpegJob, buffer: int) -> NDArray[np.uint8]:
        has_fault = job.shape.width >= self.fault_from_width
        with Image.open(io.BytesIO(job.data)) as image:
            values = np.array(image)
        is_gray = (values == LIBJPEG_GRAY).all(2)  # what libjpeg shows for a missing part
        is_missing = is_gray & is_gray[-1, -1]
        if has_fault and self.refuses_truncated and is_missing.any():
            raise RuntimeError("Failed to decode the batch: 5")
        memory = np.zeros(max(values.size, self.buffers.get(buffer, values).size), np.uint8)
        if buffer in self.buffers:
            memory[: self.buffers[buffer].size] = self.buffers[buffer]
        left = memory[: values.size].reshape(values.shape)
        values[is_missing] = NOISE_LEVEL if has_fault and self.shows_noise else left[is_missing]
        memory[: values.size] = values.reshape(-1)
        self.buffers[buffer] = memory
        return values[..., ::-1].copy() if has_fault and self.shows_other_colors else values


def is_blank(job: JpegJob) -> bool:
    """Return whether a JPEG has one color only."""
    with Image.open(io.BytesIO(job.data)) as image:
        return all(low == high for low, high in image.getextrema())


def make_picture_job(
    share: float = 1.0,
    side: int = 128,
    seed: int = 1,
    subsampling: int = 2,
    *,
    has_grain: bool = False,
    right_part: Image.Image | None = None,
) -> JpegJob:
    """Return a JPEG of colored clouds, or of noise, that is cut after a share of its pixels.

    right_part: covers the right of the picture.
    """
    cells = side if has_grain else 9
    colors = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    picture = Image.fromarray(colors).resize((side, side))
    if right_part is not None:
        picture.paste(right_part, (side - right_part.width, 0))
    data = encode_picture(picture, "JPEG", quality=90, subsampling=subsampling)
    layout = parse_baseline(data)
    assert layout is not None
    shape = JpegShape(side, side, 2, layout.sampling, layout.has_restarts)
    job = JpegJob(data, shape, layout.scan_start)
    return job if share == 1 else job.cut(share)
