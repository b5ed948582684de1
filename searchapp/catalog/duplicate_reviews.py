"""Read and write the choices of people who reviewed groups of duplicates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from operator import itemgetter

from sqlite_utils import Database

from searchapp.catalog.path_keys import decode_path, encode_path
from searchapp.catalog.transactions import write_transaction
from searchapp.types import ReviewChoice

Review = tuple[ReviewChoice, ...]  # one for each file of a group


class DuplicateReviews:
    """Read and write the table duplicate_reviews. Migration m019 creates it."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    def read_reviews(self) -> list[Review]:
        """Return the reviewed groups, the latest last."""
        rows = self._db.execute(
            "select review_id, path, sha256, stays from duplicate_reviews order by review_id, path"
        ).fetchall()
        return [
            tuple(
                ReviewChoice(decode_path(path), sha256, bool(stays))
                for _, path, sha256, stays in group
            )
            for _, group in groupby(rows, itemgetter(0))
        ]

    def find_sha256(self, path: str) -> str | None:
        """Return the SHA-256 of a file of the library; None if it has no such file."""
        try:
            key = encode_path(path)
        except UnicodeEncodeError:  # No file can have this name.
            return None
        row = self._db.execute(
            "select i.sha256 from files f join images i on i.id = f.image_id where f.path = ?",
            (key,),
        ).fetchone()
        return None if row is None else str(row[0])

    def begin_write(self) -> AbstractContextManager[Database]:
        """Return a write transaction: no other process writes between its reads and writes."""
        return write_transaction(self._db)

    def find_choices(self, hashes: Mapping[str, str]) -> dict[str, bool]:
        """Return for each file that was reviewed whether it stays, by path: the latest choice.

        hashes: SHA-256 of each file, by path. A choice for other bytes is no choice for the file.
        """
        rows = self._db.execute(
            "select path, sha256, stays from duplicate_reviews"
            " where sha256 in (select value from json_each(?)) order by review_id",
            (json.dumps([*hashes.values()]),),
        )
        choices = dict[str, bool]()
        for key, sha256, stays in rows:
            path = decode_path(key)
            if hashes.get(path) == sha256:
                choices[path] = bool(stays)
        return choices

    def save_reviews(self, reviews: Iterable[Sequence[ReviewChoice]]) -> None:
        """Save reviewed groups; each replaces earlier reviews of which it has all files."""
        with write_transaction(self._db):
            for review in reviews:
                self._save_review({choice.path: choice for choice in review})

    def _save_review(self, choices: dict[str, ReviewChoice]) -> None:
        hashes = json.dumps([choice.sha256 for choice in choices.values()])
        rows = self._db.execute(
            "select review_id, path from duplicate_reviews where review_id in (select review_id"
            " from duplicate_reviews where sha256 in (select value from json_each(?)))"
            " order by review_id",
            (hashes,),
        ).fetchall()
        for review_id, group in groupby(rows, itemgetter(0)):
            if all(decode_path(path) in choices for _, path in group):
                self._db.execute("delete from duplicate_reviews where review_id = ?", (review_id,))
        (review_id,) = self._db.execute(
            "select coalesce(max(review_id), 0) + 1 from duplicate_reviews"
        ).fetchone()
        self._db.conn.executemany(
            "insert into duplicate_reviews values (?, ?, ?, ?)",
            (
                (review_id, encode_path(each.path), each.sha256, each.stays)
                for each in choices.values()
            ),
        )
