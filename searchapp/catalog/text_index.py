"""Keep the full-text index in step with file names, captions and recognized text.

The table texts is an FTS5 table of trigrams, with one row per image. It contains search forms: see
searchapp.files.text_form. Triggers of migrations m015 and m018 note each image whose texts change
in the table stale_texts. Before a transaction commits, the rows of these images are written again.
https://www.sqlite.org/fts5.html#the_trigram_tokenizer
"""

from __future__ import annotations

import json
import logging
import posixpath
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.connection import begin_immediate
from searchapp.catalog.path_keys import decode_path
from searchapp.files.text_form import make_search_form
from searchapp.types import format_count

logger = logging.getLogger(__name__)
TEXT_COLUMNS = ("name", "folder", "title", "caption", "text", "place")
PAGE_IMAGES = 1000
SLOW_BUILD_IMAGES = 50_000  # On a slow disk, this takes some seconds.
_LINE_END = "\n"
_CHOSEN_SQL = "in (select value from json_each(?))"


def update_stale_texts(db: Database) -> None:
    """Write the texts of all images that have changed since the last update."""
    while update_page(db):
        pass


def build_missing_texts(db: Database, report: Callable[[str], None]) -> None:
    """Write the texts that an upgrade of the catalog has noted, in one transaction per page.

    An interrupted build continues when the catalog is opened again. report: receives a message
    before a build that takes long.
    """
    (count,) = db.execute("select count(*) from stale_texts").fetchone()
    if count > SLOW_BUILD_IMAGES:
        report(f"Indexing the names and captions of {format_count(count, 'picture')} ...")
    is_incomplete = count > 0
    try:
        while is_incomplete:
            with begin_immediate(db):
                is_incomplete = update_page(db)
    except sqlite3.OperationalError as error:  # read-only, or in use
        logger.info("Did not build the text index (%s); a later process continues.", error)


def update_page(db: Database) -> bool:
    """Write the texts of some changed images; return False if there are no more."""
    rows = db.execute(
        "select image_id from stale_texts order by image_id limit ?", (PAGE_IMAGES,)
    ).fetchall()
    if not rows:
        return False
    image_ids = [row[0] for row in rows]
    chosen = json.dumps(image_ids)
    found = make_rows(db, chosen)
    old_places = db.execute(
        f"select place from texts where rowid {_CHOSEN_SQL} and place <> ''", (chosen,)
    )
    old_forms = _split_lines(places for (places,) in old_places)
    missing = set(image_ids).difference(row[0] for row in found)
    db.conn.executemany("delete from texts where rowid = ?", ((id,) for id in missing))
    placeholders = ", ".join("?" for _ in TEXT_COLUMNS)
    db.conn.executemany(
        f"insert or replace into texts (rowid, {', '.join(TEXT_COLUMNS)})"
        f" values (?, {placeholders})",
        found,
    )
    forms = _split_lines(places for *_, places in found)
    db.conn.executemany("insert or ignore into place_names values (?)", ((f,) for f in forms))
    db.conn.executemany(
        "delete from place_names where form = ?"
        " and not exists (select 1 from texts where texts match ?)",
        ((form, f'{{place}} : "{_join_lines([form])}"') for form in old_forms - forms),
    )
    db.execute(f"delete from stale_texts where image_id {_CHOSEN_SQL}", (chosen,))
    return len(rows) == PAGE_IMAGES


def make_rows(db: Database, chosen: str) -> list[tuple[Any, ...]]:
    """Return the rows of the table texts for images: image id, and the values of TEXT_COLUMNS.

    chosen: JSON list of image ids. Images without a file and without recognized text have no row.
    """
    return [
        (id, *(_join_lines(found.get(column, ())) for column in TEXT_COLUMNS))
        for id, found in _read_texts(db, chosen).items()
    ]


def _read_texts(db: Database, chosen: str) -> dict[int, dict[str, list[str]]]:
    """Return the search forms of the texts of images, by image id and column.

    Images without a file and without recognized text are left out.

    chosen: JSON list of image ids.
    """
    texts: dict[int, dict[str, list[str]]] = {}

    def add(image_id: int, column: str, text: str | None) -> None:
        if text and (form := make_search_form(text)):
            texts[image_id].setdefault(column, []).append(form)

    for image_id, key, roots in db.execute(
        "select f.image_id, f.path, r.roots from files f left join runs r on r.id = f.run_id"
        f" where f.image_id {_CHOSEN_SQL} order by f.path",
        (chosen,),
    ):
        folder, _, name = decode_path(key).rpartition("/")
        texts.setdefault(image_id, {})
        add(image_id, "name", name)
        if form := _make_folder_form(folder, roots):
            texts[image_id].setdefault("folder", []).append(form)
    for image_id, lines in db.execute(
        f"select image_id, lines from recognized_texts where image_id {_CHOSEN_SQL}", (chosen,)
    ):
        texts.setdefault(image_id, {})
        add(image_id, "text", " ".join(line["text"] for line in json.loads(lines)))
    # Files with the same bytes can have different metadata, each with a row of its own in images.
    described_sql = (
        "(select image_id, metadata_id from file_metadata"
        f" where image_id {_CHOSEN_SQL} union all select id, id from images"
        f" where id {_CHOSEN_SQL} and id not in (select image_id from file_metadata)) d"
    )
    for image_id, title, description, *names in db.execute(
        f"select d.image_id, i.title, i.description, i.city, i.region, i.country"
        f" from {described_sql} join images i on i.id = d.metadata_id"
        " where i.title is not null or i.description is not null or i.country is not null",
        (chosen, chosen),
    ):
        if image_id in texts:
            add(image_id, "title", title)
            add(image_id, "caption", description)
            for name in names:
                add(image_id, "place", name)
    for image_id, keyword in db.execute(
        f"select d.image_id, k.keyword from {described_sql} join keywords k"
        " on k.image_id = d.metadata_id",
        (chosen, chosen),
    ):
        if image_id in texts:
            add(image_id, "caption", keyword)
    return texts


def get_named_folders(folder: str, roots: str | None) -> str:
    """Return the end of a folder's path that the user chose names for.

    This is the folder that was indexed, and what is below it. Names of folders above it, such as
    the home folder, would match every picture. roots: JSON list of the folders of the index run.
    """
    best = max(
        (root for root in _parse_roots(roots or "[]") if f"{folder}/".startswith(f"{root}/")),
        key=len,
        default=folder,
    )
    return folder[len(posixpath.dirname(best)) :].strip("/")


@lru_cache(maxsize=1024)  # Most files of a page are in the same folders.
def _make_folder_form(folder: str, roots: str | None) -> str:
    return make_search_form(get_named_folders(folder, roots))


@lru_cache(maxsize=64)
def _parse_roots(roots: str) -> tuple[str, ...]:
    return tuple(root.rstrip("/") for root in json.loads(roots))


def _split_lines(columns: Iterable[str]) -> set[str]:
    """Return the search forms in values of _join_lines()."""
    return {form for lines in columns for form in lines.split(_LINE_END) if form}


def _join_lines(forms: Sequence[str]) -> str:
    """Return different search forms, each on its own line, between line ends."""
    if len(forms) < 2:
        return f"{_LINE_END}{forms[0]}{_LINE_END}" if forms else ""
    return _LINE_END.join(["", *dict.fromkeys(forms), ""])
