"""Log records of engine processes, relayed to the process of the command."""

from __future__ import annotations

import json
import logging

import pytest

from searchapp.indexing.embedding.log_relay import LogBuffer, relay_entries


def test_relayed_record_keeps_time_and_process(caplog: pytest.LogCaptureFixture) -> None:
    """The record has the time and the process id of the worker, not of the command."""
    buffer = LogBuffer()
    buffer.emit(logging.makeLogRecord({"name": "searchapp.x", "levelno": 20, "msg": "text"}))
    ((*rest, created, process_id),) = json.loads(json.dumps(buffer.take_entries()))
    with caplog.at_level("INFO", "searchapp"):
        relay_entries([(*rest, created, process_id + 1)], "worker 1")
    (record,) = caplog.records
    assert (record.created, record.process) == (created, process_id + 1)
    assert record.getMessage() == "worker 1: text"
