"""Load images that still have an unchanged file: only such images can be duplicates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from searchapp.catalog import Catalog, Fingerprints, ImageWithFiles
from searchapp.files import storage
from searchapp.types import CatalogedFile
from searchapp.vectors import Ids


class ExistingImages:
    """Maps a position in image_ids to the image with its files; load() adds images.

    An image without an existing file is left out. If folders are given, only files below
    these folders are used.
    """

    def __init__(
        self, catalog: Catalog, store: Fingerprints, image_ids: Ids, folders: Sequence[str]
    ) -> None:
        self._store, self._image_ids = store, image_ids
        self._companions = catalog.get_companions()
        self._folders = folders
        self._image_by_position: dict[int, ImageWithFiles] = {}
        self._missing_positions = set[int]()  # of images whose files are gone or have changed

    def __contains__(self, position: int) -> bool:
        return position in self._image_by_position

    def __getitem__(self, position: int) -> ImageWithFiles:
        return self._image_by_position[position]

    @property
    def missing_count(self) -> int:
        """Return the number of images that load() has left out."""
        return len(self._missing_positions)

    def load(self, positions: Iterable[int]) -> None:
        """Load the images at these positions of image_ids, unless they are already loaded."""
        new = np.array(sorted(set(positions) - self._image_by_position.keys()), np.int64)
        position_by_id = dict(zip(self._image_ids[new].tolist(), new.tolist(), strict=True))
        for image in self.load_by_id(self._image_ids[new]):
            self._image_by_position[position_by_id[image.image_id]] = image
        self._missing_positions.update(set(new.tolist()) - self._image_by_position.keys())

    def load_by_id(self, image_ids: Ids) -> Iterator[ImageWithFiles]:
        """Yield each image that has an existing file, with its existing files and companions."""
        for image in self._store.load_images(image_ids):
            if files := self._find_unchanged_files(image.files):
                yield replace(image, files=files, companions=self._find_companions(files))

    def _find_unchanged_files(self, files: Iterable[CatalogedFile]) -> tuple[CatalogedFile, ...]:
        """Return the files that exist and have the size that the catalog has stored.

        If one file has several names (hard links or symbolic links), only the first name is
        returned: moving another name away could move the picture.
        """
        seen = set[tuple[int, int]]()
        unchanged = list[CatalogedFile]()
        for file in files:
            if self._folders and not any(storage.is_below(file.path, f) for f in self._folders):
                continue
            if storage.is_url(file.path):
                unchanged.append(file)
                continue
            try:
                state = os.stat(file.path)  # noqa: PTH116 (faster than Path.stat)
            except OSError:
                continue
            file_id = (state.st_dev, state.st_ino)
            if state.st_size == file.size and file_id not in seen:
                seen.add(file_id)
                unchanged.append(file)
        return tuple(unchanged)

    def _find_companions(self, files: Iterable[CatalogedFile]) -> tuple[tuple[str, str], ...]:
        """Return pairs (path of a file, path of its companion) for companions that can exist."""
        return tuple(
            (file.path, companion)
            for file in files
            for companion in self._companions.list_files_to_move(file.path)
            if storage.can_exist(companion)
        )
