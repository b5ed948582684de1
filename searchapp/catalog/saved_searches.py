"""Read and write the saved searches of a library."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.path_keys import decode_path, encode_path
from searchapp.catalog.transactions import write_transaction
from searchapp.catalog.writer import format_utc_now
from searchapp.errors import LibraryError, NameTakenError, QueryError
from searchapp.types import SavedSearch, SavedTerm
from searchapp.types.saved_search import options_from_dict, options_to_dict

COLUMNS = "id, name, terms, options, link_folder, created_at"


class SavedSearchTable:
    """Read and write the table saved_searches. Names are as the caller gives them."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def list_searches(self) -> list[SavedSearch]:
        """Return all saved searches, sorted by name."""
        rows = self._db.execute(f"select {COLUMNS} from saved_searches order by name").fetchall()
        return [_parse_row(*row) for row in rows]

    def find(self, name: str) -> SavedSearch | None:
        """Return the saved search with a name; None if there is none."""
        return self._find("name = ?", name)

    def find_by_id(self, id: int) -> SavedSearch | None:
        """Return the saved search with an id; None if there is none."""
        return self._find("id = ?", id)

    def add(self, search: SavedSearch) -> SavedSearch:
        """Add a saved search; return it with its id. Raises NameTakenError."""
        with self._refuse_used_name(search.name):
            (id,) = self._db.execute(
                "insert into saved_searches (name, terms, options, link_folder, created_at)"
                " values (?, ?, ?, ?, ?) returning id",
                (*_make_values(search), format_utc_now()),
            ).fetchone()
        return self._get(id)

    def replace(self, search: SavedSearch) -> SavedSearch:
        """Replace everything but the id and the time of a saved search, and return it.

        Raises NameTakenError if its new name is used.
        """
        with self._refuse_used_name(search.name):
            self._db.execute(
                "update saved_searches set name = ?, terms = ?, options = ?, link_folder = ?"
                " where id = ?",
                (*_make_values(search), search.id),
            )
        return self._get(search.id)

    def remove(self, id: int) -> None:
        """Remove a saved search."""
        with write_transaction(self._db):
            self._db.execute("delete from saved_searches where id = ?", (id,))

    def find_image_id(self, key: str) -> int | None:
        """Return the id of the image that a term names by its key; None if it is not known."""
        row = self._db.execute("select id from images where sha256 = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    def find_image_key(self, image_id: int) -> str | None:
        """Return the key of an image, by which a saved term names it; None if it is not known."""
        row = self._db.execute("select sha256 from images where id = ?", (image_id,)).fetchone()
        return None if row is None else str(row[0])

    def _find(self, condition: str, value: object) -> SavedSearch | None:
        row = self._db.execute(
            f"select {COLUMNS} from saved_searches where {condition}", (value,)
        ).fetchone()
        return None if row is None else _parse_row(*row)

    def _get(self, id: int) -> SavedSearch:
        found = self.find_by_id(id)
        if found is None:  # Another process has removed it meanwhile.
            raise QueryError("another process has just removed the saved search; save it again")
        return found

    @contextmanager
    def _refuse_used_name(self, name: str) -> Iterator[None]:
        """Run the with block in a transaction; raise NameTakenError if the name is used."""
        try:
            with write_transaction(self._db):
                yield
        except sqlite3.IntegrityError as error:
            raise NameTakenError(
                f"there is a saved search {name!r} already; choose another name, or remove that "
                "search first"
            ) from error


def _make_values(search: SavedSearch) -> tuple[str | bytes | None, ...]:
    folder = search.link_folder
    return (
        search.name,
        json.dumps([term.to_dict() for term in search.terms]),
        json.dumps(options_to_dict(search.options)),
        None if folder is None else encode_path(folder),
    )


def _parse_row(
    id: int, name: str, terms: str, options: str, folder: str | bytes | None, created_at: str
) -> SavedSearch:
    """Convert a row; raise LibraryError if another version, or an editor, wrote its JSON."""
    try:
        parsed_terms: list[dict[str, Any]] = json.loads(terms)
        return SavedSearch(
            name,
            tuple(map(SavedTerm.from_dict, parsed_terms)),
            options_from_dict(json.loads(options)),
            None if folder is None else decode_path(folder),
            id,
            created_at,
        )
    except (QueryError, TypeError, ValueError) as error:
        raise LibraryError(
            f"the saved search {name!r} cannot be read: {error}. Remove it, and save it again."
        ) from error
