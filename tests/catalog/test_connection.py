"""Connections to a catalog: read-only copies, and interrupted statements."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from searchapp.catalog.connection import connect, interrupt_statements

ENDLESS_SQL = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"


def test_copy_without_the_index_of_its_wal_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a read-only folder, the rows of a WAL without -shm are read, and no file is created."""
    (tmp_path / "copy").mkdir()
    with closing(connect(tmp_path / "catalog.db")) as source:
        source.execute("pragma journal_mode = wal")
        source.execute("create table numbers (number)")
        source.executemany("insert into numbers values (?)", ((number,) for number in range(1000)))
        for name in ("catalog.db", "catalog.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / "copy")
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with closing(connect(tmp_path / "copy/catalog.db")) as copy:
        assert copy.execute("select count(*) from numbers").fetchone() == (1000,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            copy.execute("delete from numbers")
    names = sorted(file.name for file in (tmp_path / "copy").iterdir())
    assert names == ["catalog.db", "catalog.db-wal"]


def test_statements_of_one_catalog_are_interrupted(tmp_path: Path) -> None:
    """Statements of all connections to a catalog end; other catalogs are not affected."""
    (tmp_path / "link").symlink_to(tmp_path)
    errors: list[str] = []

    def run_endless_statement(started: Callable[[], object]) -> None:
        with closing(connect(tmp_path / "link/catalog.db")) as connection:
            connection.set_progress_handler(started, 1000)
            try:
                connection.execute(ENDLESS_SQL).fetchone()
            except sqlite3.OperationalError as error:
                errors.append(str(error))

    events = [threading.Event() for _ in range(2)]
    threads = [
        threading.Thread(target=run_endless_statement, args=(event.set,), daemon=True)
        for event in events
    ]
    for thread, event in zip(threads, events, strict=True):
        thread.start()
        assert event.wait(30)
    with closing(connect(tmp_path / "other.db")) as other:
        interrupt_statements(tmp_path / "other.db")
        assert other.execute("select 1").fetchone() == (1,)
        interrupt_statements(tmp_path / "catalog.db")
    for thread in threads:
        thread.join(30)
    assert errors == ["interrupted"] * 2
