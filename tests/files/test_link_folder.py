"""A folder of links: in step with the hits, stable names, and nothing of others is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.sample_pictures import save_picture

from searchapp.errors import FolderError
from searchapp.files import link_folder
from searchapp.files.link_folder import MANIFEST_NAME, LinkChanges, LinkFolder
from searchapp.files.scan import walk_folder
from searchapp.types import Hit


def make_hit(path: Path | str, *companions: Path) -> Hit:
    return Hit(str(path), 0.5, "0" * 64, width=1, height=1, companions=tuple(map(str, companions)))


def list_names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def read_links(folder: Path) -> dict[str, str]:
    """Return the targets of the links in a folder, by name, below the folder of the test."""
    return {
        file.name: str(file.readlink().relative_to(folder.parent))
        for file in sorted(folder.iterdir())
        if file.is_symlink()
    }


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three pictures, two with the same name."""
    names = ("a/one.jpg", "b/one.jpg", "a/two.jpg")
    return [save_picture(tmp_path / name, "red", mark=n) for n, name in enumerate(names)]


@pytest.fixture
def links(tmp_path: Path) -> LinkFolder:
    folder = LinkFolder(tmp_path / "links", "owner 1")
    folder.create([])
    return folder


def test_links_follow_the_hits(links: LinkFolder, files: list[Path]) -> None:
    """A link keeps its name after the one with the plain name is gone; a sync again is idle."""
    one, other, two = map(make_hit, files)
    assert links.sync([one, other]) == LinkChanges(2, 0)
    assert read_links(links.folder) == {"one-2.jpg": "b/one.jpg", "one.jpg": "a/one.jpg"}
    assert links.sync([two, other]) == LinkChanges(1, 1)
    assert read_links(links.folder) == {"one-2.jpg": "b/one.jpg", "two.jpg": "a/two.jpg"}
    before = (links.folder / MANIFEST_NAME).stat().st_mtime_ns
    assert links.sync([other, two]) == LinkChanges()
    assert (links.folder / MANIFEST_NAME).stat().st_mtime_ns == before
    assert links.sync([one, other, two]) == LinkChanges(1, 0)
    assert read_links(links.folder)["one.jpg"] == "a/one.jpg"
    assert all(file.exists() for file in files)


def test_companions_keep_the_name_of_their_picture(links: LinkFolder, files: list[Path]) -> None:
    """They are numbered together, also if a companion comes later."""
    raw = [file.with_suffix(".dng") for file in files]
    links.sync([make_hit(files[0], raw[0]), make_hit(files[1])])
    links.sync([make_hit(files[0], raw[0]), make_hit(files[1], raw[1])])
    assert read_links(links.folder) == {
        "one.jpg": "a/one.jpg", "one.dng": "a/one.dng",
        "one-2.jpg": "b/one.jpg", "one-2.dng": "b/one.dng",
    }  # fmt: skip


def test_files_and_links_of_others_stay(links: LinkFolder, files: list[Path]) -> None:
    """A file, a link that a person made, and a link that a person changed are never removed."""
    links.sync([make_hit(files[0]), make_hit(files[2])])
    mine = links.folder / "mine.jpg"
    mine.symlink_to(files[1])
    changed = links.folder / "one.jpg"
    changed.unlink()
    changed.symlink_to(files[1])
    replaced = links.folder / "two.jpg"
    replaced.unlink()
    replaced.write_text("a file of the user")
    assert links.sync([make_hit(files[0])]) == LinkChanges(1, 0)
    assert read_links(links.folder) == {
        "mine.jpg": "b/one.jpg", "one.jpg": "b/one.jpg", "one-2.jpg": "a/one.jpg"
    }  # fmt: skip
    assert links.remove() == 1
    assert list_names(links.folder) == ["mine.jpg", "one.jpg", "two.jpg"]
    assert replaced.read_text() == "a file of the user"


def test_removal_leaves_nothing(links: LinkFolder, files: list[Path]) -> None:
    links.sync(list(map(make_hit, files)))
    assert links.remove() == 3
    assert not links.folder.exists()
    assert links.remove() == 0


@pytest.mark.parametrize("step", ["manifest", "first link", "second link"])
def test_after_a_crash_all_links_are_known(
    links: LinkFolder, files: list[Path], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The next sync completes the folder, and can remove all links."""
    one, other, two = map(make_hit, files)
    links.sync([one])
    made = list[Path]()
    real = Path.symlink_to

    def symlink_to(self: Path, target: str) -> None:
        if len(made) >= {"manifest": 0, "first link": 0, "second link": 1}[step]:
            raise OSError(28, "No space left on device")
        made.append(self)
        real(self, target)

    def write(file: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "manifest":
            patch.setattr(link_folder, "write_atomically", write)
        else:
            patch.setattr(Path, "symlink_to", symlink_to)
        with pytest.raises(FolderError, match="No space left on device"):
            links.sync([other, two])
    links.sync([other, two])
    assert sorted(read_links(links.folder).values()) == ["a/two.jpg", "b/one.jpg"]
    assert links.remove() == 2
    assert not links.folder.exists()


def test_files_in_object_storage_are_left_out(links: LinkFolder, files: list[Path]) -> None:
    hits = [make_hit("s3://bucket/red.jpg"), make_hit(files[0])]
    assert links.sync(hits) == LinkChanges(1, 0, skipped=1)


def test_index_ignores_the_folder(links: LinkFolder, files: list[Path]) -> None:
    """A scan of the folder above finds each picture once."""
    links.sync(list(map(make_hit, files)))
    found = [file.path for file in walk_folder(str(links.folder.parent))]
    assert sorted(found) == sorted(map(str, files))


def test_unsuitable_folders_are_refused(tmp_path: Path, links: LinkFolder) -> None:
    """An indexed folder, also through a link; a folder with files; one of another search."""
    photos = save_picture(tmp_path / "photos" / "red.jpg").parent
    (tmp_path / "linked").symlink_to(photos)
    for folder in (photos, photos / "links", tmp_path / "linked" / "links"):
        with pytest.raises(FolderError, match=r"is in .*photos"):
            LinkFolder(folder, "owner 1").create([str(photos)])
    with pytest.raises(FolderError, match="is not empty"):
        LinkFolder(photos, "owner 1").create([])
    with pytest.raises(FolderError, match="links of another saved search"):
        LinkFolder(links.folder, "owner 2").create([])
    with pytest.raises(FolderError, match="links of another saved search"):
        LinkFolder(links.folder, "owner 2").sync([])
    with pytest.raises(FolderError, match="cannot be written: File exists"):
        LinkFolder(photos / "red.jpg", "owner 1").create([])
    assert list_names(photos) == ["red.jpg"]


def test_a_missing_folder_or_manifest_is_an_error(links: LinkFolder, files: list[Path]) -> None:
    """A drive that is not mounted must not get links; a damaged manifest removes nothing."""
    links.sync([make_hit(files[0])])
    (links.folder / MANIFEST_NAME).write_text('{"owner": "owner 1", "links": {"one.jpg": 7}}')
    with pytest.raises(FolderError, match="is damaged"):
        links.sync([])
    assert read_links(links.folder) == {"one.jpg": "a/one.jpg"}
    (links.folder / MANIFEST_NAME).unlink()
    with pytest.raises(FolderError, match="not the folder of the links any more"):
        links.sync([])
    with pytest.raises(FolderError, match="does not exist"):
        LinkFolder(links.folder.parent / "nowhere", "owner 1").sync([])
    assert not (links.folder.parent / "nowhere").exists()


def test_a_manifest_cannot_name_files_elsewhere(links: LinkFolder, files: list[Path]) -> None:
    """A link outside the folder is not removed, whatever the manifest says."""
    outside = links.folder.parent / "outside.jpg"
    outside.symlink_to(files[0])
    manifest = {"owner": "owner 1", "links": {"../outside.jpg": str(files[0])}}
    (links.folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    links.sync([])
    assert outside.is_symlink()


def test_names_that_are_not_utf8(links: LinkFolder, tmp_path: Path) -> None:
    path = os.fsdecode(b"caf\xe9.jpg")
    save_picture(tmp_path / "a.jpg").rename(tmp_path / path)
    links.sync([make_hit(tmp_path / path)])
    assert (links.folder / path).is_file()
    assert links.sync([]) == LinkChanges(0, 1)
