"""Name the places of indexed pictures from their positions, offline."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from searchapp.catalog import Catalog
from searchapp.pictures.place_names import find_gazetteer, load_place_finder
from searchapp.types import WorkStep

logger = logging.getLogger(__name__)


def name_places(catalog: Catalog) -> Iterator[WorkStep]:
    """Name the places that are new, have moved, or were named by another gazetteer; yield progress.

    Without the extra `places`, this does nothing. An interrupted run continues in the next one.
    """
    gazetteer = find_gazetteer()
    if gazetteer is None:
        return
    table, done = catalog.get_places(), 0
    total = table.count_outdated(gazetteer)
    if not total:
        return
    logger.info("Naming the places of %d images with %s.", total, gazetteer)
    yield WorkStep("naming places", done, total)
    finder = load_place_finder()
    for page in table.read_pages(gazetteer):
        places = finder.find_places(list(page.values()))
        table.save_places(gazetteer, dict(zip(page, places, strict=True)))
        done += len(page)
        yield WorkStep("naming places", min(done, total), total)
