"""Help tests of duplicates: an album of pictures, a search, and files of a group."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from searchapp.library import Library
from searchapp.pictures import decode
from searchapp.types import DuplicateFile, DuplicateOptions, Duplicates, DuplicatesFound
from support import near_duplicates


def find_duplicates(library: Library, **options: object) -> Duplicates:
    """Search a library with DuplicateOptions, and return the result."""
    *_, last = library.duplicates(DuplicateOptions(**options))  # type: ignore[arg-type]
    assert isinstance(last, DuplicatesFound)
    return last.duplicates


def make_near_copy(path: Path, size: int) -> DuplicateFile:
    """Make a file of a group that is a near duplicate of the keeper."""
    sha256 = decode.hash_bytes(path.read_bytes()) if path.exists() else ""
    return DuplicateFile(str(path), size, 1, 1, "JPEG", None, "", sha256, 1, "near", "")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Write a picture, a smaller copy, a copy with the same bytes, and another picture."""
    folder = tmp_path / "album"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2023:06:17 12:00:00"
    image = near_duplicates.render_scene(near_duplicates.make_scene(1))
    folder.mkdir()
    image.save(folder / "boat.jpg", quality=90, exif=exif)
    (folder / "boat (1).jpg").write_bytes((folder / "boat.jpg").read_bytes())
    image.resize((300, 300)).save(folder / "boat-small.jpg")
    near_duplicates.render_scene(near_duplicates.make_scene(2)).save(folder / "other.jpg")
    return folder
