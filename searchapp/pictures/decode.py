"""Decode one picture: detect its format, check its limits, return RGB pixels and metadata."""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.file_state import make_outdated_error
from searchapp.pictures import (
    color,
    gray_samples,
    icc,
    jpeg_end,
    jxl,
    limits,
    metadata,
    model_size,
    nclx,
    optional_decoders,
    orientation,
    raw,
)
from searchapp.pictures.decoder_errors import call_decoder
from searchapp.pictures.jpeg_decoder import JpegDecoder, load_reduced, reduce_decoded_size
from searchapp.pictures.model_size import ImageInput
from searchapp.types import MAX_MEGAPIXELS, PictureInfo, Region

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "HEIF", "AVIF", "JPEG2000")
SIGNATURE_BYTES = 32  # first bytes of a file that show whether it is a picture
BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)  # possible sizes of the second header


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture in the size that a model takes, with the metadata of its file."""

    image: Picture
    info: PictureInfo


@cache
def _load_pillow() -> Any:
    """Import Pillow, and register the plugins of all installed decoders.

    Pillow's own limit on the number of pixels is off, because limits.py checks another limit. Its
    limit on compressed texts in a PNG is raised, because it also applies to the ICC profile.
    """
    import pillow_heif
    from PIL import Image, PngImagePlugin

    pillow_heif.register_heif_opener()
    if optional_decoders.is_installed("jxl"):
        from pillow_jxl import JpegXLImagePlugin

        JpegXLImagePlugin.DECODE_THREADS = 0  # Pictures are decoded on several threads.
    Image.init()
    PngImagePlugin.MAX_TEXT_CHUNK = icc.MAX_PROFILE_BYTES
    Image.MAX_IMAGE_PIXELS = None
    return Image


def looks_like_picture(head: bytes) -> bool:
    """Return whether a file can be a picture.

    head: the first SIGNATURE_BYTES of the file.
    """
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") not in BMP_HEADER_BYTES:
        return False  # Many texts start with BM.
    if raw.detect_format_by_signature(head) is not None or jxl.is_jxl(head):
        return True
    openers = _load_pillow().OPEN
    return any(accept(head) is True for _, accept in (openers[f] for f in FORMATS) if accept)


def read_picture_info(path: str, size: int, mtime_ns: int) -> PictureInfo | None:
    """Return a picture file's metadata and size in pixels; most formats are not decoded for this.

    None if the file is not a picture, or is broken. size: the expected size of the file in bytes.
    Raises PictureError if the file does not exist, or if its size or mtime_ns has changed.
    """
    try:
        with storage.open_file(path) as (file, state), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if state != storage.FileState(size, mtime_ns):
                raise make_outdated_error()
            head = file.read(SIGNATURE_BYTES)
            file.seek(0)
            if not looks_like_picture(head):
                return None
            is_png = head.startswith(b"\x89PNG")
            source = io.BytesIO(metadata.strip_png_pixels(file)) if is_png else file
            with _load_pillow().open(source, formats=FORMATS) as image:
                nclx.note_color_code(image, nclx.read_head(image, source))
                metadata.note_unread_blocks(image, source)
                return _extract_info(image)
    except PictureError:
        raise
    except Exception:  # Openers raise many kinds of errors for broken files.
        pass
    with suppress(PictureError):  # JPEG XL, and RAW files that Pillow does not open as TIFF
        return decode_picture(storage.read_file(path)[0], lambda width, height: (1, 1))[1]
    return None


def detect_format(data: bytes) -> str | None:
    """Return the format that the header of a picture states, such as JPEG; None if unknown."""
    try:
        with (
            warnings.catch_warnings(),
            _load_pillow().open(io.BytesIO(data), formats=FORMATS) as image,
        ):
            return str(image.format)
    except Exception:  # Openers raise many kinds of errors for broken files.
        return None


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def prepare_picture(
    data: bytes,
    target: ImageInput,
    max_megapixels: float = MAX_MEGAPIXELS,
    jpegs: JpegDecoder | None = None,
) -> PreparedPicture:
    """Decode a picture; return it upright, in RGB, resized to the size that a model takes.

    jpegs: decodes JPEGs in place of Pillow. Raises PictureError.
    """
    image, info = decode_picture(data, target.compute_size, max_megapixels, jpegs)
    return PreparedPicture(model_size.fit_to_model(image, target), info)


def prepare_region(data: bytes, region: Region, target: ImageInput) -> Picture:
    """Decode a picture; return a part of it upright, in RGB, in the size that a model takes.

    Raises PictureError, and QueryError if the part is outside of the picture.
    """
    image, info = decode_picture(data, lambda width, height: (width, height))
    part = image.crop(region.compute_box((info.width, info.height), image.size))
    return model_size.fit_to_model(part, target)


def decode_thumbnail(data: bytes, side: int) -> Picture:
    """Decode a picture, and return an upright RGB thumbnail.

    side: the longest side in pixels. Raises PictureError.
    """
    image, _ = decode_picture(data, lambda width, height: (side, side))
    image.thumbnail((side, side), _load_pillow().Resampling.LANCZOS)
    return image


def decode_picture(
    data: bytes,
    choose_size: Callable[[int, int], tuple[int, int]],
    max_megapixels: float = MAX_MEGAPIXELS,
    jpegs: JpegDecoder | None = None,
) -> tuple[Picture, PictureInfo]:
    """Decode the first frame of a picture, and return it upright, in RGB, with its metadata.

    choose_size: returns the size that the caller needs, from width and height. A much larger
    JPEG is decoded at a reduced size, which is faster. jpegs: decodes JPEGs in place of Pillow.
    A complete picture in a file with a damaged end is decoded.
    Raises PictureError for every error of a decoder, with its reason.
    """
    # The other decoder is lenient, so it gets no repaired file.
    return call_decoder(
        lambda copy: _decode_data(
            copy, choose_size, max_megapixels, jpegs if copy is data else None
        ),
        data,
        max_megapixels,
    )


def _decode_data(
    data: bytes,
    choose_size: Callable[[int, int], tuple[int, int]],
    max_megapixels: float,
    jpegs: JpegDecoder | None = None,
) -> tuple[Picture, PictureInfo]:
    if (kind := raw.detect_format(data)) is not None:
        return _decode_raw(kind, data, choose_size, max_megapixels, jpegs)
    with open_picture(data, max_megapixels) as image:
        width, height = image.size
        reduce_decoded_size(image, choose_size)
        # Before getexif(), which loads a PNG as well: only the first load() of a PNG raises.
        loaded = load_reduced(image, (width, height), data, jpegs)
        if image.format in ("JPEG", "MPO"):
            jpeg_end.check_last_blocks(loaded, data, max_megapixels)
        info = replace(_extract_info(image), width=width, height=height)
        upright = orientation.rotate_upright(loaded)
    # Compare with the result, because some openers rotate a picture themselves.
    if (upright.width > upright.height) != (width > height):
        info = replace(info, width=height, height=width)
    return color.convert_to_rgb(upright, min(choose_size(*upright.size))), info


def open_picture(data: bytes, max_megapixels: float) -> Picture:
    """Open a picture that is not RAW, without decoding it. Raises PictureError and others."""
    if not looks_like_picture(data[:SIGNATURE_BYTES]):
        raise PictureError("not a picture, or a picture in an unknown format")
    if is_jxl := jxl.is_jxl(data):
        jxl.check_size(data, max_megapixels)
    formats = ("JXL",) if is_jxl else FORMATS
    file = io.BytesIO(data)
    image: Picture = _load_pillow().open(file, formats=formats)
    limits.check_limits(image, data, max_megapixels)
    nclx.note_color_code(image, data[: nclx.MAX_META_BYTES])
    gray_samples.note_gray_samples(image)
    metadata.note_unread_blocks(image, file)
    return image


def _extract_info(image: Picture) -> PictureInfo:
    """Return the metadata of an opened picture, and whether its colors need a conversion."""
    info = metadata.extract_picture_info(image)
    return replace(info, colors_since=color.find_version(image))


def _decode_raw(
    kind: str,
    data: bytes,
    choose_size: Callable[[int, int], tuple[int, int]],
    max_megapixels: float,
    jpegs: JpegDecoder | None,
) -> tuple[Picture, PictureInfo]:
    """Decode the preview in a RAW file, or the sensor data if the preview is too small."""
    raw_file = raw.RawFile(data)
    try:
        limits.check_pixel_count(raw_file.pixel_count, max_megapixels)
        width, height = raw_file.width, raw_file.height
        info = PictureInfo(format=kind, width=width, height=height)
        picture, preview = None, raw_file.extract_preview()
        if isinstance(preview, bytes):
            with (
                suppress(Exception),  # Without a usable preview, the sensor data is developed.
                _load_pillow().open(io.BytesIO(preview), formats=("JPEG",)) as image,
            ):
                limits.check_limits(image, preview, max_megapixels)
                size = image.size
                reduce_decoded_size(image, choose_size)
                loaded = load_reduced(image, size, preview, jpegs)
                info = metadata.extract_picture_info(image)
                picture = raw_file.orient_preview(loaded, orientation.rotate_upright(loaded))
        elif preview is not None:
            picture = raw_file.orient_preview(preview, preview)
        needed_side = min(*choose_size(width, height), width, height)
        if picture is not None and min(picture.size) >= needed_side:
            logger.debug("Decoded the preview of a %s file.", kind)
        else:
            reason = "no usable preview" if picture is None else "its preview is too small"
            logger.info("Developing the sensor data of a %s file: %s.", kind, reason)
            with suppress(Exception) if picture is not None else nullcontext():
                picture = raw_file.develop()
        assert picture is not None
    finally:
        raw_file.close()
    raw_info = _read_raw_info(data)
    if raw_info is not None and (raw_info.taken_at or raw_info.camera):
        info = raw_info
    info = replace(
        info,
        format=kind,
        width=width,
        height=height,
        reader=metadata.METADATA_READER_VERSION,
        colors_since=color.find_version(picture),
    )
    return color.convert_to_rgb(picture), info


def _read_raw_info(data: bytes) -> PictureInfo | None:
    """Return the metadata of a RAW file; None if it has none.

    Pillow reads all metadata from RAW formats that are based on TIFF. From other RAW formats, only
    EXIF is read.
    """
    with suppress(Exception), _load_pillow().open(io.BytesIO(data), formats=("TIFF",)) as image:
        return metadata.extract_picture_info(image)
    exif_block = raw.extract_exif(data)
    if exif_block is None:
        return None
    carrier = _load_pillow().new("RGB", (1, 1))  # Pillow parses EXIF only from a picture.
    carrier.info["exif"] = exif_block
    return metadata.extract_picture_info(carrier)
