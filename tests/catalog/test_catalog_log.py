"""The catalog logs its decisions: applied migrations, and saved calibrations."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from searchapp.catalog import Catalog, calibrations

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


def test_saved_and_unsaved_calibrations_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another connection writes, a calibration is not saved, and the log says why."""
    monkeypatch.setattr(calibrations, "SAVE_BUSY_TIMEOUT_S", 0)
    ours, other = (Catalog.open(tmp_path / "catalog.db", create=True) for _ in range(2))
    collection = ours.add_collection("photos", "model", "r", 4, "{}")
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="searchapp"):
        with other.write_transaction():
            assert not ours.get_calibrations(collection).save_vectors("hash", b"vectors")
        assert ours.get_calibrations(collection).save_vectors("hash", b"vectors")
    assert caplog.messages == [
        "Did not save the calibration of the collection photos (database is locked);"
        " the next process calibrates again.",
        "Saved the calibration of the collection photos.",
    ]
    assert ours.get_calibrations(collection).read_vectors("hash") == b"vectors"
    ours.close()
    other.close()
