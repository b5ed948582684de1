"""A GPU's decoder in place of nvJPEG: it lends marked memory, and does not fill what is missing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from searchapp.engines import proven_jpeg
from searchapp.pictures.jpeg_decoder import JpegJob, JpegShape, parse_baseline
from support.pixels import encode_picture

LIBJPEG_GRAY = 128
OTHER_PICTURE = 77  # level of the pixels of another picture


@dataclass
class FakeGpu:
    """Lends the same memory again, and leaves the end of a truncated JPEG as it was.

    The faults are those that nvJPEG could have. None of them may lead to wrong pixels.
    """

    has_inner_memory: bool = False  # The missing part shows another picture, whatever was lent.
    lends_other_memory: bool = False
    exchanges_memory: bool = False  # The first picture of a batch gets the memory of the last one.
    shows_other_colors: bool = False  # red and blue are exchanged
    refuses_truncated: bool = False  # with an exception
    fault_from_width: int = 0  # Only pictures of at least this width have the faults.
    decoded: list[JpegJob] = field(default_factory=list)
    lent: list[Any] = field(default_factory=list)

    def start(self) -> proven_jpeg.ProvenDecoder:
        return proven_jpeg.ProvenDecoder(self.decode_files, self.mark_memory)

    def mark_memory(self, jobs: Sequence[JpegJob]) -> list[int]:
        import torch

        mark = torch.tensor(proven_jpeg.MARK, dtype=torch.uint8)[:, None, None]
        self.lent = [mark.repeat(1, job.shape.height, job.shape.width) for job in jobs]
        return [each.data_ptr() for each in self.lent]

    def decode_files(self, jobs: Sequence[JpegJob]) -> list[Any]:
        import torch

        self.decoded += jobs
        lent, self.lent = self.lent, []
        if self.exchanges_memory:
            lent = [
                memory.reshape(3, job.shape.height, job.shape.width)
                for memory, job in zip(reversed(lent), jobs, strict=True)
            ]
        for number, job in enumerate(jobs):
            has_fault = job.shape.width >= self.fault_from_width
            if self.lends_other_memory and has_fault:
                lent[number] = lent[number].clone()
            memory = lent[number]
            with Image.open(io.BytesIO(job.data)) as image:
                values = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            is_gray = (values == LIBJPEG_GRAY).all(0)  # what libjpeg shows for a missing part
            is_missing = is_gray & is_gray[-1, -1]
            if has_fault and self.refuses_truncated and is_missing.any():
                raise RuntimeError("Failed to decode the batch: 5")
            if has_fault and self.has_inner_memory:
                values[:, is_missing] = OTHER_PICTURE
                is_missing[:] = False
            if has_fault and self.shows_other_colors:
                values = values.flip(0)
            memory[:, ~is_missing] = values[:, ~is_missing]
        return lent


def make_picture_job(
    share: float = 1.0,
    side: int = 128,
    seed: int = 1,
    subsampling: int = 2,
    *,
    has_grain: bool = False,
) -> JpegJob:
    """Return a JPEG of colored clouds, or of noise, that is cut after a share of its pixels."""
    cells = side if has_grain else 9
    colors = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    picture = Image.fromarray(colors).resize((side, side))
    data = encode_picture(picture, "JPEG", quality=90, subsampling=subsampling)
    layout = parse_baseline(data)
    assert layout is not None
    shape = JpegShape(side, side, 2, layout.sampling, layout.has_restarts)
    job = JpegJob(data, shape, layout.scan_start)
    return job if share == 1 else job.cut(share)
