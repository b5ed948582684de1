"""The vectors of the calibration sentences are saved, unless another process writes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from searchapp.catalog import Catalog, calibrations


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
