"""Videos: which frames stand for one, and what its file says of it. PyAV (FFmpeg) decodes.

Nothing is read whole: frames are sought by their time, key frames where there are some.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from io import BufferedReader
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.pictures import hdr, model_size, optional_decoders
from searchapp.pictures.model_size import ImageInput
from searchapp.types import MAX_MEGAPIXELS, PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_FRAMES = 32  # frames of a video
MIN_SAMPLED_FRAMES = 3  # that are looked at of a short one
SAMPLE_INTERVAL_S = 3.0  # seconds between those looked at, where that makes no more than MOST
MIN_GAP_SHARE = (
    0.5  # of the time between two that are looked at: what is nearer to another is left out
)
MIN_FRAME_DIFFERENCE = (
    10.0  # of 255: the mean difference of small pictures, from which they show two things
)
MAX_DECODED_FRAMES = 600  # frames of a video that are decoded on the way to others
SEEK_BACK_S = 10.0  # seconds before a time from which its key frame is sought, where none is listed
MAX_DEMUXED_PACKETS = 5000  # that are read on the way to a key frame
# Containers that hold what they are of: lists of other files, and addresses, are none.
ALLOWED_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,dv"
FORMAT_BY_BRAND = {
    "qt": "MOV",
    "3g": "3GP",
}  # by the first letters of an MP4's brand; others are MP4
FORMAT_BY_CONTAINER = {"avi": "AVI", "mpegts": "MTS", "mpeg": "MPEG", "flv": "FLV", "asf": "WMV", "ogg": "OGV",
         "dv": "DV"}  # fmt: skip
BROKEN_REASON = "broken, cut off, or no video"
APPLE_KEY_PREFIX = "com.apple.quicktime."
TRANSPOSE_BY_ROTATION = {90: "ROTATE_90", 180: "ROTATE_180", 270: "ROTATE_270"}  # counter-clockwise


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame, upright and in RGB, and when it is shown, in seconds."""

    seconds: float
    image: Picture


def sample_frames(
    file: BufferedReader, target: ImageInput, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[PictureInfo, list[SampledFrame]]:
    """Return what a video's file says, and frames that show different things, in a model's form.

    At least one and at most MOST, spread over its length. Errors: PictureError.
    """
    with _open_video(file, max_megapixels) as video:
        return video.read_info(), list(_choose_frames(video, target))


def read_video_info(path: str, size: int, mtime_ns: int) -> PictureInfo | None:
    """Return what a video's file says; None where it is no video, or cannot be read.

    Errors: PictureError, where it is not there any more as it was (size in bytes, mtime_ns).
    """
    with storage.open_file(path) as (file, state):
        if state != storage.FileState(size, mtime_ns):
            raise PictureError("has changed; index again", stage="read")
        with suppress(PictureError), _open_video(file, MAX_MEGAPIXELS) as video:
            return video.read_info()
    return None


def extract_frame(path: str, seconds: float, side: int) -> Picture:
    """Return the frame at a time, upright, RGB, at most side by side pixels; PictureError."""
    with storage.open_file(path) as (file, _), _open_video(file, MAX_MEGAPIXELS) as video:
        frame = video.decode_key_frame(seconds)
        if frame is None or video.get_frame_time(frame) + 0.01 < seconds:
            frame = video.decode_frame(seconds) or frame
        if frame is None:
            raise PictureError("has no frame there that can be decoded")
        image = video.convert_frame(frame, lambda width, height: (side, side))
    image.thumbnail((side, side))
    return image


def _choose_frames(video: _VideoReader, target: ImageInput) -> Iterator[SampledFrame]:
    """Yield frames from all over the video, each unlike the others."""
    length = video.duration_s
    count = (
        max(MIN_SAMPLED_FRAMES, min(MAX_FRAMES, int(length / SAMPLE_INTERVAL_S))) if length else 1
    )
    gap, last_time_s = length / count, -length
    thumbnails, sampled_times = list[NDArray[np.float32]](), set[float]()
    for number in range(count):
        target_time_s = (number + 0.5) * gap
        frame = video.decode_key_frame(target_time_s)
        if frame is not None and number == 0 and video.get_frame_time(frame) > target_time_s:
            frame = video.decode_first_frame()  # where a container does not know its key frames
        if frame is not None and video.get_frame_time(frame) in sampled_times:
            frame = video.decode_frame(target_time_s)
        if frame is None or video.get_frame_time(frame) in sampled_times:
            continue
        seconds = video.get_frame_time(frame)
        sampled_times.add(seconds)
        if seconds < last_time_s + MIN_GAP_SHARE * gap:
            continue
        image = model_size.fit_to_model(video.convert_frame(frame, target.compute_size), target)
        thumbnail = np.asarray(image.resize((16, 16)), np.float32)
        if all(np.abs(thumbnail - other).mean() >= MIN_FRAME_DIFFERENCE for other in thumbnails):
            thumbnails.append(thumbnail)
            last_time_s = seconds
            yield SampledFrame(seconds, image)
    if not thumbnails:
        frame = video.decode_first_frame()
        if frame is None:
            raise PictureError("has no frame that can be decoded")
        yield SampledFrame(
            0.0, model_size.fit_to_model(video.convert_frame(frame, target.compute_size), target)
        )


@contextmanager
def _open_video(file: BufferedReader, max_megapixels: float) -> Iterator[_VideoReader]:
    if not optional_decoders.is_installed("video"):
        raise optional_decoders.make_missing_extra_error("video", "a video")
    import av

    file.seek(0)
    try:
        with av.open(
            file, options={"format_whitelist": ALLOWED_DEMUXERS}, metadata_errors="replace"
        ) as container:
            yield _VideoReader(container, file, max_megapixels)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("too large for this machine's memory") from error
    except av.FFmpegError as error:
        message = str(error.strerror or error)
        reason = (
            BROKEN_REASON if message.startswith(("Invalid", "End of", "Input/output")) else message
        )
        raise PictureError(f"cannot be decoded: {reason}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # of absurd numbers
        raise PictureError(f"cannot be decoded: {error}") from error


class _VideoReader:
    """A video that is open; what it raises is FFmpeg's."""

    def __init__(self, container: Any, file: BufferedReader, max_megapixels: float) -> None:
        streams = [
            stream
            for stream in container.streams.video
            if not stream.disposition & stream.disposition.attached_pic  # a cover
        ]
        if not streams:
            raise PictureError("holds no moving pictures; sound alone, maybe")
        self._container, self._file = container, file
        self._stream = stream = streams[0]
        if stream.codec_context is None:
            raise PictureError("in a coding that is not known")
        self._max_pixels = max_megapixels * 1e6
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        # There are threads enough that read files; and the decoder, too, knows the limit.
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(int(self._max_pixels))}
        self._start_s = float((stream.start_time or 0) * stream.time_base)
        self._frames_left_to_decode = MAX_DECODED_FRAMES

    @property
    def duration_s(self) -> float:
        """Return the seconds that it takes; 0 where that is not known."""
        if self._stream.duration:
            return max(0.0, float(self._stream.duration * self._stream.time_base))
        return max(0.0, (self._container.duration or 0) / 1e6)

    def get_frame_time(self, frame: Any) -> float:
        """Return when a frame is shown, from the beginning."""
        return round(max(0.0, float(frame.time or 0.0) - self._start_s), 3)

    def decode_key_frame(self, seconds: float) -> Any | None:
        """Return the key frame that is shown last before a time."""
        packet = self._find_key_packet(seconds, seconds)
        if (
            packet is not None and self._get_packet_time(packet) > seconds
        ):  # no index of key frames in it
            packet = self._find_key_packet(seconds - SEEK_BACK_S, seconds) or packet
        with suppress(*_get_decode_errors()):
            if packet is not None:
                context = self._stream.codec_context
                context.flush_buffers()
                return next(iter([*context.decode(packet), *context.decode(None)]), None)
        return None

    def _find_key_packet(self, start: float, seconds: float) -> Any | None:
        """Return the first key frame's packet from a start on, or the last before a time."""
        key_packet = None
        if self._seek(max(0.0, start)):
            with suppress(*_get_decode_errors()):
                for number, packet in enumerate(self._container.demux(self._stream)):
                    if number > MAX_DEMUXED_PACKETS or not packet.size:
                        break
                    if packet.is_keyframe:
                        if key_packet is None or self._get_packet_time(packet) <= seconds:
                            key_packet = packet
                        if start == seconds or self._get_packet_time(packet) >= seconds:
                            break
        return key_packet

    def _get_packet_time(self, packet: Any) -> float:
        timestamp = packet.dts if packet.pts is None else packet.pts
        return float((timestamp or 0) * self._stream.time_base) - self._start_s

    def decode_frame(self, seconds: float) -> Any | None:
        """Return the frame that is shown at a time, as long as not too many lie before it."""
        found = None
        if self._frames_left_to_decode > 0 and self._seek(seconds):
            with suppress(*_get_decode_errors()):
                for frame in self._container.decode(self._stream):
                    self._frames_left_to_decode -= 1
                    if found is None and (frame.is_corrupt or not frame.key_frame):
                        continue  # it is made of frames that were not read
                    if found is not None and self.get_frame_time(frame) > seconds + 1e-3:
                        break
                    found = frame
                    if self._frames_left_to_decode <= 0:
                        break
        return found

    def decode_first_frame(self) -> Any | None:
        """Return the first frame that can be decoded, where none can be sought."""
        with suppress(*_get_decode_errors()):
            self._container.seek(0)
        with suppress(*_get_decode_errors()):
            return next(self._container.decode(self._stream), None)
        return None

    def convert_frame(
        self, frame: Any, choose_size: Callable[[int, int], tuple[int, int]]
    ) -> Picture:
        """Return a frame upright, in RGB, hardly larger than a size needs."""
        from PIL import Image

        self._check_size(frame.width, frame.height)
        width, height = self._get_display_size(frame.width, frame.height)
        turn = TRANSPOSE_BY_ROTATION.get(round(frame.rotation) % 360)
        is_sideways = turn in ("ROTATE_90", "ROTATE_270")
        wanted_size = choose_size(height, width) if is_sideways else choose_size(width, height)
        scale = min(1.0, max(min(wanted_size) / min(width, height), 1 / min(width, height)))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        if frame.color_trc in (hdr.PQ, hdr.HLG):
            deep = frame.reformat(width, height, "rgb48le", interpolation="AREA").to_ndarray()
            image: Picture = Image.fromarray(hdr.convert_hdr_to_srgb(deep, frame.color_trc))
        else:
            image = frame.reformat(width, height, "rgb24", interpolation="AREA").to_image()
        return image.transpose(Image.Transpose[turn]) if turn else image

    def read_info(self) -> PictureInfo:
        """Return what the file says: its size upright, when, with what and where it was taken."""
        context, tags = self._stream.codec_context, dict(self._container.metadata)
        tags = {**self._stream.metadata, **tags}
        width, height = self._get_display_size(context.width, context.height)
        frame = self.decode_first_frame()
        if frame is not None and round(frame.rotation) % 180:
            width, height = height, width
        make = str(tags.get(f"{APPLE_KEY_PREFIX}make") or tags.get("make") or "")
        model = str(tags.get(f"{APPLE_KEY_PREFIX}model") or tags.get("model") or "")
        camera = model if make in model else f"{make} {model}"
        place = tags.get(f"{APPLE_KEY_PREFIX}location.ISO6709") or tags.get("location") or ""
        latitude, longitude = _parse_position(str(place))
        return PictureInfo(
            format=self._detect_format(tags),
            width=width,
            height=height,
            taken_at=_parse_date(tags.get(f"{APPLE_KEY_PREFIX}creationdate"))
            or _parse_date(tags.get("creation_time")),
            camera="".join(c for c in camera if c.isprintable()).strip()[:200] or None,
            latitude=latitude,
            longitude=longitude,
        )

    def _detect_format(self, tags: dict[str, Any]) -> str:
        name = str(self._container.format.name)
        if "mp4" in name:
            return FORMAT_BY_BRAND.get(str(tags.get("major_brand", "")).strip()[:2], "MP4")
        if "matroska" in name:
            position = self._file.tell()
            self._file.seek(0)
            head = self._file.read(64)
            self._file.seek(position)
            return "WEBM" if b"webm" in head else "MKV"
        return FORMAT_BY_CONTAINER.get(name, name.split(",")[0].upper())

    def _get_display_size(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that a stored size is shown in, where pixels are not square."""
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, 4) <= aspect <= 4:
            aspect = Fraction(1)
        return max(1, round(width * aspect)), height

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise PictureError(
                f"{width * height / 1e6:.0f} megapixels, the limit is {self._max_pixels / 1e6:.0f}; "
                "raise --max-megapixels"
            )
        if not width or not height:
            raise PictureError("cannot be decoded: broken or cut off in its first part")

    def _seek(self, seconds: float) -> bool:
        with suppress(*_get_decode_errors()):
            timestamp = int((seconds + self._start_s) / self._stream.time_base)
            self._container.seek(timestamp, stream=self._stream)
            return True
        return False


def _get_decode_errors() -> tuple[type[Exception], ...]:
    """Return what is raised where a part of a video is broken; the rest may be whole."""
    import av

    return (av.FFmpegError, OverflowError)


def _parse_date(text: Any) -> str | None:
    with suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(str(text))
        if moment.year > 1970:  # the first second of a clock that was never set
            return moment.replace(microsecond=0).isoformat()
    return None


def _parse_position(text: str) -> tuple[float | None, float | None]:
    """Return latitude and longitude of ISO 6709, in degrees: +48.8577+002.2950+035.000/."""
    found = re.match(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)", text)
    if found:
        latitude, longitude = float(found[1]), float(found[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return latitude, longitude
    return None, None
