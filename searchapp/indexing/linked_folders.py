"""Index a folder under one name only, and name the linked folders that a scan leaves out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from searchapp.catalog import Catalog, ScanDiff
from searchapp.files import storage
from searchapp.files.path_forms import is_exactly_below
from searchapp.files.seen_folders import LinkedFolder
from searchapp.indexing.watch.changes import is_network_folder

logger = logging.getLogger(__name__)


def list_reachable_roots(catalog: Catalog, roots: Sequence[str]) -> list[str]:
    """Return the local folders that earlier runs indexed by name, the latest first.

    A network drive that does not answer must not stop a run over local folders. So known folders
    on network drives are left out, unless the run itself needs one.
    """
    local_roots = [root for root in roots if not storage.is_url(root)]
    needs_network = any(is_network_folder(Path(root)) for root in local_roots)
    return [
        root
        for root in catalog.get_known_roots().list_roots()
        if not storage.is_url(root) and (needs_network or not is_network_folder(Path(root)))
    ]


def list_left_out(
    seen: ScanDiff, linked: Iterable[LinkedFolder], roots: Iterable[str]
) -> list[LinkedFolder]:
    """Return the linked folders of a scan without files that are indexed under another name.

    roots: folders that this run or earlier runs indexed by name.
    """
    names_by_real_path = {
        os.path.realpath(root): root for root in roots if not storage.is_url(root)
    }
    left_out = []
    for folder in linked:
        names = [
            f"{name}{folder.target[len(real) :]}" if real != os.sep else folder.target
            for real, name in names_by_real_path.items()
            if folder.target == real or is_exactly_below(folder.target, real)
        ]
        if not folder.is_link:
            logger.info("Skipped %s: it is the folder %s", folder.path, folder.target)
        elif not any(seen.count_known_below(n) or seen.count_seen_below(n) for n in names):
            logger.info("Skipped %s: it is a link to the folder %s", folder.path, folder.target)
            left_out.append(folder)
    return left_out
