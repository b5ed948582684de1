"""Describe pictures again that were indexed before: their headers are read, nothing is embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from searchapp.catalog import Catalog, Outdated
from searchapp.errors import PictureError
from searchapp.files.scan import is_video
from searchapp.pictures import decode, metadata, video
from searchapp.types import Describing, PictureInfo

THREADS = 4  # that read; one describes at a time, as Python has it


def refresh(catalog: Catalog, roots: Iterable[str]) -> Iterator[Describing]:
    """Describe what a scan found to be outdated, page by page, each saved as a whole.

    roots: below which sidecars that the scan did not see are gone.
    """
    outdated = catalog.described()
    older, beside = outdated.plan(metadata.READER, roots)
    total, done, by_sidecars = older + beside, 0, not older
    if not total:
        return
    yield Describing(0, total, by_sidecars)
    with ThreadPoolExecutor(THREADS, "describing") as threads:
        for page in outdated.pages():
            infos = zip(page, threads.map(_described, page), strict=True)
            outdated.save({it.image_id: info for it, info in infos if info is not None})
            done = min(done + len(page), total)
            yield Describing(done, total, by_sidecars)


def _described(outdated: Outdated) -> PictureInfo | None:
    """Return what the first file that is still there says, and a sidecar; None without a file."""
    for file in outdated.files:
        try:
            glance = video.glance if is_video(file.path) else decode.glance
            info = glance(file.path, file.size, file.mtime_ns)
        except PictureError:
            continue
        info = info or outdated.info
        packet = metadata.of(file.path for file in outdated.files)
        if packet is not None:
            info = metadata.with_sidecar(info, packet)
        info = metadata.dated(info, min(file.mtime_ns for file in outdated.files))
        return replace(info, reader=metadata.READER)
    return None
