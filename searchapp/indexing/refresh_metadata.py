"""Read the metadata of indexed pictures again, from headers and sidecars; embed nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from searchapp.catalog import Catalog, OutdatedImage, RefreshedMetadata
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.scan import is_video
from searchapp.pictures import decode, metadata, video
from searchapp.types import MetadataRefreshing, PictureInfo

logger = logging.getLogger(__name__)

# Threads wait for the disk at the same time; Python parses one picture's metadata at a time.
READER_THREADS = 4


def refresh_metadata(
    catalog: Catalog, roots: Iterable[str], run_id: int | None = None
) -> Iterator[MetadataRefreshing]:
    """Read outdated picture metadata again; save each page of images in one transaction.

    Metadata is outdated if an older version of searchapp read it, or if a sidecar changed. roots:
    folders whose sidecars are deleted from the catalog if the scan did not find them. run_id: the
    index run that has saved new files; known sidecars can belong to them.
    """
    outdated = catalog.get_metadata_refresh()
    older_count, sidecar_count = outdated.find_outdated(
        metadata.METADATA_READER_VERSION, roots, run_id
    )
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
            results = zip(page, threads.map(_read_metadata, page), strict=True)
            outdated.save_metadata(
                {image.image_id: result for image, result in results if result is not None}
            )
            done = min(done + len(page), total)
            yield MetadataRefreshing(done, total, by_sidecars)


def _read_metadata(outdated: OutdatedImage) -> RefreshedMetadata | None:
    """Read an image's metadata from a file and its sidecars; None if no file is readable.

    The image has the metadata of its first file. If other files have other metadata, because
    their sidecars differ, each file keeps its own. A file that is missing now, for example on an
    unmounted drive, keeps the metadata that is stored.
    """
    embedded_info = _read_embedded_info(outdated)
    if embedded_info is None:
        return None
    mtime_ns = min(file.mtime_ns for file in outdated.files)
    infos, missing_infos = dict[str, PictureInfo](), dict[str, PictureInfo]()
    for path in (file.path for file in outdated.files):
        if storage.can_exist(path):
            info = metadata.apply_sidecars(embedded_info, outdated.sidecars[path])
            info = metadata.fill_date_from_mtime(info, mtime_ns)
            # Only the fields that the catalog stores are compared.
            stored = PictureInfo.from_dict(info.to_dict())
            infos[path] = replace(stored, reader=metadata.METADATA_READER_VERSION)
        else:
            missing_infos[path] = outdated.file_infos.get(path, outdated.info)
    if not infos:
        return None
    first = next(iter(infos.values()))
    infos |= missing_infos
    are_equal = all(
        replace(info, reader=first.reader, colors_since=first.colors_since) == first
        for info in infos.values()
    )
    return RefreshedMetadata(first, {} if are_equal else infos)


def _read_embedded_info(outdated: OutdatedImage) -> PictureInfo | None:
    """Return the metadata in the first readable file of an image; None if no file is readable."""
    for file in outdated.files:
        try:
            read_info = video.read_video_info if is_video(file.path) else decode.read_picture_info
            info = read_info(file.path, file.size, file.mtime_ns)
        except PictureError as error:
            logger.debug("Cannot read the metadata of the file %s: %s", file.path, error)
            continue
        info = info or outdated.info
        # No header says that the colors of a video or a broken picture have changed.
        return replace(info, colors_since=info.colors_since or 0)
    return None
