"""Make a library as an earlier version wrote it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from searchapp.catalog import Catalog, migrations
from searchapp.library import Library
from support.library import FakeEngines, index_folder


def make_old_library(
    folder: Path, monkeypatch: pytest.MonkeyPatch, photos: Path, model: Path
) -> None:
    """Make a library with the schema and the metadata of the version before migration m005."""
    old_migrations = Migrations("searchapp")
    for migration in migrations.MIGRATIONS.pending(Database(memory=True)):
        if migration.name < "m005":
            old_migrations(name=migration.name)(migration.fn)
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("searchapp.catalog.schema_upgrade.MIGRATIONS", old_migrations)
        patched.setattr(  # The old schema has no text index.
            "searchapp.catalog.schema_upgrade.build_missing_texts", lambda db, report: None
        )
        catalog = Catalog.open(folder / "catalog.db", create=True)
    with Library.open(folder.parent / "new", create=True, start=FakeEngines()) as library:
        index_folder(library, photos, model)
    catalog._db.execute("attach ? as new", (str(folder.parent / "new/catalog.db"),))
    columns = "id, sha256, format, width, height, taken_at, camera, latitude, longitude"
    catalog._db.execute(f"insert into images ({columns}) select {columns} from new.images")
    for table in ("collections", "runs", "files", "embeddings"):
        names = ", ".join(c.name for c in catalog._db[table].columns)
        catalog._db.execute(f"insert into {table} ({names}) select {names} from new.{table}")
    catalog.close()
    shutil.rmtree(folder.parent / "new")
