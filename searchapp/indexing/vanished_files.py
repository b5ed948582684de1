"""Find files that vanished since the last index run, and keep those of an unmounted drive."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from searchapp.catalog import ScanDiff
from searchapp.files import scan, storage
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.types import IndexOptions, VanishedFilesKept

logger = logging.getLogger(__name__)

# If more of a root's files vanish than both limits allow, they are kept: the root's drive, or a
# drive mounted below it, may be unmounted.
MAX_LOST_SHARE, MAX_LOST_FILES = 0.2, 10


def list_scopes(root: str, options: IndexOptions) -> list[str]:
    """Return what an index run scans in a root folder: the root, or paths of `options.only`."""
    if options.only is None:
        return [root]
    return [path for path in options.only if Path(path).is_relative_to(root)]


def find_vanished_files(
    seen: ScanDiff,
    roots: Iterable[str],
    options: IndexOptions,
    path_count_by_known_image: Counter[int],
) -> tuple[dict[str, int], list[VanishedFilesKept]]:
    """Return the files to forget (image ids by path), and an event for each root that keeps files.

    A root keeps its vanished files if they are too many. A file whose image has a new path has
    moved, and is not lost.
    """
    forgotten, kept = dict[str, int](), list[VanishedFilesKept]()
    for root in roots:
        vanished = {
            path: image_id
            for scope in list_scopes(root, options)
            for path, image_id in seen.find_vanished_files(scope)
        }
        moved = Counter(vanished.values()) & path_count_by_known_image
        lost_count, known_count = len(vanished) - moved.total(), 0
        if lost_count > MAX_LOST_FILES:
            known_count = seen.count_known_below(root)
        loss_limit = max(MAX_LOST_FILES, MAX_LOST_SHARE * known_count)
        if not options.prune and lost_count > loss_limit:
            # Files that an ignore rule excludes now still exist, and prove nothing about a drive.
            lost_count -= _count_excluded(root, vanished, options)
        if not options.prune and lost_count > loss_limit:
            logger.info(
                "Kept %d vanished files (of %d) below %s: more than %d may mean an unmounted drive",
                lost_count, known_count, root, loss_limit,
            )  # fmt: skip
            kept.append(VanishedFilesKept(root, lost_count, known_count))
            vanished = {path: id for path, id in vanished.items() if id in moved}
        for path in vanished:
            logger.debug("The file %s vanished or moved", path)
        forgotten |= vanished
    return forgotten, kept


def _count_excluded(root: str, paths: Iterable[str], options: IndexOptions) -> int:
    """Return how many of the paths the scan missed only because an ignore rule excludes them."""
    if not storage.is_url(root):
        return sum(map(storage.is_there, paths))
    rules = IgnoreRules.from_options(root, options.include, options.exclude)
    return sum(not scan.is_wanted(path, root, rules) for path in paths)
