"""Edits that keep the size and the modification time of a file."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from support.library import FakeEngines, index_folder, search_file_names
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.catalog import FileTask
from searchapp.files import change_time
from searchapp.library import Library
from searchapp.types import Query, RatingRange, RunSummary, SearchOptions

EXIFTOOL = shutil.which("exiftool")


def replace_content(file: Path, content: bytes) -> None:
    """Write other content of the same size, and set the times of the file back."""
    state = file.stat()
    assert len(content) == state.st_size
    file.write_bytes(content)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def save_bitmaps(folder: Path, *colors: str) -> None:
    """Write pictures of the same size in bytes: BMP is not compressed."""
    folder.mkdir()
    for color in colors:
        save_picture(folder / f"{color}.bmp", color)


def read_column(library: Library, table: str, column: str) -> list[object]:
    """Return a column of the catalog."""
    with sqlite3.connect(library.folder / "catalog.db") as db:
        return [row[0] for row in db.execute(f"select {column} from {table} order by path")]


def list_rated_files(library: Library, rating: int) -> list[str]:
    """Return the names of the files with a rating."""
    options = SearchOptions(rating=RatingRange(rating, rating))
    return [Path(hit.path).name for hit in library.search(Query("red"), options)]


def forget_change_times(library: Library) -> None:
    """Make the catalog one of an older version, which knows no change times."""
    with sqlite3.connect(library.folder / "catalog.db") as db:
        for table in ("files", "failures", "sidecars"):
            db.execute(f"update {table} set ctime_ns = null")


def test_an_edit_with_size_and_time_restored_is_noticed(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """The change time of the file system tells it, as no tool can set it back."""
    save_bitmaps(tmp_path / "album", "red", "blue")
    index_folder(opened, tmp_path / "album", model)
    red = tmp_path / "album/red.bmp"
    replace_content(red, (tmp_path / "album/blue.bmp").read_bytes())
    index_folder(opened, tmp_path / "album", model)
    assert search_file_names(opened, "red") == []
    assert sorted(search_file_names(opened, "blue")) == ["blue.bmp", "red.bmp"]


@pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")
def test_a_tag_edited_by_exiftool_with_times_kept_is_noticed(
    opened: Library, photos: Path, model: Path
) -> None:
    """`exiftool -P` restores the whole seconds of the time, and padding can keep the size."""
    assert EXIFTOOL is not None
    red = photos / "red.jpg"
    for rating in (1, 5):
        subprocess.run(
            [EXIFTOOL, "-q", "-P", "-overwrite_original", f"-XMP-xmp:Rating={rating}", red],
            check=True,
        )
        os.utime(red, (10**9, 10**9)) if rating == 1 else None
        index_folder(opened, photos, model)
        assert list_rated_files(opened, rating) == ["red.jpg"]
        assert red.stat().st_mtime == 10**9


def test_two_files_that_swap_their_names_are_noticed(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """Cards with coarse times hold different pictures of the same size and time."""
    save_bitmaps(tmp_path / "album", "red", "blue")
    red, blue = tmp_path / "album/red.bmp", tmp_path / "album/blue.bmp"
    for file in (red, blue):
        os.utime(file, (10**9, 10**9))
    index_folder(opened, tmp_path / "album", model)
    red.rename(tmp_path / "other")
    blue.rename(red)
    (tmp_path / "other").rename(blue)
    index_folder(opened, tmp_path / "album", model)
    assert search_file_names(opened, "red") == ["blue.bmp"]


def test_a_new_change_time_alone_embeds_nothing(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """After chmod, a hard link or a restored backup, the content is hashed, and then known."""
    index_folder(opened, photos, model)
    started = len(fake_engines.started_engines)
    opened.close()
    (photos / "red.jpg").chmod(0o600)
    os.link(next(photos.rglob("blue.*")), photos.parent / "link")
    with Library.open(opened.folder, start=fake_engines) as library:
        assert index_folder(library, photos, model, dry_run=True).added == 2
        assert index_folder(library, photos, model) == RunSummary(unchanged=3)
        assert len(fake_engines.started_engines) == started
        assert index_folder(library, photos, model, dry_run=True).added == 0


def test_a_file_that_failed_is_read_again_after_chmod(
    opened: Library, photos: Path, model: Path
) -> None:
    """A change of the permissions can have removed the reason of the failure."""
    (photos / "broken.jpg").write_bytes(b"no picture")
    assert index_folder(opened, photos, model).failed == 1
    assert index_folder(opened, photos, model).failed == 0
    (photos / "broken.jpg").chmod(0o600)
    assert index_folder(opened, photos, model).failed == 1


def test_an_old_library_learns_change_times_without_reading_pictures(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown change time counts as unchanged once; later edits are noticed."""
    (photos / "broken.jpg").write_bytes(b"no picture")
    write_sidecar(photos / "red.xmp", rating=1)
    index_folder(opened, photos, model)
    forget_change_times(opened)
    with monkeypatch.context() as context:
        for name in ("read_file", "open_file"):
            context.setattr(
                f"searchapp.files.storage.{name}", lambda path, *_: pytest.fail(f"read {path}")
            )
        assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
    for table in ("files", "failures", "sidecars"):
        assert None not in read_column(opened, table, "ctime_ns")
    replace_content(photos / "red.jpg", (photos / "red.jpg").read_bytes())
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
    write_sidecar_in_place(photos / "red.xmp", b"1", b"4")
    assert index_folder(opened, photos, model).described == 1


def write_sidecar(sidecar: Path, rating: int) -> None:
    """Write a sidecar that tells a rating."""
    sidecar.write_bytes(make_xmp(f'xmp:Rating="{rating}"'))


def write_sidecar_in_place(sidecar: Path, old: bytes, new: bytes) -> None:
    """Replace text of a sidecar, with size and time kept."""
    content = sidecar.read_bytes()
    assert content.count(b'Rating="' + old) == 1
    replace_content(sidecar, content.replace(b'Rating="' + old, b'Rating="' + new))


def test_a_sidecar_edited_with_size_and_time_restored_is_read(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A sidecar has a change time, too; nothing is embedded."""
    write_sidecar(photos / "red.xmp", rating=1)
    index_folder(opened, photos, model)
    write_sidecar_in_place(photos / "red.xmp", b"1", b"5")
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3, described=1)
    assert list_rated_files(opened, 5) == ["red.jpg"]
    assert fake_engines.embedded_count == 3


def test_a_sidecar_on_a_card_is_compared_by_its_hash(
    opened: Library, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT stores no change time, so that small sidecars are read in each run."""
    monkeypatch.setattr(change_time, "read_has_change_times", lambda *_: False)
    write_sidecar(photos / "red.xmp", rating=1)
    index_folder(opened, photos, model)
    assert read_column(opened, "files", "ctime_ns") == [None] * 3
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
    write_sidecar_in_place(photos / "red.xmp", b"1", b"5")
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3, described=1)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)


@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_file_systems_without_change_times_are_known(tmp_path: Path, kind: str) -> None:
    """The kernel lists the file system of each device."""
    device = os.makedev(8, 17)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"99 22 8:17 / /media/card\\0401 rw shared:2 master:3 - {kind} /dev/sdb1 rw\n"
    )
    assert not change_time.read_has_change_times(device, str(mounts))
    assert change_time.read_has_change_times(os.makedev(8, 1), str(mounts))
    assert change_time.read_has_change_times(device, str(tmp_path / "missing"))


def test_workers_and_the_spool_keep_the_change_time() -> None:
    """A task is sent to workers as the list of its values."""
    task = FileTask("/a.jpg", 1, 2, None, 3)
    assert (task.state.size, task.state.mtime_ns, task.state.ctime_ns) == (1, 2, 3)
