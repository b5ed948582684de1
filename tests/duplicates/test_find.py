"""Test which files are found as duplicates, which file is kept, and the command."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
from PIL import Image
from support import near_duplicates
from support.duplicates import album, find_duplicates
from support.fake_engine import FakeEngine
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import LibraryError
from searchapp.files.lock import hold_writer_lock
from searchapp.library import Library
from searchapp.types import DuplicateGroup, DuplicatesFound, FileFailed, Progress

__all__ = ["album"]  # a fixture


def get_names(group: DuplicateGroup) -> tuple[str, dict[str, str | None]]:
    """Return the name of the file to keep, and the certainty of each other file by name."""
    others = {Path(copy.path).name: copy.certainty for copy in group.others}
    return Path(group.keeper.path).name, others


def test_the_file_to_keep_has_a_reason(opened: Library, album: Path, model: Path) -> None:
    """The file with most pixels is kept; with the same bytes, the one not named like a copy."""
    index_folder(opened, album, model)
    duplicates = find_duplicates(opened)
    (group,) = duplicates.groups
    assert get_names(group) == ("boat.jpg", {"boat (1).jpg": "bytes", "boat-small.jpg": "near"})
    assert group.reason == "its name does not look like a copy"
    assert group.others[1].difference == "scaled to 50 %, without a date"
    (album / "boat (1).jpg").unlink()
    (group,) = find_duplicates(opened).groups
    assert get_names(group) == ("boat.jpg", {"boat-small.jpg": "near"})
    assert group.reason == "most pixels: 600x600, the next 300x300"


def test_fingerprints_are_saved(opened: Library, album: Path, model: Path) -> None:
    """A second search decodes nothing, an interrupted one continues, a new picture is decoded."""
    index_folder(opened, album, model)
    events = opened.duplicates()
    assert isinstance(next(events), Progress)
    events.close()
    progress = [event for event in opened.duplicates() if isinstance(event, Progress)]
    assert progress[-1].images_per_second == 0, "it counts pairs"
    assert len(progress) < 3 + 2  # three pictures, two of which may have the same pixels
    assert not any(isinstance(event, Progress) for event in opened.duplicates())
    near_duplicates.render_scene(near_duplicates.make_scene(3)).save(album / "new.jpg")
    index_folder(opened, album, model)
    assert sum(isinstance(event, Progress) for event in opened.duplicates()) == 1


def test_old_fingerprints_are_computed_again(opened: Library, album: Path, model: Path) -> None:
    """A library of an older version has fingerprints of another kind."""
    index_folder(opened, album, model)
    expected = find_duplicates(opened)
    with sqlite3.connect(opened.folder / "catalog.db") as catalog:
        catalog.execute("update fingerprints set kind = 1, hash = 7, copy = x'00', pixels = 'same'")
        catalog.execute("delete from inspections")
    assert find_duplicates(opened) == expected


def test_animations_with_the_same_first_frame(opened: Library, tmp_path: Path, model: Path) -> None:
    """An animation is compared by all its frames, and is no duplicate of its first frame."""
    (tmp_path / "p").mkdir()
    first, second, third = (
        near_duplicates.render_scene(near_duplicates.make_scene(number, 0.4)).resize((256, 192))
        for number in (0, 1, 2)
    )
    first.save(tmp_path / "p/cover.png")
    for name, other in (("one", second), ("other", third), ("copy of one", second)):
        file = tmp_path / f"p/{name}.webp"
        options = {"save_all": True, "append_images": [other], "duration": 200}
        first.save(file, lossless=name != "copy of one", quality=90, **options)
    index_folder(opened, tmp_path / "p", model)
    (group,) = find_duplicates(opened).groups
    assert get_names(group) == ("one.webp", {"copy of one.webp": "near"})


def test_a_changed_file_is_skipped(opened: Library, album: Path, model: Path) -> None:
    """The file is reported as a failure, and the other files are compared."""
    index_folder(opened, album, model)
    save_picture(album / "other.jpg", "red")
    events = list(opened.duplicates())
    (failed,) = [event.failure for event in events if isinstance(event, FileFailed)]
    assert failed.path == str(album / "other.jpg")
    assert "the file has changed since it was indexed" in failed.message
    last = events[-1]
    assert isinstance(last, DuplicatesFound)
    found = last.duplicates
    assert (found.images, found.failed, found.failures) == (2, 1, (failed,))
    assert (found.missing, len(found.groups)) == (0, 1)


def test_a_vanished_file_does_not_count_as_compared(
    opened: Library, album: Path, model: Path
) -> None:
    """Its fingerprint is stored, but nobody could choose or move the file."""
    index_folder(opened, album, model)
    assert find_duplicates(opened).images == 3
    (album / "boat-small.jpg").unlink()
    found = find_duplicates(opened)
    assert (found.images, found.failed, found.missing) == (2, 0, 1)


def test_one_file_by_two_names_is_no_duplicate(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """To move one of two get_names away may move the picture away."""
    file = save_picture(tmp_path / "p/red.jpg")
    os.link(file, file.with_name("same.jpg"))
    (tmp_path / "p/link.jpg").symlink_to(file)
    index_folder(opened, tmp_path / "p", model)
    assert find_duplicates(opened).groups == ()


def test_plain_pictures_are_compared_by_all_pixels(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """A white page has no structure that a small copy could show."""
    folder = tmp_path / "p"
    save_picture(folder / "white.png", "#fefefe")
    save_picture(folder / "copy.bmp", "#fefefe")
    save_picture(folder / "other.png", "#fdfdfd")
    index_folder(opened, folder, model)
    (group,) = find_duplicates(opened).groups
    assert get_names(group)[1].popitem()[1] == "pixels"
    assert Path(group.keeper.path).stem != "other"


def test_filters_limit_the_search(opened: Library, album: Path, model: Path) -> None:
    """Only matching pictures are compared, and only files below the folder are reported."""
    (album / "below").mkdir()
    shutil.move(album / "boat-small.jpg", album / "below")
    index_folder(opened, album, model)
    assert find_duplicates(opened, folder=album / "below").groups == ()
    assert len(find_duplicates(opened, folder=album).groups) == 1
    (group,) = find_duplicates(opened, after="2023", taken=True).groups
    assert get_names(group) == ("boat.jpg", {"boat (1).jpg": "bytes"})


@pytest.mark.parametrize(
    "moments",
    [
        # Time, fraction of a second and time zone; empty: not in the file.
        [("12:00:01", "", ""), ("12:00:02", "", "")],
        [("12:00:00", "450", ""), ("12:00:00", "780", "")],  # a burst
        [("12:00:00", "", "+02:00"), ("13:00:00", "", "+02:00")],  # a time lapse
        [("12:00:00", "", "+02:00"), ("12:00:00", "", "+01:00")],  # another instant
    ],
)
def test_two_moments_are_not_duplicates(
    opened: Library, tmp_path: Path, model: Path, moments: list[tuple[str, str, str]]
) -> None:
    """Pictures of one camera with two capture times are look-alikes."""
    folder, image = tmp_path / "p", near_duplicates.render_scene(near_duplicates.make_scene(1, 0.5))
    folder.mkdir()
    for number, (time, fraction, zone) in enumerate(moments):
        exif = Image.Exif()
        exif[0x0110] = "Q4"
        tags = {0x9003: f"2023:06:17 {time}", 0x9291: fraction, 0x9011: zone}
        exif.get_ifd(0x8769).update({tag: text for tag, text in tags.items() if text})
        image.save(folder / f"{number}.jpg", quality=90 - 5 * number, exif=exif)
    index_folder(opened, folder, model)
    duplicates = find_duplicates(opened, similar=True)
    assert duplicates.groups == ()
    (group,) = duplicates.similar
    assert get_names(group) == ("0.jpg", {"1.jpg": "similar"})
    assert find_duplicates(opened).similar == ()


def test_a_writing_process_is_named(opened: Library, album: Path, model: Path) -> None:
    """If fingerprints are missing, the search needs the lock, and names the process that has it."""
    index_folder(opened, album, model)
    with hold_writer_lock(opened.folder, "searchapp index"):
        errors = list[BaseException]()

        def search() -> None:
            with Library.open(opened.folder, start=FakeEngine) as other:
                try:
                    find_duplicates(other)
                except LibraryError as error:
                    errors.append(error)

        thread = threading.Thread(target=search)
        thread.start()
        thread.join()
    assert "is being written by searchapp index" in str(errors[0])


def test_the_command_changes_no_picture(
    run: RunCommand, album: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """It prints a list or JSON, writes a page and a script, and starts no engine."""
    run("index", album, "--model", model)
    engine_count = len(fake_engines.started_engines)
    before = {file: file.stat().st_mtime_ns for file in album.iterdir()}
    result = run("duplicates")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"keep    {album}/boat.jpg  (its name does not look like a copy)",
        f"bytes   {album}/boat (1).jpg  (the same bytes)",
        f"near    {album}/boat-small.jpg  (scaled to 50 %, without a date)",
        "",
    ]
    assert "2 duplicates of 1 picture" in result.stderr
    (group,) = json.loads(run("duplicates", "--json").stdout)["groups"]
    assert [copy["certainty"] for copy in group["others"]] == ["bytes", "near"]
    assert group["keeper"]["path"] == f"{album}/boat.jpg"
    result = run("duplicates", "--html", tmp_path / "review.html", "--script", tmp_path / "move.sh")
    assert result.stdout == ""
    page = (tmp_path / "review.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "http://" not in page
    assert "https://" not in page
    assert subprocess.run(["sh", "-n", tmp_path / "move.sh"], check=False).returncode == 0
    assert {file: file.stat().st_mtime_ns for file in album.iterdir()} == before
    assert len(fake_engines.started_engines) == engine_count


def test_no_duplicates(run: RunCommand, photos: Path, model: Path) -> None:
    """Finding no duplicates is a success with a note; a missing library is an error."""
    assert run("duplicates").exit_code == 1
    run("index", photos, "--model", model)
    result = run("duplicates")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no duplicates; 3 pictures compared" in result.stderr
