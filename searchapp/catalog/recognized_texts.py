"""Find the pictures whose text must be recognized, and store what a reader found in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.path_keys import build_subtree_condition, decode_path
from searchapp.catalog.transactions import write_transaction
from searchapp.files.display_path import display_path
from searchapp.types import TEXT_FAILURE_STAGE, Failure, Original, TextLine, TextStatistics

MAX_TEXT_CHARACTERS = 20_000  # of one picture; more than a newspaper page


@dataclass(frozen=True, slots=True)
class UnreadImage:
    """Image whose text must be recognized, with its files; a video frame has those of its video."""

    image_id: int
    originals: tuple[Original, ...]
    max_megapixels: float  # A picture that is indexed is not too large.


@dataclass(frozen=True, slots=True)
class UnreadScope:
    """Which images count as unread.

    roots: only images with a file in these folders; None: all. image_ids: only these; None: all.
    reader: read images again that another reader has read; None: read only new images.
    retry_failed: read images again that failed before.
    """

    roots: tuple[str, ...] | None = None
    image_ids: tuple[int, ...] | None = None
    reader: str | None = None
    retry_failed: bool = False


class RecognizedTexts:
    """Read and write the text that was recognized in pictures."""

    def __init__(self, db: Database) -> None:
        """Use a connection to the catalog for all reads and writes."""
        self._db = db

    @property
    def is_on(self) -> bool:
        """Return whether index runs recognize text."""
        (is_on,) = self._db.execute("select is_on from text_recognition").fetchone()
        return bool(is_on)

    def turn(self, is_on: bool) -> None:
        """Remember whether index runs recognize text."""
        with write_transaction(self._db):
            self._db.execute("update text_recognition set is_on = ?", (is_on,))

    def count_unread(self, scope: UnreadScope, after_id: int = 0) -> int:
        """Return the number of images whose text must be recognized, with ids above after_id."""
        where, parameters = _build_condition(scope)
        (count,) = self._db.execute(
            "select count(*) from images i left join frames r on r.image_id = i.id"
            f" where i.id > :after_id and {where}",
            {**parameters, "after_id": after_id},
        ).fetchone()
        return int(count)

    def list_unread(self, scope: UnreadScope, after_id: int, limit: int) -> list[UnreadImage]:
        """Return images whose text must be recognized, with ids above after_id, ascending."""
        where, parameters = _build_condition(scope)
        rows = self._db.execute(
            "select u.id, u.pixels, v.sha256, u.seconds, f.path, f.size, f.mtime_ns from"
            " (select i.id, i.width * i.height as pixels, r.seconds,"
            " coalesce(r.video_id, i.id) as content_id from images i"
            f" left join frames r on r.image_id = i.id where i.id > :after_id and {where}"
            " order by i.id limit :limit) u"
            " join images v on v.id = u.content_id join files f on f.image_id = v.id"
            " order by u.id, length(f.path), f.path",
            {**parameters, "after_id": after_id, "limit": limit},
        ).fetchall()
        images = []
        for image_id, group in groupby(rows, itemgetter(0)):
            same = list(group)
            originals = tuple(
                Original(decode_path(path), sha256, seconds, size, mtime_ns)
                for _, _, sha256, seconds, path, size, mtime_ns in same
            )
            images.append(UnreadImage(image_id, originals, same[0][1] / 1e6 + 1))
        return images

    def find_images(self, embedding_ids: Iterable[int]) -> tuple[int, ...]:
        """Return the ids of the images of embeddings, ascending."""
        rows = self._db.execute(
            "select distinct image_id from embeddings"
            " where id in (select value from json_each(?)) order by image_id",
            (json.dumps(list(map(int, embedding_ids))),),
        )
        return tuple(row[0] for row in rows)

    def save_outcomes(
        self, outcomes: Iterable[tuple[int, Sequence[TextLine] | Failure]], reader: str
    ) -> None:
        """Write the lines of images, or their failures, by image id; replace earlier ones.

        reader: name and version of the reader. Images that were deleted meanwhile are left out.
        """
        rows = []
        for image_id, outcome in outcomes:
            lines, failure = list[TextLine](), None
            if isinstance(outcome, Failure):
                failure = display_path(outcome.message)
            else:
                lines = limit_text(outcome)
            text = "\n".join(line.text for line in lines)
            data = json.dumps([line.to_dict() for line in lines])
            rows.append((reader, data, text, failure, image_id))
        with write_transaction(self._db):
            self._db.conn.executemany(
                "insert into recognized_texts (image_id, reader, lines, text, failure)"
                " select id, ?, ?, ?, ? from images where id = ? on conflict (image_id) do update"
                " set reader = excluded.reader, lines = excluded.lines, text = excluded.text,"
                " failure = excluded.failure",
                rows,
            )

    def read_lines(self, image_id: int) -> list[TextLine] | None:
        """Return the lines of text in an image; None if it was not read."""
        row = self._db.execute(
            "select lines from recognized_texts where image_id = ? and failure is null", (image_id,)
        ).fetchone()
        return [TextLine.from_dict(each) for each in json.loads(row[0])] if row else None

    def read_texts(self, image_ids: Iterable[int]) -> dict[int, str]:
        """Return the text of each image that was read and has text: lines, by image id."""
        rows = self._db.execute(
            "select image_id, text from recognized_texts where text <> ''"
            " and image_id in (select value from json_each(?))",
            (json.dumps(list(image_ids)),),
        )
        return dict(rows)

    def list_failures(self) -> list[Failure]:
        """Return the files in which no text could be recognized, sorted by path."""
        rows = self._db.execute(
            "select min(f.path), t.failure from recognized_texts t"
            " left join frames r on r.image_id = t.image_id"
            " join files f on f.image_id = coalesce(r.video_id, t.image_id)"
            " where t.failure is not null group by t.image_id order by 1"
        )
        found = [Failure(decode_path(path), TEXT_FAILURE_STAGE, message) for path, message in rows]
        return list(dict.fromkeys(found))  # once for a video with several frames

    def read_statistics(self) -> TextStatistics:
        """Return how many images were read, and how many were not."""
        with_text, without_text, failed = self._db.execute(
            "select coalesce(sum(text <> ''), 0), coalesce(sum(text = '' and failure is null), 0),"
            " coalesce(sum(failure is not null), 0) from recognized_texts"
        ).fetchone()
        unread = self.count_unread(UnreadScope())
        return TextStatistics(self.is_on, with_text, without_text, failed, unread)


def limit_text(lines: Sequence[TextLine]) -> list[TextLine]:
    """Return the first lines, with at most MAX_TEXT_CHARACTERS together."""
    kept, rest = list[TextLine](), MAX_TEXT_CHARACTERS
    for line in lines:
        if rest <= 0:
            break
        kept.append(replace(line, text=line.text[:rest]))
        rest -= len(line.text) + 1
    return kept


def _build_condition(scope: UnreadScope) -> tuple[str, dict[str, Any]]:
    """Return a condition on images i and frames r that is true for unread images."""
    is_read, parameters = ["t.image_id = i.id"], dict[str, Any]()
    if scope.reader is not None:
        is_read.append("t.reader = :reader")
        parameters["reader"] = scope.reader
    if scope.retry_failed:
        is_read.append("t.failure is null")
    conditions = [
        f"not exists (select 1 from recognized_texts t where {' and '.join(is_read)})",
    ]
    is_in_roots = ""
    if scope.roots is not None:
        below = ["false"]
        for number, root in enumerate(scope.roots):
            where, found = build_subtree_condition(root)
            for name, value in found.items():
                where = where.replace(f":{name}", f":{name}_{number}")
                parameters[f"{name}_{number}"] = value
            below.append(where)
        is_in_roots = f" and ({' or '.join(below)})"
    conditions.append(
        f"exists (select 1 from files where image_id = coalesce(r.video_id, i.id){is_in_roots})"
    )
    if scope.image_ids is not None:
        conditions.append("i.id in (select value from json_each(:image_ids))")
        parameters["image_ids"] = json.dumps(scope.image_ids)
    return " and ".join(conditions), parameters
