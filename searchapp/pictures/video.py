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

MOST = 32  # frames of a video
FEWEST = 3  # that are looked at of a short one
EVERY = 3.0  # seconds between those looked at, where that makes no more than MOST
APART = 0.5  # of the time between two that are looked at: what is nearer to another is left out
DIFFERENT = 10.0  # of 255: the mean difference of small pictures, from which they show two things
FORWARD = 600  # frames of a video that are decoded on the way to others
BACK = 10.0  # seconds before a time from which its key frame is sought, where none is listed
PACKETS = 5000  # that are read on the way to a key frame
# Containers that hold what they are of: lists of other files, and addresses, are none.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,dv"
BRANDS = {"qt": "MOV", "3g": "3GP"}  # by the first letters of an MP4's brand; others are MP4
NAMES = {"avi": "AVI", "mpegts": "MTS", "mpeg": "MPEG", "flv": "FLV", "asf": "WMV", "ogg": "OGV",
         "dv": "DV"}  # fmt: skip
BROKEN = "broken, cut off, or no video"
APPLE = "com.apple.quicktime."
TURNS = {90: "ROTATE_90", 180: "ROTATE_180", 270: "ROTATE_270"}  # counter-clockwise


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame, upright and in RGB, and when it is shown, in seconds."""

    seconds: float
    image: Picture


def shots(
    file: BufferedReader, target: ImageInput, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[PictureInfo, list[Shot]]:
    """Return what a video's file says, and frames that show different things, in a model's form.

    At least one and at most MOST, spread over its length. Errors: PictureError.
    """
    with _opened(file, max_megapixels) as video:
        return video.info(), list(_chosen(video, target))


def glance(path: str, size: int, mtime_ns: int) -> PictureInfo | None:
    """Return what a video's file says; None where it is no video, or cannot be read.

    Errors: PictureError, where it is not there any more as it was (size in bytes, mtime_ns).
    """
    with storage.opened(path) as (file, state):
        if state != storage.State(size, mtime_ns):
            raise PictureError("has changed; index again", stage="read")
        with suppress(PictureError), _opened(file, MAX_MEGAPIXELS) as video:
            return video.info()
    return None


def still(path: str, seconds: float, side: int) -> Picture:
    """Return the frame at a time, upright, RGB, at most side by side pixels; PictureError."""
    with storage.opened(path) as (file, _), _opened(file, MAX_MEGAPIXELS) as video:
        frame = video.key_frame(seconds)
        if frame is None or video.seconds(frame) + 0.01 < seconds:
            frame = video.frame(seconds) or frame
        if frame is None:
            raise PictureError("has no frame there that can be decoded")
        image = video.picture(frame, lambda width, height: (side, side))
    image.thumbnail((side, side))
    return image


def _chosen(video: _Video, target: ImageInput) -> Iterator[Shot]:
    """Yield frames from all over the video, each unlike the others."""
    length = video.length
    count = max(FEWEST, min(MOST, int(length / EVERY))) if length else 1
    gap, kept = length / count, -length
    small, looked_at = list[NDArray[np.float32]](), set[float]()
    for number in range(count):
        wanted = (number + 0.5) * gap
        frame = video.key_frame(wanted)
        if frame is not None and number == 0 and video.seconds(frame) > wanted:
            frame = video.first()  # where a container does not know its key frames
        if frame is not None and video.seconds(frame) in looked_at:
            frame = video.frame(wanted)
        if frame is None or video.seconds(frame) in looked_at:
            continue
        seconds = video.seconds(frame)
        looked_at.add(seconds)
        if seconds < kept + APART * gap:
            continue
        image = model_size.fit(video.picture(frame, target.size), target)
        seen = np.asarray(image.resize((16, 16)), np.float32)
        if all(np.abs(seen - other).mean() >= DIFFERENT for other in small):
            small.append(seen)
            kept = seconds
            yield Shot(seconds, image)
    if not small:
        frame = video.first()
        if frame is None:
            raise PictureError("has no frame that can be decoded")
        yield Shot(0.0, model_size.fit(video.picture(frame, target.size), target))


@contextmanager
def _opened(file: BufferedReader, max_megapixels: float) -> Iterator[_Video]:
    if not optional_decoders.has("video"):
        raise optional_decoders.missing("video", "a video")
    import av

    file.seek(0)
    try:
        with av.open(
            file, options={"format_whitelist": DEMUXERS}, metadata_errors="replace"
        ) as container:
            yield _Video(container, file, max_megapixels)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("too large for this machine's memory") from error
    except av.FFmpegError as error:
        said = str(error.strerror or error)
        reason = BROKEN if said.startswith(("Invalid", "End of", "Input/output")) else said
        raise PictureError(f"cannot be decoded: {reason}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # of absurd numbers
        raise PictureError(f"cannot be decoded: {error}") from error


class _Video:
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
        self._most = max_megapixels * 1e6
        self._refuse(stream.codec_context.width, stream.codec_context.height)
        # There are threads enough that read files; and the decoder, too, knows the limit.
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": str(int(self._most))}
        self._start = float((stream.start_time or 0) * stream.time_base)
        self._forward = FORWARD

    @property
    def length(self) -> float:
        """Return the seconds that it takes; 0 where that is not known."""
        if self._stream.duration:
            return max(0.0, float(self._stream.duration * self._stream.time_base))
        return max(0.0, (self._container.duration or 0) / 1e6)

    def seconds(self, frame: Any) -> float:
        """Return when a frame is shown, from the beginning."""
        return round(max(0.0, float(frame.time or 0.0) - self._start), 3)

    def key_frame(self, seconds: float) -> Any | None:
        """Return the key frame that is shown last before a time."""
        packet = self._key_packet(seconds, seconds)
        if packet is not None and self._time(packet) > seconds:  # no index of key frames in it
            packet = self._key_packet(seconds - BACK, seconds) or packet
        with suppress(*_broken()):
            if packet is not None:
                context = self._stream.codec_context
                context.flush_buffers()
                return next(iter([*context.decode(packet), *context.decode(None)]), None)
        return None

    def _key_packet(self, start: float, seconds: float) -> Any | None:
        """Return the first key frame's packet from a start on, or the last before a time."""
        found = None
        if self._seek(max(0.0, start)):
            with suppress(*_broken()):
                for number, packet in enumerate(self._container.demux(self._stream)):
                    if number > PACKETS or not packet.size:
                        break
                    if packet.is_keyframe:
                        if found is None or self._time(packet) <= seconds:
                            found = packet
                        if start == seconds or self._time(packet) >= seconds:
                            break
        return found

    def _time(self, packet: Any) -> float:
        at = packet.dts if packet.pts is None else packet.pts
        return float((at or 0) * self._stream.time_base) - self._start

    def frame(self, seconds: float) -> Any | None:
        """Return the frame that is shown at a time, as long as not too many lie before it."""
        found = None
        if self._forward > 0 and self._seek(seconds):
            with suppress(*_broken()):
                for frame in self._container.decode(self._stream):
                    self._forward -= 1
                    if found is None and (frame.is_corrupt or not frame.key_frame):
                        continue  # it is made of frames that were not read
                    if found is not None and self.seconds(frame) > seconds + 1e-3:
                        break
                    found = frame
                    if self._forward <= 0:
                        break
        return found

    def first(self) -> Any | None:
        """Return the first frame that can be decoded, where none can be sought."""
        with suppress(*_broken()):
            self._container.seek(0)
        with suppress(*_broken()):
            return next(self._container.decode(self._stream), None)
        return None

    def picture(self, frame: Any, size: Callable[[int, int], tuple[int, int]]) -> Picture:
        """Return a frame upright, in RGB, hardly larger than a size needs."""
        from PIL import Image

        self._refuse(frame.width, frame.height)
        width, height = self._shown(frame.width, frame.height)
        turn = TURNS.get(round(frame.rotation) % 360)
        across = turn in ("ROTATE_90", "ROTATE_270")
        wanted = size(height, width) if across else size(width, height)
        scale = min(1.0, max(min(wanted) / min(width, height), 1 / min(width, height)))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        if frame.color_trc in (hdr.PQ, hdr.HLG):
            deep = frame.reformat(width, height, "rgb48le", interpolation="AREA").to_ndarray()
            image: Picture = Image.fromarray(hdr.to_srgb(deep, frame.color_trc))
        else:
            image = frame.reformat(width, height, "rgb24", interpolation="AREA").to_image()
        return image.transpose(Image.Transpose[turn]) if turn else image

    def info(self) -> PictureInfo:
        """Return what the file says: its size upright, when, with what and where it was taken."""
        context, said = self._stream.codec_context, dict(self._container.metadata)
        said = {**self._stream.metadata, **said}
        width, height = self._shown(context.width, context.height)
        frame = self.first()
        if frame is not None and round(frame.rotation) % 180:
            width, height = height, width
        make = str(said.get(f"{APPLE}make") or said.get("make") or "")
        model = str(said.get(f"{APPLE}model") or said.get("model") or "")
        camera = model if make in model else f"{make} {model}"
        place = said.get(f"{APPLE}location.ISO6709") or said.get("location") or ""
        latitude, longitude = _place(str(place))
        return PictureInfo(
            format=self._format(said),
            width=width,
            height=height,
            taken_at=_taken(said.get(f"{APPLE}creationdate")) or _taken(said.get("creation_time")),
            camera="".join(c for c in camera if c.isprintable()).strip()[:200] or None,
            latitude=latitude,
            longitude=longitude,
        )

    def _format(self, said: dict[str, Any]) -> str:
        name = str(self._container.format.name)
        if "mp4" in name:
            return BRANDS.get(str(said.get("major_brand", "")).strip()[:2], "MP4")
        if "matroska" in name:
            here = self._file.tell()
            self._file.seek(0)
            head = self._file.read(64)
            self._file.seek(here)
            return "WEBM" if b"webm" in head else "MKV"
        return NAMES.get(name, name.split(",")[0].upper())

    def _shown(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that a stored size is shown in, where pixels are not square."""
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, 4) <= aspect <= 4:
            aspect = Fraction(1)
        return max(1, round(width * aspect)), height

    def _refuse(self, width: int, height: int) -> None:
        if width * height > self._most:
            raise PictureError(
                f"{width * height / 1e6:.0f} megapixels, the limit is {self._most / 1e6:.0f}; "
                "raise --max-megapixels"
            )
        if not width or not height:
            raise PictureError("cannot be decoded: broken or cut off in its first part")

    def _seek(self, seconds: float) -> bool:
        with suppress(*_broken()):
            at = int((seconds + self._start) / self._stream.time_base)
            self._container.seek(at, stream=self._stream)
            return True
        return False


def _broken() -> tuple[type[Exception], ...]:
    """Return what is raised where a part of a video is broken; the rest may be whole."""
    import av

    return (av.FFmpegError, OverflowError)


def _taken(text: Any) -> str | None:
    with suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(str(text))
        if moment.year > 1970:  # the first second of a clock that was never set
            return moment.replace(microsecond=0).isoformat()
    return None


def _place(text: str) -> tuple[float | None, float | None]:
    """Return latitude and longitude of ISO 6709, in degrees: +48.8577+002.2950+035.000/."""
    found = re.match(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)", text)
    if found:
        latitude, longitude = float(found[1]), float(found[2])
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            return latitude, longitude
    return None, None
