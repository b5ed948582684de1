"""Decode all frames of an animation, or all pages of a scan, with alpha and colors as shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchapp.pictures import (
    color,
    decode,
    gray_samples,
    icc,
    nclx,
    orientation,
    raw,
    sample_bits,
    wide_tiff,
)
from searchapp.pictures.decoder_errors import call_decoder, describe_decoder_errors
from searchapp.pictures.jpeg_decoder import reduce_decoded_size

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

DURATION_STEP_MS = 10  # GIF stores durations in hundredths of a second
WIDE_MODES = ("I", "F", "CMYK")  # modes whose values RGBA with 8 bits cannot hold, and I;16


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame or page, upright."""

    colors: Picture  # RGB, in sRGB; as decode_picture() returns it
    alpha: Picture | None  # L; None: all pixels are opaque


def count_frames(data: bytes, max_megapixels: float) -> int:
    """Return the number of frames or pages of a picture; the pictures of an MPO count as one.

    Raises PictureError.
    """

    def count(complete: bytes) -> int:
        if raw.detect_format(complete) is not None:
            return 1
        with decode.open_picture(complete, max_megapixels) as image:
            return _count_frames(image)

    return call_decoder(count, data, max_megapixels)


def decode_frames(
    data: bytes, choose_size: Callable[[int, int], tuple[int, int]], max_megapixels: float
) -> Iterator[Frame]:
    """Yield the frames or pages of a picture. Raises PictureError.

    choose_size: as in decode_picture.
    """

    def decode_first(complete: bytes) -> tuple[Frame, Iterator[Frame]]:
        frames = _decode_frames(complete, choose_size, max_megapixels)
        return next(frames), frames

    first, others = call_decoder(decode_first, data, max_megapixels)
    yield first
    while True:
        with describe_decoder_errors(data):
            frame = next(others, None)
        if frame is None:
            return
        yield frame


def _decode_frames(
    data: bytes, choose_size: Callable[[int, int], tuple[int, int]], max_megapixels: float
) -> Iterator[Frame]:
    if raw.detect_format(data) is not None:
        yield Frame(decode.decode_picture(data, choose_size, max_megapixels)[0], None)
        return
    with decode.open_picture(data, max_megapixels) as image:
        reduce_decoded_size(image, choose_size)
        count = _count_frames(image)
        for number in range(count):
            image.seek(number)
            image.load()
            # The next seek() changes the opened picture, and all that is not a copy of it.
            frame = image.copy() if count > 1 else image
            frame.format = image.format
            upright = orientation.rotate_upright(frame)
            colors = color.convert_to_rgb(upright, min(choose_size(*upright.size)))
            yield Frame(colors, _extract_alpha(upright))


def hash_frames(data: bytes, max_megapixels: float) -> str:
    """Return the SHA-256 of all that a picture shows, in hexadecimal. Raises PictureError.

    It covers sizes, pixels, alpha, color space and durations of all frames. Pictures with more bits
    per sample than Pillow decodes are hashed with all bytes of the file.
    """

    def hash(complete: bytes) -> str:
        digest = hashlib.sha256()
        if raw.detect_format(complete) is not None:
            picture, _ = decode.decode_picture(complete, lambda *size: size, max_megapixels)
            _hash_pixels(digest, picture)
            return digest.hexdigest()
        with decode.open_picture(complete, max_megapixels) as image:
            count = _count_frames(image)
            digest.update(f"{count} ".encode())
            if complete is not data and wide_tiff.is_tiff(data):
                digest.update(data)
            for number in range(count):
                image.seek(number)
                if sample_bits.loses_bits(image, complete):
                    digest.update(complete)
                image.load()
                duration = round((image.info.get("duration") or 0) / DURATION_STEP_MS)
                notes = [image.info.get(key, "") for key in (nclx.INFO_KEY, gray_samples.INFO_KEY)]
                space = " ".join(map(str, (icc.identify_profile(image), *notes)))
                digest.update(f"{space} {duration if count > 1 else 0} ".encode())
                _hash_pixels(digest, orientation.rotate_upright(image))
        return digest.hexdigest()

    return call_decoder(hash, data, max_megapixels)


def _count_frames(image: Picture) -> int:
    return 1 if image.format in ("JPEG", "MPO") else max(1, getattr(image, "n_frames", 1))


def _extract_alpha(image: Picture) -> Picture | None:
    """Return the alpha channel of a picture, in the mode L; None if all pixels are opaque."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if _is_opaque(alpha) else alpha


def _hash_pixels(digest: hashlib._Hash, image: Picture) -> None:
    """Add the size and the pixels; modes with the same 8-bit colors give the same hash."""
    if image.mode in WIDE_MODES or image.mode.startswith("I;16"):
        digest.update(f"{image.width}x{image.height} {image.mode} ".encode())
        digest.update(image.tobytes())
        return
    digest.update(f"{image.width}x{image.height} RGB ".encode())
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        if not _is_opaque(alpha):
            digest.update(b"alpha ")
            digest.update(alpha.tobytes())
    digest.update(image.convert("RGB").tobytes())


def _is_opaque(alpha: Picture) -> bool:
    """Return whether all values of an alpha channel are 255."""
    return alpha.getextrema() == (255, 255)
