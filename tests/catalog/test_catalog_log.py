"""The catalog logs the migrations that it applies."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from searchapp.catalog import Catalog

MIGRATION_PREFIX = "Applied migrations to the catalog"


def test_migrations_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new catalog applies all migrations; opening it again applies none."""
    file = tmp_path / "catalog.db"
    with caplog.at_level(logging.INFO, logger="searchapp"):
        Catalog.open(file, create=True).close()
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith(f"{MIGRATION_PREFIX} {file}: m001_catalog, ")
        Catalog.open(file).close()
    assert len(caplog.messages) == 1
