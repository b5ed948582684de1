"""Let another decoder than Pillow decode a JPEG, such as one on the GPU, with the same result.

Such a decoder may be lenient with broken files. So it gets only baseline JPEGs whose structure is
complete. Pillow decodes all others, and reports what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from searchapp.pictures.jpeg_segments import (
    DRI,
    END_MARKER,
    SOS,
    count_restarts,
    find_marker_or_restart,
    find_scan_end,
    read_segment,
)

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

BASELINE_FRAME, ADOBE_SEGMENT = 0xC0, 0xEE
FRAMES = {0xC0 + n for n in range(16)} - {0xC4, 0xC8, 0xCC}  # without DHT, JPG and DAC
ADOBE_YCBCR = b"\x01"  # the color transform in an Adobe segment, at offset 11
# Sampling factors of Y, Cb and Cr: 4:4:4, 4:2:2, 4:2:0.
SAMPLING_444, SAMPLING_422, SAMPLING_420 = (bytes((n, 0x11, 0x11)) for n in (0x11, 0x21, 0x22))
WHOLE_SCAN = bytes((0, 63, 0))  # first and last coefficient, approximation
DRAFT_FACTORS = (2, 4, 8)


@dataclass(frozen=True, slots=True)
class JpegShape:
    """Properties of a baseline JPEG in color for which a decoder may work in another way."""

    width: int  # pixels, in the file
    height: int
    factor: int  # 2, 4 or 8: each side is divided by it and rounded up, as libjpeg does
    sampling: bytes  # sampling factors of the three components
    has_restarts: bool

    @property
    def pixel_count(self) -> int:
        """Return the number of pixels in the file."""
        return self.width * self.height

    @property
    def is_422(self) -> bool:
        """Return whether libjpeg keeps the chroma at half the reduced width."""
        return self.sampling == SAMPLING_422


@dataclass(frozen=True, slots=True)
class JpegJob:
    """A baseline JPEG, in color, to decode at a reduced size."""

    data: bytes  # up to the end marker
    shape: JpegShape
    scan_start: int  # offset of the entropy-coded data

    def cut(self, share: float) -> JpegJob:
        """Return this JPEG with only a share of its entropy-coded data, and an end marker."""
        end = self.scan_start + int(share * (len(self.data) - self.scan_start))
        return replace(self, data=self.data[:end].rstrip(b"\xff") + END_MARKER)


class JpegDecoder(Protocol):
    """Decodes JPEGs in place of Pillow; several threads use it at once."""

    def decode(
        self, pixel_count: int, make_job: Callable[[], JpegJob | None]
    ) -> NDArray[np.uint8] | None:
        """Decode a JPEG; return its pixels, [height, width, 3].

        Return None if Pillow must decode the picture. pixel_count: width times height.
        make_job: returns the job, or None if the JPEG is not suitable; it takes some time.
        """


def reduce_decoded_size(image: Picture, choose_size: Callable[[int, int], tuple[int, int]]) -> None:
    """Make the decoder of an opened JPEG scale by 1/2, 1/4 or 1/8 if the caller needs no more.

    choose_size: returns the size that the caller needs, from width and height.
    """
    if image.format in ("JPEG", "MPO"):  # MPO: a JPEG file with several pictures
        draft_side = min(choose_size(*image.size))
        image.draft(None, (draft_side, draft_side))


def load_reduced(
    image: Picture, full_size: tuple[int, int], data: bytes, decoder: JpegDecoder | None
) -> Picture:
    """Load an opened picture; another decoder than Pillow decodes a JPEG at a reduced size.

    image: Pillow's draft() may have reduced its size. full_size: width and height in the file.
    Returns the pixels with the info of the file, which can be the image itself. Raises what Pillow
    raises.
    """
    width, height = full_size

    def make_job() -> JpegJob | None:
        found, factor = parse_baseline(data), _find_draft_factor(full_size, image.size)
        if found is None or factor is None:
            return None
        shape = JpegShape(width, height, factor, found.sampling, found.has_restarts)
        return JpegJob(data[: found.end], shape, found.scan_start)

    # At full size, decoders differ in how they enlarge the chroma.
    if decoder is not None and image.mode == "RGB" and image.size != full_size:
        pixels = decoder.decode(width * height, make_job)
        if pixels is not None and pixels.shape[:2] == (image.height, image.width):
            from PIL import Image

            loaded: Picture = Image.fromarray(pixels)
            loaded.info = image.info
            return loaded
    image.load()
    return image


@dataclass(frozen=True, slots=True)
class BaselineLayout:
    """Where the only scan of a baseline JPEG is, and how it is encoded."""

    scan_start: int  # offset of the entropy-coded data
    end: int  # offset behind the end marker
    sampling: bytes  # sampling factors of the three components
    has_restarts: bool


def parse_baseline(data: bytes) -> BaselineLayout | None:
    """Return the layout of a baseline JPEG.

    Return None if the JPEG has another structure, is truncated, or has unusual colors.
    """
    position, frame, interval = 2, b"", 0
    while (segment := read_segment(data, position)) is not None:
        marker, content, position = segment
        if marker in FRAMES:
            if marker != BASELINE_FRAME or frame or not _is_usual_frame(content):
                return None
            frame = content
        elif marker == DRI:
            interval = int.from_bytes(content, "big")
        elif marker == ADOBE_SEGMENT and content.startswith(b"Adobe"):
            if content[11:12] != ADOBE_YCBCR:
                return None
        elif marker == SOS:
            is_whole = content[0:1] == b"\3" and content[7:] == WHOLE_SCAN
            if not frame or not is_whole:
                return None
            if interval:
                end = find_scan_end(data, position)
                restarts = count_restarts(data, position, end)
                if restarts != _count_expected_restarts(frame, interval):
                    return None
            else:
                end = find_marker_or_restart(data, position)
            if data[end : end + 2] != END_MARKER:
                return None
            return BaselineLayout(position, end + 2, frame[7::3], interval > 0)
    return None


def _is_usual_frame(frame: bytes) -> bool:
    """Return whether a frame has 8 bits, a known height, and YCbCr (T.81, B.2.2).

    nvJPEG shows gray pictures otherwise than libjpeg. Other numbers of components can mean RGB.
    """
    if len(frame) != 15 or frame[0] != 8 or frame[1:3] == b"\0\0":
        return False
    samplings = (SAMPLING_444, SAMPLING_422, SAMPLING_420)
    return frame[6::3] == b"\1\2\3" and frame[7::3] in samplings


def _count_expected_restarts(frame: bytes, interval: int) -> int:
    """Return the number of restart markers of a complete scan.

    frame: as in _is_usual_frame. interval: blocks from one restart to the next.
    """
    height, width = (int.from_bytes(frame[start : start + 2], "big") for start in (1, 3))
    across, down = divmod(frame[7], 16)  # of the units of 8 x 8 pixels in a block
    blocks = -(-width // (8 * across)) * -(-height // (8 * down))
    return -(-blocks // interval) - 1


def _find_draft_factor(size: tuple[int, int], reduced: tuple[int, int]) -> int | None:
    """Return by which factor Pillow's draft() has reduced a size; None if by another one."""
    for factor in DRAFT_FACTORS:
        if (-(-size[0] // factor), -(-size[1] // factor)) == reduced:
            return factor
    return None
