"""Scan the folders of an index run, and find the files that need embedding."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from searchapp.catalog import Catalog, ScanDiff, ScanPlan
from searchapp.errors import FolderError, PictureError
from searchapp.files import change_time, companions, scan, storage
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.files.path_forms import is_exactly_below
from searchapp.files.roots import is_single_file
from searchapp.files.seen_folders import LinkedFolder, SeenFolders
from searchapp.files.sidecars import is_sidecar
from searchapp.indexing.linked_folders import list_left_out, list_reachable_roots
from searchapp.indexing.vanished_files import list_scopes
from searchapp.pictures import decode, optional_decoders
from searchapp.types import Collection, Failure, IndexOptions, format_count

logger = logging.getLogger(__name__)

SCAN_BATCH_FILES = 5000


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The difference of a scan from the catalog, the work plan, and what the scan left out."""

    seen: ScanDiff
    plan: ScanPlan
    unreadable: list[Failure]
    linked: list[LinkedFolder]  # that no other root contains


def scan_folders(
    catalog: Catalog, roots: list[str], options: IndexOptions, collection: Collection | None
) -> ScanResult:
    """Scan folders and single files.

    Raises FolderError if a folder is missing, or if all its known pictures vanished and
    `options.prune` is not set.
    """
    started_at = time.monotonic()
    change_time.forget_devices()
    seen = catalog.begin_scan()
    known_roots = [*roots, *list_reachable_roots(catalog, roots)]
    seen_folders = SeenFolders(known_roots)
    unreadable: list[Failure] = []
    for root in roots:
        found_paths = _scan_root(root, options, seen_folders)
        while batch := list(islice(found_paths, SCAN_BATCH_FILES)):
            seen.add_files(found for found in batch if isinstance(found, scan.ScannedFile))
            unreadable += [
                Failure(found.path, "scan", found.reason)
                for found in batch
                if isinstance(found, scan.UnreadablePath)
            ]
    # A second name of a folder proves nothing about the files that are known under this name.
    second_names = [folder.path for folder in seen_folders.linked if not folder.is_link]
    inner_roots = {root: seen.known_roots.find_inner_roots(root) for root in roots}
    seen.protect_paths(
        [failure.path for failure in unreadable] + second_names, _KeptFiles(inner_roots, options)
    )
    for failure in unreadable:
        logger.info("Skipped the path %s: %s", failure.path, failure.message)
    left_out = list_left_out(seen, seen_folders.linked, known_roots)
    non_pictures = list(_iter_non_pictures(seen.list_undecided_files(collection)))
    seen.remove_files(non_pictures)
    unreadable += [
        Failure(path, "scan", "the content of the file is not a picture or video")
        for path in non_pictures
        if path in roots
    ]
    if options.pairs:
        seen.companions.find_companions(collection)
    for root in roots:
        _check_root_has_files(seen, root, options, inner_roots[root])
    plan = make_plan(seen, options, collection)
    logger.info(
        "Scanned %d files in %.1f s: %d to embed, %d unchanged, %d failed in an earlier run",
        plan.seen_files, time.monotonic() - started_at, plan.pending_files,
        plan.unchanged_files, plan.failed_before,
    )  # fmt: skip
    return ScanResult(seen, plan, unreadable, left_out)


def make_plan(seen: ScanDiff, options: IndexOptions, collection: Collection | None) -> ScanPlan:
    """Find the work of an index run among the files that a scan has seen."""
    return seen.plan_work(
        collection,
        retry_failed=options.retry_failed,
        limit=options.limit,
        retry_stages=[*optional_decoders.list_retryable_stages(), storage.FETCH_STAGE],
        include_videos=options.video and optional_decoders.is_installed("video"),
        update_colors=options.update_colors,
    )


def _scan_root(
    root: str, options: IndexOptions, seen_folders: SeenFolders
) -> Iterator[scan.ScannedFile | scan.UnreadablePath]:
    if is_single_file(root):
        yield from _scan_single_file(root, options)
    elif storage.has_folder(root):
        rules = IgnoreRules.from_options(root, options.include, options.exclude)
        if options.only is None:
            yield from scan.walk_folder(root, rules, seen_folders)
        else:
            yield from scan.scan_paths(root, list_scopes(root, options), rules)


def _scan_single_file(
    path: str, options: IndexOptions
) -> Iterator[scan.ScannedFile | scan.UnreadablePath]:
    """Yield a file that the user names, with its sidecars and companions; no rule excludes it."""
    if storage.is_url(path):
        try:
            yield scan.ScannedFile.from_state(path, storage.read_state(path))
        except PictureError as error:
            yield scan.UnreadablePath(path, str(error))
        return
    has_companions = options.pairs and companions.can_have_companions(path)
    for related in companions.find_related_paths([path]):
        try:
            state = storage.FileState.from_stat(os.stat(related))  # noqa: PTH116 (speed)
        except OSError as error:
            if related == path:
                yield scan.UnreadablePath(path, error.strerror or str(error))
            continue
        is_companion = companions.classify_companion(related, state.size) is not None
        if related == path or is_sidecar(related) or (has_companions and is_companion):
            yield scan.ScannedFile.from_state(related, state)


class _KeptFiles:
    """Tells whether a file that the scan did not see is one of an inner root, and exists."""

    def __init__(self, inner_roots: Mapping[str, list[str]], options: IndexOptions) -> None:
        self._prefixes = {
            root: tuple(inner.rstrip("/") + "/" for inner in inner_roots[root])
            for root in inner_roots
            if inner_roots[root]
        }
        self._rules = {
            root: IgnoreRules.from_options(root, options.include, options.exclude)
            for root in self._prefixes
        }

    def __call__(self, path: str) -> bool:
        for root, prefixes in self._prefixes.items():
            if f"{path}/".startswith(prefixes):
                if storage.is_url(path):
                    return not scan.is_wanted(path, root, self._rules[root])
                return storage.can_exist(path)
        return False


def _check_root_has_files(
    seen: ScanDiff, root: str, options: IndexOptions, inner_roots: list[str]
) -> None:
    """Raise FolderError if a root is missing, or if all its known pictures vanished."""
    known_count = seen.count_known_below(root)
    known_count -= sum(
        seen.count_known_below(inner)
        for inner in inner_roots
        if not any(is_exactly_below(inner, other) for other in inner_roots)
    )
    if not known_count and not (storage.has_folder(root) or is_single_file(root)):
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
