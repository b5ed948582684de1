import logging
import os
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from searchapp.errors import FolderError
from searchapp.files.ignore_rules import IgnoreRules
from searchapp.files.roots import resolve_roots
from searchapp.files.scan import (
    ScannedFile,
    UnreadablePath,
    walk_folder,
)


def touch(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    return file


def paths(root: Path) -> list[str]:
    return [
        str(Path(f.path).relative_to(root))
        for f in walk_folder(str(root))
        if isinstance(f, ScannedFile)
    ]


def test_every_regular_file_is_found_in_order(tmp_path: Path) -> None:
    """Folder by folder, sorted by name, with size and time."""
    for name in ("b.jpg", "a.txt", "z/c.jpg", "m/n/d.jpg"):
        touch(tmp_path / name)
    assert paths(tmp_path) == ["a.txt", "b.jpg", "m/n/d.jpg", "z/c.jpg"]
    (first, *_) = walk_folder(str(tmp_path))
    assert isinstance(first, ScannedFile)
    assert (first.size, first.mtime_ns) == (1, (tmp_path / "a.txt").stat().st_mtime_ns)


def test_hidden_and_system_files_are_skipped(tmp_path: Path) -> None:
    """System files are not pictures of the user."""
    for name in (
        ".hidden.jpg", ".DS_Store", "._kept.jpg", ".trash/a.jpg", ".Trash-1000/files/a.jpg",
        ".Trashes/501/a.jpg", ".thumbnails/a.png", "@eaDir/a.jpg", "below/@eaDir/b.jpg/x.jpg",
        "$RECYCLE.BIN/S-1/a.jpg", "$Recycle.Bin/a.jpg", "#recycle/a.jpg", "@Recycle/a.jpg",
        "lost+found/#12.jpg", "__MACOSX/a.jpg", "System Volume Information/a.jpg",
        "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini",
        "kept.jpg", "below/lost and found/kept.jpg", "recycled/kept.jpg",
    ):  # fmt: skip
        touch(tmp_path / name)
    kept = ["below/lost and found/kept.jpg", "recycled/kept.jpg"]
    assert paths(tmp_path) == ["kept.jpg", *kept]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    """A loop of links ends the scan; a linked picture counts."""
    touch(tmp_path / "real.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "fifo.jpg")
    assert paths(tmp_path) == ["link.jpg", "real.jpg"]


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan continues with the other folders."""
    touch(tmp_path / "closed/a.jpg")
    touch(tmp_path / "open/b.jpg")
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list(walk_folder(str(tmp_path)))
    assert UnreadablePath(str(tmp_path / "closed"), "Permission denied") in found
    assert any(isinstance(f, ScannedFile) and f.path.endswith("b.jpg") for f in found)


def test_roots_must_be_folders(tmp_path: Path) -> None:
    """A missing folder and a file are errors that say what to do."""
    with pytest.raises(FolderError, match=r"nowhere: no such folder; check the path"):
        resolve_roots([tmp_path / "nowhere"])
    with pytest.raises(FolderError, match="is a file; name the folder that contains it"):
        resolve_roots([touch(tmp_path / "a.jpg")])
    assert resolve_roots([tmp_path]) == [str(tmp_path)]


@pytest.mark.parametrize(
    ("name", "expected"), [("a.JPG", True), ("a.heic", True), ("a.txt", False), ("jpg", False)]
)
def test_suffixes(name: str, expected: bool) -> None:
    """Only the last suffix counts, in any case."""
    assert ScannedFile(f"/x/{name}", 1, 1).has_known_suffix is expected


@pytest.mark.parametrize("disk_form", ["NFC", "NFD"])
@pytest.mark.parametrize("pattern_form", ["NFC", "NFD"])
def test_ignore_rules_ignore_the_unicode_normal_form(
    tmp_path: Path, disk_form: Literal["NFC", "NFD"], pattern_form: Literal["NFC", "NFD"]
) -> None:
    """The listed names keep the form that they have on the disk."""
    for name in ("Café/a.jpg", "é.jpg", "ü.jpg"):
        file = tmp_path / normalize(disk_form, name)
        file.parent.mkdir(exist_ok=True)
        file.touch()
    patterns = normalize(pattern_form, "Café/\né.*\n")
    (tmp_path / ".searchappignore").write_text(patterns, encoding="utf-8")
    included = (normalize(pattern_form, "[éü].jpg"),)
    rules = IgnoreRules.from_options(str(tmp_path), included, ())
    names = [Path(f.path).name for f in walk_folder(str(tmp_path), rules)]  # type: ignore[union-attr]
    assert names == [normalize(disk_form, "ü.jpg")]


def test_ignore_files_work_as_in_git(tmp_path: Path) -> None:
    """For the folder and all below it; the innermost decides; folders are excluded completely."""
    for name in (
        "a.jpg", "a.png", "keep.png", "Screenshots/a.jpg", "2021/a.png", "2021/b.jpg",
        "2021/raw/a.jpg", "2021/raw/deep/a.jpg", "2022/raw/a.jpg", "2022/x.tmp.jpg",
    ):  # fmt: skip
        touch(tmp_path / name)
    (tmp_path / ".searchappignore").write_text("# mine\n*.png\n!keep.png\nScreenshots/\n*.tmp.*\n")
    (tmp_path / "2021" / ".searchappignore").write_text("/raw/\n!a.png\n")
    assert paths(tmp_path) == ["a.jpg", "keep.png", "2021/a.png", "2021/b.jpg", "2022/raw/a.jpg"]


def test_includes_and_excludes(tmp_path: Path) -> None:
    """They apply to each root; a bad pattern is an error that names its source."""
    for name in ("a.jpg", "b.png", "old/a.jpg", "old/c.png", "new/a.jpg"):
        touch(tmp_path / name)

    def list_scanned(include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
        found = walk_folder(
            str(tmp_path), IgnoreRules.from_options(str(tmp_path), include, exclude)
        )
        return [
            str(Path(f.path).relative_to(tmp_path)) for f in found if isinstance(f, ScannedFile)
        ]

    assert list_scanned(include=("*.jpg",)) == ["a.jpg", "new/a.jpg", "old/a.jpg"]
    assert list_scanned(include=("*.jpg",), exclude=("old/",)) == ["a.jpg", "new/a.jpg"]
    assert list_scanned(exclude=("a.jpg",)) == ["b.png", "old/c.png"]
    assert list_scanned(exclude=("/a.jpg", "new")) == ["b.png", "old/a.jpg", "old/c.png"]
    with pytest.raises(FolderError, match=r"--exclude: .*'!'"):
        list_scanned(exclude=("!",))
    (tmp_path / "old" / ".searchappignore").write_text("!\n")
    with pytest.raises(FolderError, match=r"old/.searchappignore: "):
        list_scanned()


def test_skipped_paths_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Excluded paths at the level info, hidden files at debug, each with its reason."""
    for name in ("a.jpg", "b.png", "old/c.jpg", ".hidden.jpg"):
        touch(tmp_path / name)
    caplog.set_level(logging.DEBUG, "searchapp.files.scan")
    rules = IgnoreRules.from_options(str(tmp_path), (), ("*.png", "old/"))
    assert [Path(f.path).name for f in walk_folder(str(tmp_path), rules)] == ["a.jpg"]  # type: ignore[union-attr]
    hidden = "its name is that of a hidden or system file"
    excluded = "--include, --exclude or .searchappignore excludes it"
    assert {(record.levelno, record.message) for record in caplog.records} == {
        (logging.INFO, f"Skipped {tmp_path}/b.png: {excluded}"),
        (logging.INFO, f"Skipped {tmp_path}/old: {excluded}"),
        (
            logging.DEBUG,
            f"Skipped {tmp_path}/.hidden.jpg: {hidden}",
        ),
    }
