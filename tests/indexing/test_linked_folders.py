"""Linked folders are left out by name, and no folder is indexed under two names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.files import scan
from searchapp.files.roots import name_roots_once
from searchapp.files.seen_folders import LinkedFolder, SeenFolders
from searchapp.library import Library
from searchapp.types import IndexOptions, Query, RunFinished, RunSummary, SearchOptions


def index_all(library: Library, model: Path, *folders: Path) -> RunSummary:
    """Index several folders in one run."""
    *_, last = library.index(folders, IndexOptions(model=str(model)))
    assert isinstance(last, RunFinished)
    return last.summary


def list_hits(library: Library) -> list[str]:
    """Return the paths of all files that searches find."""
    hits = library.search(Query("red"), SearchOptions(count=100))
    return [path for hit in hits for path in (hit.path, *hit.also)]


def test_a_linked_folder_is_named_until_it_is_indexed(
    opened: Library, photos: Path, model: Path, tmp_path: Path, run: RunCommand
) -> None:
    """The summary names it; indexing its target by name includes its pictures once."""
    save_picture(tmp_path / "nas" / "yellow.jpg", "yellow")
    (photos / "link").symlink_to(tmp_path / "nas")
    (photos / "excluded").symlink_to(tmp_path / "nas")
    (photos / ".searchappignore").write_text("excluded/\n")
    summary = index_folder(opened, photos, model)
    assert summary == RunSummary(added=3, left_out=(str(photos / "link"),))
    done = run("index", "--dry-run", photos)
    assert f"left out 1 linked folder: {photos / 'link'} -> {tmp_path / 'nas'}" in done.stderr
    assert index_folder(opened, tmp_path / "nas", model) == RunSummary(added=1)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)
    assert opened.info().files == 4


def test_loops_and_links_to_scanned_folders_are_no_news(
    opened: Library, photos: Path, model: Path
) -> None:
    """Their pictures are indexed under the name of the folder itself, once."""
    (photos / "loop").symlink_to(photos)
    (photos / "below" / "up").symlink_to("..")
    (photos / "again").symlink_to("below")
    assert index_folder(opened, photos, model) == RunSummary(added=3)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3)


def test_hard_links_and_links_to_files_are_files_of_their_own(
    opened: Library, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """One of two hard links can be deleted, so both are files; they are embedded once."""
    os.link(photos / "red.jpg", photos / "hard.jpg")
    (photos / "soft.jpg").symlink_to("red.jpg")
    assert index_folder(opened, photos, model) == RunSummary(added=5)
    assert (opened.info().files, fake_engines.embedded_count) == (5, 3)


def test_a_root_with_two_names_is_indexed_once(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """In one run and in later runs, the folder keeps the name that the library knows."""
    link = tmp_path / "link"
    link.symlink_to(photos)
    assert index_all(opened, model, link, photos).added == 3
    assert index_all(opened, model, link).unchanged == 3
    assert index_all(opened, model, photos).unchanged == 3
    below = index_folder(opened, link / "below", model)
    assert (below.added, below.unchanged) == (0, 1)
    assert index_folder(opened, link / "red.jpg", model) == RunSummary(unchanged=1)
    save_picture(photos / "red.jpg", "yellow")  # as watch notices it below the link
    only = (str(link / "red.jpg"),)
    assert index_folder(opened, link, model, only=only) == RunSummary(added=1)
    assert opened.info().files == 3
    assert {str(Path(hit).parent) for hit in list_hits(opened)} == {
        str(photos), str(photos / "below"),
    }  # fmt: skip


def test_a_root_indexed_through_a_link_keeps_its_name(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """The real name, a folder below and a folder above add no second copy."""
    link = tmp_path / "link"
    link.symlink_to(photos)
    index_folder(opened, link, model)
    for folder in (photos, photos / "below", tmp_path):
        index_folder(opened, folder, model)
    assert {Path(hit).is_relative_to(link) for hit in list_hits(opened)} == {True}
    assert opened.info().files == 3


def test_a_folder_with_two_names_is_scanned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bind mount or a junction looks like a folder; device and inode tell that it is another."""
    for name in ("a", "b"):
        save_picture(tmp_path / name / "red.jpg")
    stat = os.stat

    def bind(path: str | Path, **options: bool) -> os.stat_result:
        return stat(tmp_path / "a" if str(path) == str(tmp_path / "b") else path, **options)

    monkeypatch.setattr(os, "stat", bind)
    seen = SeenFolders()
    (found,) = scan.walk_folder(str(tmp_path), seen=seen)
    assert found.path == str(tmp_path / "a" / "red.jpg")
    assert seen.linked == [LinkedFolder(str(tmp_path / "b"), str(tmp_path / "a"), is_link=False)]
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert name_roots_once([a, b], []) == {a: a, b: a}
