"""The timeline lists the matching images by date, newest first, and groups them by day."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from support.filters import make_varied_catalog

from searchapp.catalog import Catalog
from searchapp.types import Filter


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return make_varied_catalog(tmp_path_factory.mktemp("timeline") / "library", 240)[0]


@pytest.mark.parametrize("image_filter", [Filter(), Filter(after="2010", rating=("4+", "unrated"))])
def test_timeline_equals_sql(varied: Catalog, image_filter: Filter) -> None:
    (collection,) = varied.list_collections()
    timeline = varied.filters.list_timeline(collection.id, image_filter)
    matching = set(varied.filters.find_embedding_ids(collection.id, image_filter).tolist())
    rows = varied._db.execute(
        "select id, substr(coalesce(date, ''), 1, 10), width * 100 / height from images"
        " order by coalesce(date, '') desc, id desc"
    ).fetchall()
    rows = [row for row in rows if row[0] in matching]
    assert timeline.image_ids == tuple(row[0] for row in rows)
    assert timeline.ratios == tuple(row[2] for row in rows)
    assert timeline.days == tuple(
        (day, len(list(group))) for day, group in groupby(rows, lambda row: row[1])
    )
    assert bool(image_filter.after) or timeline.days[-1][0] == ""


def test_timeline_follows_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted file and a changed date change the timeline; extreme shapes are limited."""
    # Folders are read again at once, not after 20 times the duration of the last read.
    monkeypatch.setattr("searchapp.catalog.filters.facets.MAX_FOLDER_READ_SHARE", 1e9)
    catalog, _ = make_varied_catalog(tmp_path / "library", 10)
    (collection,) = catalog.list_collections()
    first = catalog.filters.list_timeline(collection.id, Filter())
    newest, *others = first.image_ids
    catalog._db.execute("delete from files where image_id = ?", (newest,))
    assert list(catalog.filters.list_timeline(collection.id, Filter()).image_ids) == others
    catalog._db.execute(
        "update images set date = '2031-05-06T01:02:03', width = 90000, height = 0 where id = ?",
        (others[-1],),
    )
    catalog._db.execute("update changes set images = images + 1")
    changed = catalog.filters.list_timeline(collection.id, Filter())
    assert (changed.image_ids[0], changed.days[0]) == (others[-1], ("2031-05-06", 1))
    assert changed.ratios[0] == 1000


def test_timeline_of_an_empty_collection(tmp_path: Path) -> None:
    catalog, _ = make_varied_catalog(tmp_path / "library", 1)
    (collection,) = catalog.list_collections()
    timeline = catalog.filters.list_timeline(collection.id, Filter(after="2999"))
    assert (timeline.days, timeline.image_ids, timeline.ratios) == ((), (), ())
