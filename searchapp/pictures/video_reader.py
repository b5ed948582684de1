"""Open a video with PyAV (FFmpeg): seek and decode single frames, read the metadata.

Nothing reads the complete file: frames are found by their time, through key frames if possible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from searchapp.errors import PictureError
from searchapp.pictures import hdr, limits, optional_decoders
from searchapp.types import PictureInfo, megapixels_to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_DECODED_FRAMES = 600  # per video, to reach frames between key frames
MAX_DEMUXED_PACKETS = 5000  # per seek, to reach a key frame
SEEK_BACK_S = 10.0  # where to search for a key frame before a time, in a file without an index
# Only containers with their own content. Playlists could make FFmpeg open other files and URLs.
ALLOWED_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,dv"
FORMAT_BY_BRAND = {"qt": "MOV", "3g": "3GP"}  # by the start of an MP4's brand; others are MP4
FORMAT_BY_CONTAINER = {
    "avi": "AVI",
    "mpegts": "MTS",
    "mpeg": "MPEG",
    "flv": "FLV",
    "asf": "WMV",
    "ogg": "OGV",
    "dv": "DV",
}
BROKEN_REASON = "broken, cut off, or not a video"
APPLE_KEY_PREFIX = "com.apple.quicktime."
TRANSPOSE_BY_ROTATION = {90: "ROTATE_90", 180: "ROTATE_180", 270: "ROTATE_270"}  # counter-clockwise


@contextmanager
def open_video(file: BinaryIO, max_megapixels: float) -> Iterator[VideoReader]:
    """Open a video for a `with` block; convert every error in the block to a PictureError."""
    if not optional_decoders.is_installed("video"):
        raise optional_decoders.make_missing_extra_error("video", "a video")
    import av

    file.seek(0)
    try:
        with av.open(
            file, options={"format_whitelist": ALLOWED_DEMUXERS}, metadata_errors="replace"
        ) as container:
            yield VideoReader(container, file, max_megapixels)
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
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # Invalid numbers in the file
        raise PictureError(f"cannot be decoded: {error}") from error


class VideoReader:
    """An open video; methods raise FFmpeg's errors, which open_video converts."""

    def __init__(self, container: Any, file: BinaryIO, max_megapixels: float) -> None:
        """Select the video stream of a PyAV container; raise PictureError if there is none.

        file: the file that the container reads.
        """
        streams = [
            stream
            for stream in container.streams.video
            if not stream.disposition & stream.disposition.attached_pic  # cover art
        ]
        if not streams:
            raise PictureError("the file has no video stream; it may hold only sound")
        self._container, self._file = container, file
        self._stream = stream = streams[0]
        if stream.codec_context is None:
            raise PictureError("cannot be decoded: FFmpeg does not know the video codec")
        self._max_megapixels = max_megapixels
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        # Files are decoded on several threads, so one thread for each file is enough.
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {
            "max_pixels": str(int(megapixels_to_pixels(max_megapixels)))
        }
        self._start_s = float((stream.start_time or 0) * stream.time_base)
        self._frames_left_to_decode = MAX_DECODED_FRAMES

    @property
    def duration_s(self) -> float:
        """Return the duration in seconds; 0 if it is unknown."""
        if self._stream.duration:
            return max(0.0, float(self._stream.duration * self._stream.time_base))
        return max(0.0, (self._container.duration or 0) / 1e6)

    def get_frame_time(self, frame: Any) -> float:
        """Return the time of a frame in seconds from the start of the video."""
        return round(max(0.0, float(frame.time or 0.0) - self._start_s), 3)

    def decode_key_frame(self, seconds: float) -> Any | None:
        """Return the last key frame before a time; None if none can be decoded."""
        packet = self._find_key_packet(seconds, seconds)
        # The seek went too far: the file has no index of key frames.
        if packet is not None and self._get_packet_time(packet) > seconds:
            packet = self._find_key_packet(seconds - SEEK_BACK_S, seconds) or packet
        with suppress(*_get_decode_errors()):
            if packet is not None:
                context = self._stream.codec_context
                context.flush_buffers()
                return next(iter([*context.decode(packet), *context.decode(None)]), None)
        return None

    def _find_key_packet(self, start: float, seconds: float) -> Any | None:
        """Return the packet of the last key frame between start and seconds.

        If start equals seconds, return the first key frame after the position that a seek reaches.
        """
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
        """Return the frame at a time by decoding from the key frame before it.

        Returns an earlier frame once MAX_DECODED_FRAMES is reached; None if nothing can be
        decoded.
        """
        latest = None
        if self._frames_left_to_decode > 0 and self._seek(seconds):
            with suppress(*_get_decode_errors()):
                for frame in self._container.decode(self._stream):
                    self._frames_left_to_decode -= 1
                    if latest is None and (frame.is_corrupt or not frame.key_frame):
                        continue  # The frame depends on frames that were not read.
                    if latest is not None and self.get_frame_time(frame) > seconds + 1e-3:
                        break
                    latest = frame
                    if self._frames_left_to_decode <= 0:
                        break
        return latest

    def decode_first_frame(self) -> Any | None:
        """Return the first frame, without seeking by time; None if it cannot be decoded."""
        with suppress(*_get_decode_errors()):
            self._container.seek(0)
        with suppress(*_get_decode_errors()):
            return next(self._container.decode(self._stream), None)
        return None

    def convert_frame(
        self, frame: Any, choose_size: Callable[[int, int], tuple[int, int]]
    ) -> Picture:
        """Return a frame as an upright RGB picture, scaled down to what the caller needs.

        choose_size: returns the needed size, from the width and height of the upright frame.
        """
        from PIL import Image

        self._check_size(frame.width, frame.height)
        width, height = self._get_display_size(frame.width, frame.height)
        transpose = TRANSPOSE_BY_ROTATION.get(round(frame.rotation) % 360)
        is_sideways = transpose in ("ROTATE_90", "ROTATE_270")
        needed_size = choose_size(height, width) if is_sideways else choose_size(width, height)
        scale = min(1.0, max(min(needed_size) / min(width, height), 1 / min(width, height)))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        if frame.color_trc in (hdr.PQ, hdr.HLG):
            pixels = frame.reformat(width, height, "rgb48le", interpolation="AREA").to_ndarray()
            image: Picture = Image.fromarray(hdr.convert_hdr_to_srgb(pixels, frame.color_trc))
        else:
            image = frame.reformat(width, height, "rgb24", interpolation="AREA").to_image()
        return image.transpose(Image.Transpose[transpose]) if transpose else image

    def read_info(self) -> PictureInfo:
        """Return the metadata: format, upright size, date, camera and position."""
        context, tags = self._stream.codec_context, dict(self._container.metadata)
        tags = {**self._stream.metadata, **tags}
        width, height = self._get_display_size(context.width, context.height)
        frame = self.decode_first_frame()
        if frame is not None and round(frame.rotation) % 180:
            width, height = height, width
        make = str(tags.get(f"{APPLE_KEY_PREFIX}make") or tags.get("make") or "")
        model = str(tags.get(f"{APPLE_KEY_PREFIX}model") or tags.get("model") or "")
        camera = model if make in model else f"{make} {model}"
        position = tags.get(f"{APPLE_KEY_PREFIX}location.ISO6709") or tags.get("location") or ""
        latitude, longitude = _parse_position(str(position))
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
        """Return the size, in square pixels, at which players show a frame of this stored size."""
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, 4) <= aspect <= 4:
            aspect = Fraction(1)
        return max(1, round(width * aspect)), height

    def _check_size(self, width: int, height: int) -> None:
        limits.check_pixel_count(width * height, self._max_megapixels, "a frame of the video")
        if not width or not height:
            raise PictureError("cannot be decoded: broken or cut off in its first part")

    def _seek(self, seconds: float) -> bool:
        with suppress(*_get_decode_errors()):
            timestamp = int((seconds + self._start_s) / self._stream.time_base)
            self._container.seek(timestamp, stream=self._stream)
            return True
        return False


def _get_decode_errors() -> tuple[type[Exception], ...]:
    """Return the errors for a broken part of a video; other parts may still be good."""
    import av

    return (av.FFmpegError, OverflowError)


def _parse_date(text: Any) -> str | None:
    with suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(str(text))
        if moment.year > 1970:  # The epoch: the clock was never set.
            return moment.replace(microsecond=0).isoformat()
    return None


def _parse_position(text: str) -> tuple[float | None, float | None]:
    """Return latitude and longitude in degrees from ISO 6709: +48.8577+002.2950+035.000/."""
    found = re.match(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)", text)
    if found:
        latitude, longitude = float(found[1]), float(found[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return latitude, longitude
    return None, None
