"""Sample frames of a video that show different things, and read a video's metadata."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.file_state import make_outdated_error
from searchapp.pictures import model_size
from searchapp.pictures.model_size import ImageInput
from searchapp.pictures.video_reader import VideoReader, open_video
from searchapp.types import MAX_MEGAPIXELS, PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

MAX_FRAMES = 32  # per video
MIN_SAMPLED_FRAMES = 3  # sampled from a short video, before similar frames are dropped
SAMPLE_INTERVAL_S = 3.0  # between sampled frames, as long as there are at most MAX_FRAMES
# A frame is dropped if it is closer to the last one than this share of the sample interval.
MIN_GAP_SHARE = 0.5
# Mean difference of two frames, as 16 x 16 pixels of 0 to 255, from which they count as different.
MIN_FRAME_DIFFERENCE = 10.0


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame as an upright RGB picture, and its time in seconds from the start."""

    seconds: float
    image: Picture


def sample_frames(
    file: BufferedReader, target: ImageInput, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[PictureInfo, list[SampledFrame]]:
    """Return a video's metadata, and frames that show different things, resized for a model.

    There are 1 to MAX_FRAMES frames, spread over the duration. Raises PictureError.
    """
    with open_video(file, max_megapixels) as video:
        info, frames = video.read_info(), list(_choose_frames(video, target))
        logger.debug(
            "Sampled %d frames of a video with a duration of %.1f s.", len(frames), video.duration_s
        )
        return info, frames


def read_video_info(path: str, size: int, mtime_ns: int) -> PictureInfo | None:
    """Return a video file's metadata; None if the file is not a video, or is broken.

    size: the expected size in bytes. Raises PictureError if the file is gone, or its size or
    mtime_ns changed.
    """
    with storage.open_file(path) as (file, state):
        if state != storage.FileState(size, mtime_ns):
            raise make_outdated_error()
        with suppress(PictureError), open_video(file, MAX_MEGAPIXELS) as video:
            return video.read_info()
    return None


def extract_frame(file: BinaryIO, seconds: float, side: int) -> Picture:
    """Return the frame of an open video at a time as an upright RGB thumbnail.

    side: the longest side in pixels. Raises PictureError.
    """
    with open_video(file, MAX_MEGAPIXELS) as video:
        frame = video.decode_key_frame(seconds)
        if frame is None or video.get_frame_time(frame) + 0.01 < seconds:
            frame = video.decode_frame(seconds) or frame
        if frame is None:
            raise PictureError(
                f"no frame at {seconds:.1f} s can be decoded; the file may be broken"
            )
        image = video.convert_frame(frame, lambda width, height: (side, side))
    image.thumbnail((side, side))
    return image


def _choose_frames(video: VideoReader, target: ImageInput) -> Iterator[SampledFrame]:
    """Yield frames spread over the duration that differ from one another."""
    duration_s, count = video.duration_s, 1
    if duration_s:
        count = max(MIN_SAMPLED_FRAMES, min(MAX_FRAMES, int(duration_s / SAMPLE_INTERVAL_S)))
    gap_s, last_time_s = duration_s / count, -duration_s
    thumbnails, sampled_times = list[NDArray[np.float32]](), set[float]()
    for number in range(count):
        target_time_s = (number + 0.5) * gap_s
        frame = video.decode_key_frame(target_time_s)
        if frame is not None and number == 0 and video.get_frame_time(frame) > target_time_s:
            frame = video.decode_first_frame()  # The file has no index of key frames.
        if frame is not None and video.get_frame_time(frame) in sampled_times:
            frame = video.decode_frame(target_time_s)
        if frame is None or video.get_frame_time(frame) in sampled_times:
            continue
        seconds = video.get_frame_time(frame)
        sampled_times.add(seconds)
        if seconds < last_time_s + MIN_GAP_SHARE * gap_s:
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
            raise PictureError("no frame of the video can be decoded; the file may be broken")
        yield SampledFrame(
            0.0, model_size.fit_to_model(video.convert_frame(frame, target.compute_size), target)
        )
