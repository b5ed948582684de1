"""Describe pictures again that were indexed before: their headers are read, nothing is embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from searchapp.catalog import Catalog, OutdatedImage
from searchapp.errors import PictureError
from searchapp.files.scan import is_video
from searchapp.pictures import decode, metadata, video
from searchapp.types import MetadataRefreshing, PictureInfo

DESCRIBE_THREADS = 4  # that read; one describes at a time, as Python has it


def refresh_metadata(catalog: Catalog, roots: Iterable[str]) -> Iterator[MetadataRefreshing]:
    """Describe what a scan found to be outdated, page by page, each saved as a whole.

    roots: below which sidecars that the scan did not see are gone.
    """
    outdated = catalog.get_metadata_refresh()
    older_count, sidecar_count = outdated.find_outdated(metadata.METADATA_READER_VERSION, roots)
    total, done, by_sidecars = older_count + sidecar_count, 0, not older_count
    if not total:
        return
    yield MetadataRefreshing(0, total, by_sidecars)
    with ThreadPoolExecutor(DESCRIBE_THREADS, "describing") as threads:
        for page in outdated.read_pages():
            infos = zip(page, threads.map(_read_picture_info, page), strict=True)
            outdated.save_metadata({it.image_id: info for it, info in infos if info is not None})
            done = min(done + len(page), total)
            yield MetadataRefreshing(done, total, by_sidecars)


def _read_picture_info(outdated: OutdatedImage) -> PictureInfo | None:
    """Return what the first file that is still there says, and a sidecar; None without a file."""
    for file in outdated.files:
        try:
            glance = video.read_video_info if is_video(file.path) else decode.read_picture_info
            info = glance(file.path, file.size, file.mtime_ns)
        except PictureError:
            continue
        info = info or outdated.info
        packet = metadata.read_first_sidecar(file.path for file in outdated.files)
        if packet is not None:
            info = metadata.apply_sidecar(info, packet)
        info = metadata.fill_date_from_mtime(info, min(file.mtime_ns for file in outdated.files))
        return replace(info, reader=metadata.METADATA_READER_VERSION)
    return None
