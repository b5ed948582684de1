"""Read the sidecars of a picture, and apply them to its metadata by precedence."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from searchapp.files import storage
from searchapp.files.sidecars import JSON_SUFFIX
from searchapp.pictures.metadata import merge_sources, takeout, xmp
from searchapp.types import PictureInfo

logger = logging.getLogger(__name__)


def apply_sidecars(info: PictureInfo, paths: Iterable[str]) -> PictureInfo:
    """Return a picture's info with the values of its sidecars; info without sidecars.

    paths: of the sidecars, highest precedence first. The first XMP file and the first JSON file of
    Google Takeout that can be read are used.
    """
    xmp_paths, json_paths = list[str](), list[str]()
    for path in paths:
        (json_paths if path.lower().endswith(JSON_SUFFIX) else xmp_paths).append(path)
    packet = _read_first_file(xmp_paths, xmp.MAX_PACKET_BYTES + 1)
    if packet is not None:
        info = merge_sources.apply_sidecar(info, packet)
    data = _read_first_file(json_paths, takeout.MAX_JSON_BYTES + 1)
    if data is not None:
        info = merge_sources.fill_from_takeout(info, data)
    return info


def _read_first_file(paths: Iterable[str], max_bytes: int) -> bytes | None:
    for path in paths:
        data = storage.read_head(path, max_bytes)
        if data is not None:
            logger.debug("Read the sidecar %s.", path)
            return data
    return None
