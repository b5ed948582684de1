"""Accept JPEGs from a lenient decoder only if it has proven that it decodes such JPEGs right."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np

from searchapp.engines.batched_jpeg import Pixels
from searchapp.engines.reduce_jpegs import reduce_pictures
from searchapp.pictures.jpeg_decoder import (
    SAMPLING_420,
    SAMPLING_422,
    SAMPLING_444,
    JpegJob,
    JpegShape,
    parse_baseline,
)

logger = logging.getLogger(__name__)

# In levels of 255, to the picture of libjpeg, with each side divided by COMPARED_FACTOR: libjpeg
# shows fine grain otherwise than the mean of a square.
MAX_MEAN_DIFFERENCE, COMPARED_FACTOR = 2.0, 4
CUT_SHARES = (0.5, 0.95)  # of the entropy-coded data that a truncated copy keeps
MAX_PROOFS = 3  # Attempts for a shape: the picture can be damaged.
MAX_SHAPES = 10_000  # to remember
PROBE_SIDE = 512  # pixels
BLANK_COLOR = (1, 254, 3)  # red, green, blue: a color that photos lack
END_SIDE = 8  # pixels; larger ends could contain parts of other blocks
MAX_ENDS = 1000  # of earlier pictures; another picture that ends in the same pixels is refused
SAMPLE_BYTES = 256  # of a JPEG, to recognize the same picture
# After so many pictures of a shape, the CPU decodes this shape if it had to decode most of them.
MIN_JUDGED = 32
PILLOW_SUBSAMPLING = {SAMPLING_444: 0, SAMPLING_422: 1, SAMPLING_420: 2}

Geometry = tuple[int, int, bytes]  # width, height, sampling


class ProvenDecoder:
    """Decodes batches of JPEGs, and gives back to Pillow what could get wrong pixels.

    nvJPEG accepts damaged JPEGs. A truncated JPEG with an end marker has no structure that shows
    it. libjpeg shows gray for the missing part. nvJPEG decodes into buffers of its own, and shows
    what an earlier picture left there: the same pixels, bit for bit. So a picture is used only if
    both of these hold:

    - Its last block differs from that of each other picture that may have been in the buffers.
      Pictures of another size would leave other pixels. So blank pictures of the same size are
      decoded first whenever the size changes or more buffers are needed.
    - The decoder has proven in this process that it decodes this JpegShape right: one picture of
      this shape looks as with Pillow, and the truncated copies of it are noticed.

    tests/bench/gpu_decode.py verifies this on a GPU.
    """

    def __init__(
        self,
        decode_files: Callable[[Sequence[JpegJob]], Sequence[Any]],
        use_stream: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Decode test pictures; raise an exception if any of them is decoded wrong.

        decode_files: returns tensors [3, height, width]; no other code may use its decoder.
        use_stream: entered for each batch.
        """
        self._decode_files, self._use_stream = decode_files, use_stream
        self._lock = threading.Lock()  # held while the decoder works, and for the next three
        self._geometry: Geometry | None = None  # of what is in the buffers
        self._buffer_count = 0  # buffers that hold pictures of this geometry
        # The pictures that may be in the buffers, by their last block; None if several have it.
        self._pictures_by_end: dict[bytes, bytes | None] = {}
        self._proven = set[JpegShape]()
        self._refusals: dict[JpegShape, tuple[int, int]] = {}  # decoded and refused pictures
        self._picture_counts = dict[JpegShape, int]()  # of shapes that are not proven
        with self._use_stream():
            fault = self._find_fault(_make_probe())
        if fault is not None:
            raise RuntimeError(fault)

    def decode_batch(self, jobs: Sequence[JpegJob]) -> list[Pixels | None]:
        """Decode JPEGs; return None for each one that Pillow must decode."""
        made: list[Pixels | None] = [None] * len(jobs)
        with self._use_stream():
            proven = [number for number, job in enumerate(jobs) if self._is_proven(job)]
            for numbers in _group_by_work(proven, jobs):
                pictures = self._decode_checked([jobs[number] for number in numbers])
                for number, picture in zip(numbers, pictures, strict=True):
                    made[number] = picture
                    self._judge_shape(jobs[number].shape, is_refused=picture is None)
        return made

    def _judge_shape(self, shape: JpegShape, *, is_refused: bool) -> None:
        """Leave a shape to the CPU if most of its pictures are refused: they are decoded twice."""
        decoded, refused = self._refusals.get(shape, (0, 0))
        decoded, refused = decoded + 1, refused + is_refused
        if decoded < MIN_JUDGED or refused <= decoded / 2:
            self._refusals[shape] = (decoded, refused) if decoded < MIN_JUDGED else (0, 0)
        elif shape in self._proven:
            self._proven.discard(shape)
            self._picture_counts[shape] = MAX_PROOFS + 1  # no other proof
            logger.info("The CPU decodes JPEGs of %d x %d: too many have the same last pixels",
                        shape.width, shape.height)  # fmt: skip

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
        try:
            (made,) = self._decode_checked([job])
            if made is None or not _looks_like_libjpeg(made, job):
                return "the GPU shows other pixels than the CPU"
            for share in CUT_SHARES:
                (rest,) = self._decode_checked([job.cut(share)])
                if rest is not None:
                    return "the GPU shows parts of other pictures in truncated JPEGs"
            return None
        finally:
            with self._lock:
                self._geometry = None  # The truncated copies showed the end of the picture.

    def _decode_checked(self, jobs: Sequence[JpegJob]) -> list[Pixels | None]:
        """Decode JPEGs of one geometry and factor; return None where a leftover may be shown.

        Few calls of torch for all pictures: after each one, this thread waits for Python's lock.
        """
        import torch

        with self._lock:
            if _get_geometry(jobs[0]) != self._geometry or len(jobs) > self._buffer_count:
                self._fill_buffers(jobs)
            geometry, self._geometry = self._geometry, None  # unknown if the decoder fails
            decoded = torch.stack(list(self._decode_files(jobs)))
            # Pictures of a batch may have used the same buffer, in any order.
            ends = self._remember_ends(decoded, jobs)
            are_own = [self._pictures_by_end[end] is not None for end in ends]
            if len(self._pictures_by_end) <= MAX_ENDS:
                self._geometry = geometry
        pictures = reduce_pictures(decoded, jobs[0].shape)
        return [
            picture if is_own else None for picture, is_own in zip(pictures, are_own, strict=True)
        ]

    def _remember_ends(self, decoded: Any, jobs: Sequence[JpegJob]) -> list[bytes]:
        """Return the last block of each picture. Copies of a file may end in the same block."""
        ends = _read_ends(decoded, jobs[0].shape)
        for end, job in zip(ends, jobs, strict=True):
            picture = _identify(job)
            if self._pictures_by_end.setdefault(end, picture) != picture:
                self._pictures_by_end[end] = None
        return ends

    def _fill_buffers(self, jobs: Sequence[JpegJob]) -> None:
        """Decode as many blank pictures as there are jobs, all of the same geometry."""
        import torch

        blanks = [_make_blank(_get_geometry(jobs[0]))] * len(jobs)
        self._geometry, self._pictures_by_end = None, {}
        self._remember_ends(torch.stack(list(self._decode_files(blanks))), blanks)
        self._geometry, self._buffer_count = _get_geometry(jobs[0]), len(jobs)


def _identify(job: JpegJob) -> bytes:
    """Return what only JPEGs with the same pixels have in common; their metadata may differ."""
    size = len(job.data) - job.scan_start
    middle = job.scan_start + size // 2
    samples = job.data[middle : middle + SAMPLE_BYTES] + job.data[-SAMPLE_BYTES:]
    return size.to_bytes(8, "big") + samples


def _get_geometry(job: JpegJob) -> Geometry:
    return job.shape.width, job.shape.height, job.shape.sampling


def _group_by_work(numbers: Sequence[int], jobs: Sequence[JpegJob]) -> Iterator[list[int]]:
    """Yield the numbers of the jobs of each geometry and factor."""

    def get_key(number: int) -> tuple[Geometry, int]:
        return _get_geometry(jobs[number]), jobs[number].shape.factor

    for _, group in groupby(sorted(numbers, key=get_key), get_key):
        yield list(group)


def _read_ends(decoded: Any, shape: JpegShape) -> list[bytes]:
    """Return the last pixels of each picture, without those that belong to the block before.

    Blocks are encoded one after the other, so the last one is missing if anything is. decoded:
    uint8, [n, 3, height, width].
    """
    across, down = divmod(shape.sampling[0], 16)  # of blocks of 8 x 8 pixels
    width = min(END_SIDE, (shape.width - 1) % (8 * across) + 1)
    height = min(END_SIDE, (shape.height - 1) % (8 * down) + 1)
    ends = decoded[:, :, -height:, -width:].cpu().numpy()
    return [end.tobytes() for end in ends]


@lru_cache(maxsize=16)
def _make_blank(geometry: Geometry) -> JpegJob:
    """Return a JPEG in BLANK_COLOR."""
    from PIL import Image

    width, height, sampling = geometry
    picture, file = Image.new("RGB", (width, height), BLANK_COLOR), io.BytesIO()
    picture.save(file, "JPEG", quality=90, subsampling=PILLOW_SUBSAMPLING[sampling])
    return _make_job(file.getvalue(), width, height)


def _make_job(data: bytes, width: int, height: int) -> JpegJob:
    layout = parse_baseline(data)
    assert layout is not None
    shape = JpegShape(width, height, 2, layout.sampling, layout.has_restarts)
    return JpegJob(data, shape, layout.scan_start)


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
    return _make_job(file.getvalue(), PROBE_SIDE, PROBE_SIDE)
