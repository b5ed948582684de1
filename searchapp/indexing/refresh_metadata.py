"""Read the metadata of indexed pictures again, from headers and sidecars; embed nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from searchapp.catalog import Catalog, OutdatedImage
from searchapp.errors import PictureError
from searchapp.files.scan import is_video
from searchapp.pictures import decode, metadata, video
from searchapp.types import MetadataRefreshing, PictureInfo

logger = logging.getLogger(__name__)

# Threads wait for the disk at the same time; Python parses one picture's metadata at a time.
READER_THREADS = 4


def refresh_metadata(catalog: Catalog, roots: Iterable[str]) -> Iterator[MetadataRefreshing]:
    """Read outdated picture metadata again; save each page of images in one transaction.

    Metadata is outdated if an older version of searchapp read it, or if a sidecar changed. roots:
    folders whose sidecars are deleted from the catalog if the scan did not find them.
    """
    outdated = catalog.get_metadata_refresh()
    older_count, sidecar_count = outdated.find_outdated(metadata.METADATA_READER_VERSION, roots)
    total, done, by_sidecars = older_count + sidecar_count, 0, not older_count
    if not total:
        return
    logger.info(
        "Reading metadata again: %d pictures read by an older version, %d with changed sidecars",
        older_count, sidecar_count,
    )  # fmt: skip
    yield MetadataRefreshing(0, total, by_sidecars)
    with ThreadPoolExecutor(READER_THREADS, "metadata") as threads:
        for page in outdated.read_pages():
            infos = zip(page, threads.map(_read_picture_info, page), strict=True)
            outdated.save_metadata(
                {image.image_id: info for image, info in infos if info is not None}
            )
            done = min(done + len(page), total)
            yield MetadataRefreshing(done, total, by_sidecars)


def _read_picture_info(outdated: OutdatedImage) -> PictureInfo | None:
    """Read an image's metadata from a file and a sidecar; None if no file is readable."""
    for file in outdated.files:
        try:
            read_info = video.read_video_info if is_video(file.path) else decode.read_picture_info
            info = read_info(file.path, file.size, file.mtime_ns)
        except PictureError as error:
            logger.debug("Cannot read the metadata of the file %s: %s", file.path, error)
            continue
        info = info or outdated.info
        packet = metadata.read_first_sidecar(file.path for file in outdated.files)
        if packet is not None:
            info = metadata.apply_sidecar(info, packet)
        info = metadata.fill_date_from_mtime(info, min(file.mtime_ns for file in outdated.files))
        return replace(info, reader=metadata.METADATA_READER_VERSION)
    return None
