"""Service: the end of a service that still works."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from support.library import FakeEngines

from searchapp.library import Library
from searchapp.server import service as module
from searchapp.server.service import Service

ENDLESS_SQL = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"


def test_closing_interrupts_sql(library: Path, fake_engines: FakeEngines) -> None:
    """SQL that never ends is interrupted, and the threads of the service end."""
    service, started, errors = Service(library, fake_engines), threading.Event(), list[str]()

    def work(opened: Library) -> None:
        connection = opened._catalog._db.conn
        connection.set_progress_handler(started.set, 1000)
        try:
            connection.execute(ENDLESS_SQL).fetchone()
        except sqlite3.OperationalError as error:
            errors.append(str(error))

    running = threading.Thread(
        target=lambda: asyncio.run(service._calls.call_library(work)), daemon=True
    )
    running.start()
    assert started.wait(30)
    assert service.close()
    running.join(30)
    assert errors == ["interrupted"]


def test_closing_does_not_wait_for_ever(
    library: Path, fake_engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a thread does not end, close returns False."""
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.1)
    service, ended = Service(library, fake_engines), threading.Event()
    waiting = threading.Thread(
        target=lambda: asyncio.run(service._calls.run_blocking(ended.wait)), daemon=True
    )
    waiting.start()
    while not service._calls._picture_threads._threads:
        waiting.join(0.01)
    assert not service.close()
    ended.set()
    waiting.join(30)
