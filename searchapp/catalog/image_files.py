"""Images with the paths of their files, as hits tell them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.companions import Companions
from searchapp.catalog.metadata_rows import COLUMNS, info_of
from searchapp.catalog.path_keys import path_of
from searchapp.types import PictureInfo


@dataclass(frozen=True, slots=True)
class Located:
    """An image and the paths of its files; of a video's frame: the video's files."""

    image_id: int
    key: str  # of the image: sha256, or what stands for it of a frame
    sha256: str  # of the files
    info: PictureInfo
    video_id: int  # of the image that the files are of, where this is a frame; else image_id
    seconds: float | None  # when a frame is shown; None: a picture
    paths: tuple[str, ...]
    companions: tuple[tuple[str, str], ...] = ()  # each with the path that it belongs to


def located(db: Database, where: str, **parameters: Any) -> dict[int, Located]:
    """Return, by embedding id, images that have files; where: a condition on e or i, in SQL."""
    rows = db.execute(
        f"select e.id, i.id, i.sha256, v.sha256, v.id, r.seconds, f.path, {COLUMNS}"
        " from embeddings e join images i on i.id = e.image_id"
        " left join frames r on r.image_id = i.id"
        " join images v on v.id = coalesce(r.video_id, i.id)"
        f" join files f on f.image_id = v.id where {where}"
        " order by e.id, length(f.path), f.path",
        parameters,
    ).fetchall()
    companions = Companions(db).of({row[4] for row in rows})
    found: dict[int, Located] = {}
    for id, group in groupby(rows, itemgetter(0)):
        same = list(group)
        image_id, its_key, sha256, video_id, seconds = same[0][1:6]
        paths = tuple(path_of(row[6]) for row in same)
        theirs = tuple((path, it) for path in paths for it in companions.get(path, ()))
        found[id] = Located(
            image_id, its_key, sha256, info_of(same[0][7:]), video_id, seconds, paths, theirs
        )
    return found
