"""Call decoders: repair files with a damaged end, and describe errors so that users understand."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from searchapp.errors import PictureError
from searchapp.pictures import truncation

Decoded = TypeVar("Decoded")


def call_decoder(decode: Callable[[bytes], Decoded], data: bytes, max_megapixels: float) -> Decoded:
    """Return what a decoder makes of a file; a complete picture can have a damaged end.

    decode: takes the bytes of a picture. Raises PictureError for all its errors.
    """
    with describe_decoder_errors(data):
        try:
            return decode(data)
        except (OSError, SyntaxError, ValueError):
            copy = truncation.make_decodable(data, max_megapixels)
            if copy is None:
                raise
            return decode(copy)


@contextmanager
def describe_decoder_errors(data: bytes) -> Iterator[None]:
    """Raise PictureError, with the reason, for every error of a decoder in the with block."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("too large for this machine's memory") from error
    except Exception as error:  # Decoders raise many kinds of errors for broken files.
        raise PictureError(describe_decoder_error(error, data)) from error


def describe_decoder_error(error: Exception, data: bytes) -> str:
    """Return why a decoder failed, and what is missing if the file is truncated."""
    from PIL import UnidentifiedImageError
    from PIL.ImageFile import ERRORS

    missing_part = truncation.describe_missing_part(data)
    if missing_part is not None:
        return f"cannot be decoded: image file is truncated: {missing_part}"
    if isinstance(error, (UnidentifiedImageError, struct.error)):  # from the header of a TIFF
        return "cannot be decoded: broken or cut off in its first part"
    message = error.args[0] if error.args else ""
    text = (message.decode(errors="replace") if isinstance(message, bytes) else str(error)).strip()
    reason = text.splitlines()[0] if text else type(error).__name__
    if reason.startswith(("Generic Error", "Input/output error")):  # from libjxl and LibRaw
        reason = "broken or cut off"
    if reason.startswith("decoder error"):  # TIFF errors have a number instead of a text.
        reason = ERRORS.get(int(reason.split()[-1]), reason)
    # The number in Pillow's "(22 bytes not processed)" is not the number of missing bytes.
    return f"cannot be decoded: {reason.partition(' (')[0]}"
