"""Read what a hit shows of an image: file paths, metadata and companions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlite_utils import Database

from searchapp.catalog.companions import CompanionTable
from searchapp.catalog.file_metadata import FileMetadataTable
from searchapp.catalog.metadata_rows import SELECT_INFO_SQL, row_to_info
from searchapp.catalog.path_keys import decode_path
from searchapp.files import storage
from searchapp.files.choose_keeper import rank_copy
from searchapp.types import CatalogedFile, DuplicateFile, Original, PictureInfo


@dataclass(frozen=True, slots=True)
class LocatedImage:
    """Image with the paths of its files; a video frame has the files of its video."""

    image_id: int
    key: str  # SHA-256 of the picture, or make_frame_key() of a video frame
    sha256: str  # of the files
    info: PictureInfo
    video_id: int  # image id of the video of a frame; equal to image_id for a picture
    seconds: float | None  # time of a frame in its video; None: a picture
    files: tuple[CatalogedFile, ...]
    companions: tuple[tuple[str, str], ...] = ()  # (path of the file, path of its companion)
    # The metadata of files by path, if it differs among them.
    file_infos: Mapping[str, PictureInfo] = field(default_factory=dict)

    def get_file_info(self, path: str) -> PictureInfo:
        """Return the metadata of a file of the image."""
        return self.file_infos.get(path, self.info)

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths of the files."""
        return tuple(file.path for file in self.files)

    @property
    def originals(self) -> tuple[Original, ...]:
        """Return the files, with what the catalog knows of their content."""
        return tuple(
            Original(file.path, self.sha256, self.seconds, file.size, file.mtime_ns)
            for file in self.files
        )


def locate_images(db: Database, where: str, **parameters: Any) -> dict[int, LocatedImage]:
    """Return images that have files, by embedding id.

    where: SQL condition on the tables embeddings e and images i.
    """
    rows = db.execute(
        f"select e.id, i.id, i.sha256, v.sha256, v.id, r.seconds, f.path, f.size, f.mtime_ns,"
        f" {SELECT_INFO_SQL}"
        " from embeddings e join images i on i.id = e.image_id"
        " left join frames r on r.image_id = i.id"
        " join images v on v.id = coalesce(r.video_id, i.id)"
        f" join files f on f.image_id = v.id where {where}"
        " order by e.id, length(f.path), f.path",
        parameters,
    ).fetchall()
    content_ids = {row[4] for row in rows}
    companions = CompanionTable(db).load_by_file(content_ids)
    file_infos = FileMetadataTable(db).load_infos(content_ids)
    found: dict[int, LocatedImage] = {}
    for id, group in groupby(rows, itemgetter(0)):
        same = list(group)
        image_id, image_key, sha256, video_id, seconds = same[0][1:6]
        files = tuple(CatalogedFile(decode_path(row[6]), *row[7:9]) for row in same)
        info = row_to_info(same[0][9:])
        if len(files) > 1:
            files = _sort_copies(db, files, info)
        own_companions = tuple(
            (file.path, companion) for file in files for companion in companions.get(file.path, ())
        )
        found[id] = LocatedImage(
            image_id,
            image_key,
            sha256,
            info,
            video_id,
            seconds,
            files,
            own_companions,
            file_infos.get(video_id, {}),
        )
    return found


def _sort_copies(
    db: Database, files: tuple[CatalogedFile, ...], info: PictureInfo
) -> tuple[CatalogedFile, ...]:
    """Return files with the same bytes, the one first that `searchapp duplicates` keeps."""
    companions = CompanionTable(db)

    def rank_file(file: CatalogedFile) -> tuple[float | str, ...]:
        return rank_copy(
            DuplicateFile(
                path=file.path,
                size=file.size,
                width=info.width,
                height=info.height,
                format=info.format,
                taken_at=info.taken_at,
                changed_at=file.changed_at,
                sha256="",
                image_id=0,
                companions=tuple(
                    filter(storage.can_exist, companions.list_files_to_move(file.path))
                ),
            )
        )

    return tuple(sorted(files, key=rank_file))
