"""Scripts of SQL statements in a transaction of the catalog."""

import sqlite3

import pytest
from sqlite_utils.db import Database

from searchapp.catalog.transactions import CatalogDatabase

SCRIPT = """
    create table a (value text);  -- not yet; see below
    create trigger added after insert on a when new.value = ';' begin
        insert into a values ('; end');
        insert into a values ('last');
    end;
    /* a comment; with a semicolon */
    insert into a values (';')
"""


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_script_is_split_into_its_statements(in_transaction: bool) -> None:
    """Semicolons in triggers, texts and comments end no statement."""
    db = CatalogDatabase(sqlite3.connect(":memory:", isolation_level=None))
    if in_transaction:
        db.execute("begin")
    db.executescript(SCRIPT)
    assert db.conn.in_transaction == in_transaction
    assert [value for (value,) in db.execute("select value from a")] == [";", "; end", "last"]


def test_a_script_commits_nothing_in_a_transaction() -> None:
    db = CatalogDatabase(sqlite3.connect(":memory:", isolation_level=None))
    db.execute("begin")
    db.executescript(SCRIPT)
    db.execute("rollback")
    assert db.table_names() == []


def test_the_statements_are_those_of_sqlite_utils(monkeypatch: pytest.MonkeyPatch) -> None:
    statements: dict[type[Database], list[str]] = {}
    for kind in (Database, CatalogDatabase):
        db = kind(sqlite3.connect(":memory:", isolation_level=None))
        db.execute("begin")
        texts = statements[kind] = []
        db.conn.set_trace_callback(texts.append)
        db.executescript(SCRIPT)
        db.conn.set_trace_callback(None)
    assert [text.strip() for text in statements[CatalogDatabase]] == statements[Database]
