"""Scan the folders of an index run, and find the files that need embedding."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from itertools import islice

from searchapp.catalog import Catalog, ScanDiff, ScanPlan
from searchapp.errors import FolderError
from searchapp.files import change_time, scan, storage
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.indexing.vanished_files import list_scopes
from searchapp.pictures import decode, optional_decoders
from searchapp.types import Collection, Failure, IndexOptions, format_count

logger = logging.getLogger(__name__)

SCAN_BATCH_FILES = 5000


def scan_folders(
    catalog: Catalog, roots: list[str], options: IndexOptions, collection: Collection | None
) -> tuple[ScanDiff, ScanPlan, list[Failure]]:
    """Scan folders; return the difference from the catalog, the work plan, and unreadable paths.

    Raises FolderError if a folder is missing, or if all its known pictures vanished and
    `options.prune` is not set.
    """
    started_at = time.monotonic()
    change_time.forget_devices()
    seen = catalog.begin_scan()
    unreadable: list[Failure] = []
    for root in filter(storage.has_folder, roots):
        rules = IgnoreRules.from_options(root, options.include, options.exclude)
        found_paths = _scan_root(root, options, rules)
        while batch := list(islice(found_paths, SCAN_BATCH_FILES)):
            seen.add_files(found for found in batch if isinstance(found, scan.ScannedFile))
            unreadable += [
                Failure(found.path, "scan", found.reason)
                for found in batch
                if isinstance(found, scan.UnreadablePath)
            ]
    seen.protect_paths(failure.path for failure in unreadable)
    for failure in unreadable:
        logger.info("Skipped the path %s: %s", failure.path, failure.message)
    seen.remove_files(_iter_non_pictures(seen.list_undecided_files(collection)))
    if options.pairs:
        seen.companions.find_companions(collection)
    for root in roots:
        _check_root_has_files(seen, root, options)
    plan = seen.plan_work(
        collection,
        retry_failed=options.retry_failed,
        limit=options.limit,
        retry_stages=[*optional_decoders.list_retryable_stages(), storage.FETCH_STAGE],
        include_videos=options.video and optional_decoders.is_installed("video"),
    )
    logger.info(
        "Scanned %d files in %.1f s: %d to embed, %d unchanged, %d failed in an earlier run",
        plan.seen_files, time.monotonic() - started_at, plan.pending_files,
        plan.unchanged_files, plan.failed_before,
    )  # fmt: skip
    return seen, plan, unreadable


def _scan_root(
    root: str, options: IndexOptions, rules: IgnoreRules
) -> Iterator[scan.ScannedFile | scan.UnreadablePath]:
    if options.only is None:
        return scan.walk_folder(root, rules)
    return scan.scan_paths(root, list_scopes(root, options), rules)


def _check_root_has_files(seen: ScanDiff, root: str, options: IndexOptions) -> None:
    """Raise FolderError if a root is missing, or if all its known pictures vanished."""
    known_count = seen.count_known_below(root)
    if not known_count and not storage.has_folder(root):
        raise FolderError(
            f"{root}: no such folder, and the library knows no file below it. Check the path."
        )
    has_pictures = seen.count_seen_below(root) if options.only is None else _has_entries(root)
    if known_count and not has_pictures and not options.prune:
        advice = "" if storage.is_url(root) else "Check that its drive is mounted. "
        raise FolderError(
            f"{root}: no picture found, but the library knows "
            f"{format_count(known_count, 'picture')} in it. {advice}Nothing was changed. "
            "To forget them, use --prune."
        )


def _has_entries(root: str) -> bool:
    try:
        with os.scandir(root) as entries:
            return any(True for _ in entries)
    except OSError:
        return False


def _iter_non_pictures(paths: list[str]) -> Iterator[str]:
    """Yield the paths of files whose content is not a picture."""
    for path, head in storage.read_heads(paths, decode.SIGNATURE_BYTES):
        if not decode.looks_like_picture(head):
            logger.debug("Skipped the file %s: its content is not a picture", path)
            yield path
