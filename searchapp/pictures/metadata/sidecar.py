"""Find and read the XMP sidecar of a picture: IMG_1.jpg.xmp, or else IMG_1.xmp."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from searchapp.files import storage
from searchapp.pictures.metadata import xmp

logger = logging.getLogger(__name__)


def list_sidecar_paths(path: str) -> list[str]:
    """Return the paths where a picture's sidecar may be, in order of precedence."""
    bases = (path, os.path.splitext(path)[0])  # noqa: PTH122 (speed)
    return [base + suffix for base in bases for suffix in (".xmp", ".XMP")]


def read_sidecar(path: str) -> bytes | None:
    """Return the XMP packet in a picture's sidecar; None if the picture has no sidecar."""
    for sidecar_path in list_sidecar_paths(path):
        packet = storage.read_head(sidecar_path, xmp.MAX_PACKET_BYTES + 1)
        if packet is not None:
            logger.debug("Read the sidecar %s.", sidecar_path)
            return packet
    return None


def read_first_sidecar(paths: Iterable[str]) -> bytes | None:
    """Return the XMP packet of the first picture in paths that has a sidecar, else None.

    paths: the paths of all files that hold the same picture.
    """
    return next(filter(None, map(read_sidecar, paths)), None)
