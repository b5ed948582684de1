"""One picture: recognise it, and decode it."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.pictures import color, jxl, metadata, model_size, optional_decoders, raw
from searchapp.pictures.model_size import ImageInput
from searchapp.types import MAX_MEGAPIXELS, PictureInfo

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000")
SIGNATURE_BYTES = 32  # bytes that tell a picture from other files
BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes of the header after the file's own
MAX_JPEG_SCANS = (
    100  # of a progressive JPEG, each of which goes over the whole picture; programs write 10
)


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture as the model takes it, with what its file says of it."""

    image: Picture
    info: PictureInfo


@cache
def _load_pillow() -> Any:
    """Import Pillow with every opener there is; our own bound replaces its warning."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    if optional_decoders.is_installed("jxl"):
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS = 0  # there are threads enough that read pictures
    Image.init()
    Image.MAX_IMAGE_PIXELS = None
    return Image


def looks_like_picture(head: bytes) -> bool:
    """Tell from a file's first HEAD bytes whether it is a picture in one of FORMATS."""
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") not in BMP_HEADER_BYTES:
        return False  # two letters alone begin many a text
    if raw.detect_format_by_signature(head) is not None or jxl.is_jxl(head):
        return True
    openers = _load_pillow().OPEN
    return any(accept(head) is True for _, accept in (openers[f] for f in FORMATS) if accept)


def read_picture_info(path: str, size: int, mtime_ns: int) -> PictureInfo | None:
    """Return what a picture says of itself, mostly with nothing decoded; its size is as stored.

    None where it is no picture, or cannot be read. Errors: PictureError, where the file is not
    there any more as it was (size in bytes, mtime_ns).
    """
    try:
        with storage.open_file(path) as (file, state), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if state != storage.FileState(size, mtime_ns):
                raise PictureError("has changed; index again", stage="read")
            head = file.read(SIGNATURE_BYTES)
            file.seek(0)
            if not looks_like_picture(head):
                return None
            is_png = head.startswith(b"\x89PNG")
            source = io.BytesIO(metadata.strip_png_pixels(file)) if is_png else file
            with _load_pillow().open(source, formats=FORMATS) as image:
                return metadata.extract_picture_info(image)
    except PictureError:
        raise
    except Exception:  # openers raise nearly anything on broken files
        pass
    with suppress(PictureError):  # JPEG XL, and RAW that Pillow does not take for TIFF
        return decode_picture(storage.read_file(path)[0], lambda width, height: (1, 1))[1]
    return None


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def prepare_picture(
    data: bytes, target: ImageInput, max_megapixels: float = MAX_MEGAPIXELS
) -> PreparedPicture:
    """Decode a picture and bring it to a model's size, upright, in RGB."""
    image, info = decode_picture(data, target.compute_size, max_megapixels)
    return PreparedPicture(model_size.fit_to_model(image, target), info)


def decode_thumbnail(data: bytes, side: int) -> Picture:
    """Decode a picture for people to see: upright, RGB, at most side by side pixels."""
    image, _ = decode_picture(data, lambda width, height: (side, side))
    image.thumbnail((side, side), _load_pillow().Resampling.LANCZOS)
    return image


def decode_picture(
    data: bytes,
    choose_size: Callable[[int, int], tuple[int, int]],
    max_megapixels: float = MAX_MEGAPIXELS,
) -> tuple[Picture, PictureInfo]:
    """Decode a picture's first frame, upright, in RGB.

    size: of width and height, the size that is wanted in the end: a JPEG that is much larger is
    decoded smaller, which is faster. Whatever a decoder raises on a broken file becomes a
    PictureError with its reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode_data(data, choose_size, max_megapixels)
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("too large for this machine's memory") from error
    except Exception as error:  # decoders raise nearly anything on broken files
        raise PictureError(_describe_error(error)) from error


def _describe_error(error: Exception) -> str:
    from PIL import UnidentifiedImageError
    from PIL.ImageFile import ERRORS

    if isinstance(error, UnidentifiedImageError):
        return "cannot be decoded: broken or cut off in its first part"
    message = error.args[0] if error.args else ""
    text = (message.decode(errors="replace") if isinstance(message, bytes) else str(error)).strip()
    reason = text.splitlines()[0] if text else type(error).__name__
    if reason.startswith(("Generic Error", "Input/output error")):  # all that libjxl, LibRaw say
        reason = "broken or cut off"
    if reason.startswith("decoder error"):  # of TIFF; others are told in words
        reason = ERRORS.get(int(reason.split()[-1]), reason)
    return f"cannot be decoded: {reason}"


def _decode_data(
    data: bytes, choose_size: Callable[[int, int], tuple[int, int]], max_megapixels: float
) -> tuple[Picture, PictureInfo]:
    if not looks_like_picture(data[:SIGNATURE_BYTES]):
        raise PictureError("not a picture, or in a format that is not known")
    if (kind := raw.detect_format(data)) is not None:
        return _decode_raw(kind, data, choose_size, max_megapixels)
    if is_jxl := jxl.is_jxl(data):
        _check_jxl(data, max_megapixels)
    formats = ("JXL",) if is_jxl else FORMATS
    with _load_pillow().open(io.BytesIO(data), formats=formats) as image:
        _check_limits(image, data, max_megapixels)
        width, height = image.size
        if image.format in ("JPEG", "MPO"):  # several pictures in one JPEG file
            draft_side = min(choose_size(width, height))
            image.draft(None, (draft_side, draft_side))  # by 2, 4 or 8, in the decoder, averaging
        image.load()  # before EXIF is asked for: Pillow loads a PNG for that, and fails only once
        info = replace(metadata.extract_picture_info(image), width=width, height=height)
        upright = _turn_upright(image)
    # Asked of the result, since some of Pillow's openers turn a picture by themselves.
    if (upright.width > upright.height) != (width > height):
        info = replace(info, width=height, height=width)
    return color.convert_to_rgb(upright), info


def _decode_raw(
    kind: str,
    data: bytes,
    choose_size: Callable[[int, int], tuple[int, int]],
    max_megapixels: float,
) -> tuple[Picture, PictureInfo]:
    """Decode the preview in a RAW file; where that is smaller than what is wanted, the sensor's."""
    raw_file = raw.RawFile(data)
    try:
        _check_pixel_count(raw_file.pixel_count, max_megapixels)
        width, height = raw_file.width, raw_file.height
        info = PictureInfo(format=kind, width=width, height=height)
        picture, preview = None, raw_file.extract_preview()
        if isinstance(preview, bytes):
            with (
                suppress(Exception),  # a broken preview is none
                _load_pillow().open(io.BytesIO(preview), formats=("JPEG",)) as image,
            ):
                _check_limits(image, preview, max_megapixels)
                draft_side = min(choose_size(*image.size))
                image.draft(None, (draft_side, draft_side))
                image.load()
                info = metadata.extract_picture_info(image)
                picture = raw_file.orient_preview(image, _turn_upright(image))
        elif preview is not None:
            picture = raw_file.orient_preview(preview, preview)
        if picture is None or min(picture.size) < min(*choose_size(width, height), width, height):
            with suppress(Exception) if picture is not None else nullcontext():
                picture = raw_file.develop()
        assert picture is not None
    finally:
        raw_file.close()
    raw_info = _read_raw_info(data)
    info = raw_info if raw_info is not None and (raw_info.taken_at or raw_info.camera) else info
    info = replace(
        info, format=kind, width=width, height=height, reader=metadata.METADATA_READER_VERSION
    )
    return color.convert_to_rgb(picture), info


def _read_raw_info(data: bytes) -> PictureInfo | None:
    """Return what a RAW file says: all where Pillow takes it for TIFF, EXIF where it keeps that."""
    with suppress(Exception), _load_pillow().open(io.BytesIO(data), formats=("TIFF",)) as image:
        return metadata.extract_picture_info(image)
    tags = raw.extract_exif(data)
    if tags is None:
        return None
    carrier = _load_pillow().new("RGB", (1, 1))  # what Pillow reads EXIF from
    carrier.info["exif"] = tags
    return metadata.extract_picture_info(carrier)


def _check_jxl(data: bytes, max_megapixels: float) -> None:
    if not optional_decoders.is_installed("jxl"):
        raise optional_decoders.make_missing_extra_error("jxl", "JPEG XL")
    size = jxl.read_size(data)
    if size is None:
        raise PictureError("cannot be decoded: broken or cut off in its first part")
    _check_pixel_count(math.prod(size), max_megapixels)


def _check_pixel_count(pixels: int, max_megapixels: float, place_suffix: str = "") -> None:
    if pixels > max_megapixels * 1e6:
        raise PictureError(
            f"{pixels / 1e6:.0f} megapixels{place_suffix}, the limit is {max_megapixels:.0f}; "
            "raise --max-megapixels"
        )


def _check_limits(image: Picture, data: bytes, max_megapixels: float) -> None:
    """Refuse what takes too much memory or time, and what is empty, before it is decoded."""
    pixels, place_suffix = image.width * image.height, ""
    if image.format == "TIFF":  # a small picture may be cut from a large tile
        tags: Any = getattr(image, "tag_v2", {})
        sides = [side for tag in (0x0142, 0x0143) if isinstance(side := tags.get(tag), int)]
        if len(sides) == 2:
            pixels, place_suffix = max((pixels, ""), (math.prod(sides), " in a tile"))
    _check_pixel_count(pixels, max_megapixels, place_suffix)
    if image.format == "JPEG2000" and b"\xff\x93" not in data:  # the decoder makes grey of it
        raise PictureError("cannot be decoded: image file is truncated")
    if "progressive" in image.info:
        scans = _count_jpeg_scans(data)
        if scans > MAX_JPEG_SCANS:
            raise PictureError(
                f"a progressive JPEG of {scans} scans, the limit is {MAX_JPEG_SCANS}"
            )


def _count_jpeg_scans(data: bytes) -> int:
    """Count the scans of a JPEG's first picture; what is in its segments may look like some."""
    position, scan = 2, b"\xff\xda"
    while position < len(data) and data[position : position + 2] != scan:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    end = data.find(b"\xff\xd9", position)
    return data.count(scan, position, end if end >= 0 else len(data))


# How a picture with that value of EXIF's orientation is turned: Pillow's names.
TRANSPOSE_BY_ORIENTATION = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def _turn_upright(image: Picture) -> Picture:
    """Turn a picture as EXIF says. ImageOps.exif_transpose writes EXIF anew, and fails on some."""
    turn = None
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return image  # libjxl has turned it, and what EXIF says does not count
    with suppress(Exception):  # absurd EXIF must not cost the picture
        turn = TRANSPOSE_BY_ORIENTATION.get(image.getexif().get(0x0112, 1))
    return image.transpose(_load_pillow().Transpose[turn]) if turn else image
