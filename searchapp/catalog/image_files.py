"""Images with the paths of their files, as hits tell them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.companions import CompanionTable
from searchapp.catalog.metadata_rows import SELECT_INFO_SQL, row_to_info
from searchapp.catalog.path_keys import decode_path
from searchapp.types import PictureInfo


@dataclass(frozen=True, slots=True)
class LocatedImage:
    """An image and the paths of its files; of a video's frame: the video's files."""

    image_id: int
    key: str  # of the image: sha256, or what stands for it of a frame
    sha256: str  # of the files
    info: PictureInfo
    video_id: int  # of the image that the files are of, where this is a frame; else image_id
    seconds: float | None  # when a frame is shown; None: a picture
    paths: tuple[str, ...]
    companions: tuple[tuple[str, str], ...] = ()  # each with the path that it belongs to


def locate_images(db: Database, where: str, **parameters: Any) -> dict[int, LocatedImage]:
    """Return, by embedding id, images that have files; where: a condition on e or i, in SQL."""
    rows = db.execute(
        f"select e.id, i.id, i.sha256, v.sha256, v.id, r.seconds, f.path, {SELECT_INFO_SQL}"
        " from embeddings e join images i on i.id = e.image_id"
        " left join frames r on r.image_id = i.id"
        " join images v on v.id = coalesce(r.video_id, i.id)"
        f" join files f on f.image_id = v.id where {where}"
        " order by e.id, length(f.path), f.path",
        parameters,
    ).fetchall()
    companions = CompanionTable(db).load_by_file({row[4] for row in rows})
    found: dict[int, LocatedImage] = {}
    for id, group in groupby(rows, itemgetter(0)):
        same = list(group)
        image_id, image_key, sha256, video_id, seconds = same[0][1:6]
        paths = tuple(decode_path(row[6]) for row in same)
        own_companions = tuple((path, it) for path in paths for it in companions.get(path, ()))
        found[id] = LocatedImage(
            image_id,
            image_key,
            sha256,
            row_to_info(same[0][7:]),
            video_id,
            seconds,
            paths,
            own_companions,
        )
    return found
