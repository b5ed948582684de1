"""Accept JPEGs from a lenient decoder only if it has proven that it decodes such JPEGs right."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from searchapp.engines.batched_jpeg import Pixels
from searchapp.engines.reduce_jpegs import reduce_pictures
from searchapp.pictures.jpeg_decoder import JpegJob, JpegShape, parse_baseline

logger = logging.getLogger(__name__)

MARK = (1, 254, 3)  # red, green, blue: a color that photos lack
# In levels of 255, to the picture of libjpeg, with each side divided by COMPARED_FACTOR: libjpeg
# shows fine grain otherwise than the mean of a square.
MAX_MEAN_DIFFERENCE, COMPARED_FACTOR = 2.0, 4
CUT_SHARES = (0.5, 0.95)  # of the entropy-coded data that a truncated copy keeps
MAX_PROOFS = 3  # Attempts for a shape: the picture can be damaged.
MAX_SHAPES = 10_000  # to remember
PROBE_SIDE = 512  # pixels


class ProvenDecoder:
    """Decodes batches of JPEGs, and gives back to Pillow what could get wrong pixels.

    nvJPEG accepts damaged JPEGs. A truncated JPEG with an end marker has no structure that shows
    it. libjpeg shows gray for the missing part; nvJPEG leaves parts of other pictures there. So a
    picture is used only if both of these hold:

    - The memory that the decoder wrote to had the color MARK before. Neither the last pixel nor any
      pixel of the reduced picture has this color.
    - The decoder has proven in this process that it decodes this JpegShape right: one picture of
      this shape looks as with Pillow, and the truncated copies of it are noticed.

    Verified on an H200, by tests/bench/gpu_decode.py: the pixels and vectors of complete JPEGs, and
    that truncated ones show parts of other pictures. Not verified on any GPU: that nvJPEG leaves
    the mark, that torch lends the marked memory again, and so whether any proof succeeds. If one
    of this is wrong, the proof fails, and the CPU decodes.
    """

    def __init__(
        self,
        decode_files: Callable[[Sequence[JpegJob]], Sequence[Any]],
        mark_memory: Callable[[Sequence[JpegJob]], Sequence[int]],
        use_stream: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Decode test pictures; raise an exception if any of them is decoded wrong.

        decode_files: returns tensors [3, height, width]. mark_memory: fills the memory for these
        tensors with MARK, and returns its addresses. use_stream: entered for each batch.
        """
        self._decode_files, self._mark_memory = decode_files, mark_memory
        self._use_stream = use_stream
        self._proven = set[JpegShape]()
        self._picture_counts = dict[JpegShape, int]()  # of shapes that are not proven
        with self._use_stream():
            fault = self._find_fault(_make_probe())
        if fault is not None:
            raise RuntimeError(fault)

    def decode_batch(self, jobs: Sequence[JpegJob]) -> list[Pixels | None]:
        """Decode JPEGs; return None for each one that Pillow must decode."""
        with self._use_stream():
            are_proven = [self._is_proven(job) for job in jobs]
            usable = [job for job, is_proven in zip(jobs, are_proven, strict=True) if is_proven]
            pictures = iter(self._decode_marked(usable) if usable else ())
            return [next(pictures) if is_proven else None for is_proven in are_proven]

    def _is_proven(self, job: JpegJob) -> bool:
        """Return whether the shape of a JPEG is decoded right; test it with its second picture.

        Most shapes without a second picture are not worth a test, which costs more than decoding.
        """
        shape = job.shape
        if shape in self._proven:
            return True
        if len(self._picture_counts) >= MAX_SHAPES:
            self._picture_counts.clear()
        count = self._picture_counts.get(shape, 0)
        self._picture_counts[shape] = count + 1
        if not 1 <= count <= MAX_PROOFS:
            return False
        fault = self._find_fault(job)
        if fault is None:
            self._proven.add(shape)
            self._picture_counts.pop(shape, None)
            return True
        logger.info("The CPU decodes a JPEG of %d x %d: %s", shape.width, shape.height, fault)
        return False

    def _find_fault(self, job: JpegJob) -> str | None:
        """Return why results of this decoder could be wrong for JPEGs like this one."""
        (made,) = self._decode_marked([job])
        if made is None or not _looks_like_libjpeg(made, job):
            return "the GPU shows other pixels than the CPU"
        for share in CUT_SHARES:
            (rest,) = self._decode_marked([job.cut(share)])
            if rest is not None:
                return "the GPU shows parts of other pictures in truncated JPEGs"
        return None

    def _decode_marked(self, jobs: Sequence[JpegJob]) -> list[Pixels | None]:
        """Decode JPEGs; return None for each one whose picture still has the mark."""
        addresses = self._mark_memory(jobs)
        decoded = self._decode_files(jobs)
        # Pictures with the same number of pixels may exchange their memory.
        sizes = [job.shape.pixel_count for job in jobs]
        marked = sorted(zip(addresses, sizes, strict=True))
        if sorted(zip((each.data_ptr() for each in decoded), sizes, strict=True)) != marked:
            raise RuntimeError("pictures are decoded in other memory than expected")
        pictures = reduce_pictures(decoded, jobs)
        are_marked = _find_marked_ends(decoded)
        return [
            None if is_marked or _has_mark(picture) else picture
            for picture, is_marked in zip(pictures, are_marked, strict=True)
        ]


def _find_marked_ends(decoded: Sequence[Any]) -> list[bool]:
    """Return for each decoded picture whether its last pixel has the color MARK.

    It has if anything is missing at the end. In a reduced picture with 4:2:2, its color can be
    mixed with its neighbor's.
    """
    import torch

    ends = torch.stack([each[:, -1, -1] for each in decoded]).cpu()
    are_marked: list[bool] = (ends == torch.tensor(MARK, dtype=torch.uint8)).all(1).tolist()
    return are_marked


def _has_mark(picture: Pixels) -> bool:
    """Return whether any pixel has the color MARK, because a part of the picture is missing."""
    red, green, blue = MARK
    found = picture[..., 1] == green
    if not found.any():
        return False
    return bool((found & (picture[..., 0] == red) & (picture[..., 2] == blue)).any())


def _looks_like_libjpeg(made: Pixels, job: JpegJob) -> bool:
    """Return whether Pillow decodes a JPEG to nearly the same pixels."""
    from PIL import Image

    shape = job.shape
    with Image.open(io.BytesIO(job.data), formats=("JPEG",)) as image:
        image.draft(None, (shape.width // shape.factor, shape.height // shape.factor))
        expected = image.reduce(COMPARED_FACTOR)
        has_same_size = made.shape[:2] == (image.height, image.width)
    if not has_same_size:
        return False
    found = Image.fromarray(made).reduce(COMPARED_FACTOR)
    differences = np.asarray(found, np.int16) - np.asarray(expected, np.int16)
    return float(np.abs(differences).mean()) <= MAX_MEAN_DIFFERENCE


def _make_probe() -> JpegJob:
    """Return a JPEG of colored clouds."""
    from PIL import Image

    colors = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    picture, file = Image.fromarray(colors).resize((PROBE_SIDE, PROBE_SIDE)), io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    layout = parse_baseline(file.getvalue())
    assert layout is not None
    shape = JpegShape(PROBE_SIDE, PROBE_SIDE, 2, layout.sampling, layout.has_restarts)
    return JpegJob(file.getvalue(), shape, layout.scan_start)
