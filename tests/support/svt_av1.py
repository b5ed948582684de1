"""AVIF stills by the encoder SVT-AV1, through PyAV."""

from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
from PIL import Image

RGB = tuple[int, int, int]


def write_hdr_avif(file: Path, color: RGB) -> None:
    """Write an AVIF of 64 x 64 pixels with 10 bits, BT.2020 and PQ, in one color.

    A process of its own encodes it. SVT-AV1 gives its process the highest real-time priority if it
    runs as root. Browsers that the same process starts would inherit that, and starve all others.
    """
    process = get_context("spawn").Process(target=_encode, args=(file, color))
    process.start()
    process.join()
    assert process.exitcode == 0


def _encode(file: Path, color: RGB) -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libsvtav1", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.time_base = Fraction(1)
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        context.color_range = 2
        picture = Image.new("RGB", (64, 64), color)
        frame = av.VideoFrame.from_image(picture).reformat(
            format="yuv420p10le", dst_colorspace=9, dst_color_range=2
        )
        frame.pts, frame.time_base = 0, Fraction(1)
        container.mux([*stream.encode(frame), *stream.encode(None)])
