"""Write videos whose scenes have plain colors at known times."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from support.sample_pictures import make_picture

ColorScenes = Sequence[tuple[str, float]]  # Colors and their seconds.


def write_video(
    file: Path,
    scenes: ColorScenes = (("blue", 4), ("red", 4), ("lime", 4)),
    *,
    size: tuple[int, int] = (96, 64),
    frames_per_s: float = 5,
    codec: str | None = None,
    key_interval: int = 1000,
    has_sound: bool = False,
    options: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    draw: Any = make_picture,
    forces_key_frames: bool = True,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Write a video of scenes; return its file.

    key_interval: frames from one key frame to the next. forces_key_frames: each scene begins with a
    key frame. pixel_aspect: width of a pixel divided by its height.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    codec = codec or ("libvpx-vp9" if file.suffix == ".webm" else "mpeg4")
    settings = {"movflags": "use_metadata_tags"} if tags and file.suffix == ".mov" else {}
    settings |= {name: value for name, value in (options or {}).items() if name == "movflags"}
    with av.open(str(file), "w", options=settings) as container:
        stream = container.add_stream(codec, rate=Fraction(frames_per_s).limit_denominator(10000))
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.gop_size = key_interval
        stream.codec_context.options = options or {}
        container.metadata.update(tags or {})
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        container.start_encoding()
        number = 0
        for color, seconds in scenes:
            first = number
            for _ in range(round(seconds * frames_per_s)):
                frame = av.VideoFrame.from_image(draw(color, size))
                frame.pts = number
                frame.time_base = 1 / Fraction(frames_per_s).limit_denominator(10000)
                if number == first and forces_key_frames:
                    frame.pict_type = av.video.frame.PictureType.I
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode(None))
    return file


def write_sound_only(file: Path) -> Path:
    """Write a video file that holds only sound and a cover picture."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.start_encoding()
        still = av.VideoFrame.from_image(make_picture("red", (64, 64))).reformat(format="yuvj420p")
        still.pts = 0
        container.mux([*cover.encode(still), *cover.encode(None)])
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 8000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(20):
            frame.pts = 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file


def rotate_video(file: Path, degrees: int) -> Path:
    """Set the clockwise rotation in the header of an MP4, as phones do."""
    one = 1 << 16
    a, b = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    matrix = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 1 << 30)
    data = file.read_bytes()
    plain = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    offset = data.index(plain, data.index(b"tkhd"))
    file.write_bytes(data[:offset] + matrix + data[offset + 36 :])
    return file


def draw_halves(color: str, size: tuple[int, int]) -> Image.Image:
    """Return a picture of a scene that is white on the left."""
    image = make_picture(color, size)
    image.paste("white", (0, 0, size[0] // 2, size[1]))
    return image
