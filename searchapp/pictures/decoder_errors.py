"""Describe the errors of decoders in words that users understand."""

from __future__ import annotations

import struct

from searchapp.pictures import truncation


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
