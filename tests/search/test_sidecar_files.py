"""Sidecars are replaced atomically, and never over the work of another program."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.sample_pictures import save_picture

from searchapp.pictures.metadata.xmp import parse_xmp
from searchapp.search.tags import sidecar_files
from searchapp.search.tags.sidecar_files import undo_tags, write_tags
from searchapp.types import Hit, SidecarChange, Tag, TaggedPicture

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""/></rdf:RDF>
</x:xmpmeta>"""
NOBODY = 65534
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
OWN_XMP = XMP.replace(
    b'rdf:about=""/>',
    b'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>'
    b"<rdf:li>Mine</rdf:li></rdf:Bag></dc:subject></rdf:Description>",
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture with the sidecar of another program."""
    file = tmp_path / "a.jpg"
    file.write_bytes(b"picture")
    (tmp_path / "a.jpg.xmp").write_bytes(XMP)
    return file


def tag(*pictures: Path, word: str = "Dog") -> list[SidecarChange]:
    """Write a tag for pictures."""
    return list(write_tags([make_tagged(each, word) for each in pictures], "auto", []))


def make_tagged(picture: Path, word: str) -> TaggedPicture:
    hit = Hit(str(picture), 0.5, "0" * 64, width=4, height=3)
    return TaggedPicture(hit, (Tag(word, 0.5),))


def read_keywords(file: Path) -> tuple[str, ...]:
    found = parse_xmp(file.read_bytes())
    assert found is not None
    return found.keywords


@pytest.fixture
def closed_to_writing() -> Iterator[list[Path]]:
    """Pictures with a read-only sidecar, in a read-only folder, and without a fault.

    Root may write to all of them, so its process becomes another user.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = [folder / "a.jpg", folder / "closed/b.jpg", folder / "c.jpg"]
        pictures[1].parent.mkdir()
        for picture in pictures:
            picture.write_bytes(b"picture")
        (folder / "a.jpg.xmp").write_bytes(XMP)
        (folder / "a.jpg.xmp").chmod(0o444)
        pictures[1].parent.chmod(0o555)
        folder.chmod(0o777)
        if IS_ROOT:
            os.seteuid(NOBODY)
        yield pictures
        if IS_ROOT:
            os.seteuid(0)
        pictures[1].parent.chmod(0o755)


def test_work_of_another_program_is_not_overwritten(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program saves the sidecar while searchapp edits it: its bytes stay."""
    sidecar = picture.with_name("a.jpg.xmp")
    original = sidecar_files.set_own_keywords

    def edit_slowly(data: bytes | None, *arguments: Any) -> bytes | None:
        sidecar.write_bytes(XMP + b"\n")
        return original(data, *arguments)

    monkeypatch.setattr(sidecar_files, "set_own_keywords", edit_slowly)
    (change,) = tag(picture)
    assert change.action == "failed"
    assert "another program" in str(change.reason)
    assert sidecar.read_bytes() == XMP + b"\n"
    assert len(list(picture.parent.iterdir())) == 2


def test_full_disk_keeps_the_sidecar(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old bytes stay, no temporary file remains, and the next run succeeds."""
    with monkeypatch.context() as context:

        def fail(self: Path, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        context.setattr(Path, "write_bytes", fail)
        (change,) = tag(picture)
    assert (change.action, change.reason) == ("failed", "No space left on device")
    assert picture.with_name("a.jpg.xmp").read_bytes() == XMP
    assert len(list(picture.parent.iterdir())) == 2
    assert [each.action for each in tag(picture)] == ["changed"]


def test_link_and_permissions_stay(picture: Path) -> None:
    """A symbolic link still points to its target, which has the same permissions as before."""
    sidecar, target = picture.with_name("a.jpg.xmp"), picture.with_name("real")
    sidecar.rename(target)
    target.chmod(0o640)
    sidecar.symlink_to(target)
    assert [each.action for each in tag(picture)] == ["changed"]
    assert sidecar.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert b"Dog" in target.read_bytes()


def test_both_sidecars_of_a_picture_are_written(picture: Path) -> None:
    """Darktable reads one, and Lightroom the other. The picture stays."""
    picture.with_name("a.xmp").write_bytes(XMP)
    assert [Path(each.path).name for each in tag(picture)] == ["a.jpg.xmp", "a.xmp"]
    assert picture.read_bytes() == b"picture"


def test_linked_sidecar_has_the_tags_of_both_pictures(picture: Path) -> None:
    """Two symbolic links lead to one sidecar; a second call changes nothing; undo restores it."""
    other, target = picture.with_name("b.jpg"), picture.with_name("both")
    other.write_bytes(b"picture")
    picture.with_name("a.jpg.xmp").rename(target)
    for each in (picture, other):
        each.with_name(f"{each.name}.xmp").symlink_to(target)
    tagged = [make_tagged(picture, "Dog"), make_tagged(other, "Cat")]
    assert [each.action for each in write_tags(tagged, "auto", [])] == ["changed"]
    assert set(read_keywords(target)) == {"Dog", "Cat"}
    assert [each.action for each in write_tags(tagged, "auto", [])] == ["unchanged"]
    changes = list(undo_tags([str(picture), str(other)]))
    assert [each.action for each in changes] == ["changed"]
    assert target.read_bytes() == XMP


def test_hard_link_keeps_the_bytes_from_before(picture: Path) -> None:
    """A backup made of hard links does not change with the sidecar."""
    sidecar, backup = picture.with_name("a.jpg.xmp"), picture.with_name("backup")
    backup.hardlink_to(sidecar)
    assert [each.action for each in tag(picture)] == ["changed"]
    assert read_keywords(sidecar) == ("Dog",)
    assert backup.read_bytes() == XMP
    assert [each.action for each in undo_tags([str(picture)])] == ["changed"]
    assert sidecar.read_bytes() == backup.read_bytes()


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_owner_stays(picture: Path) -> None:
    """Root tags the pictures of a user, who can still write the sidecars."""
    sidecar = picture.with_name("a.jpg.xmp")
    os.chown(sidecar, NOBODY, NOBODY)
    assert [each.action for each in tag(picture)] == ["changed"]
    assert (sidecar.stat().st_uid, sidecar.stat().st_gid) == (NOBODY, NOBODY)


def test_read_only_sidecar_and_folder_are_failures(closed_to_writing: list[Path]) -> None:
    """Each is named with a reason, and stays as it is. The next picture gets its tag."""
    read_only, in_read_only_folder, writable = closed_to_writing
    changes = tag(read_only, in_read_only_folder, writable)
    reasons = {Path(each.path).name: (each.action, each.reason) for each in changes}
    assert reasons == {
        "a.jpg.xmp": ("failed", "it is read-only; allow writing to it, and run the command again"),
        "b.jpg.xmp": ("failed", "Permission denied"),
        "c.jpg.xmp": ("created", None),
    }
    assert read_only.with_name("a.jpg.xmp").read_bytes() == XMP
    assert len(list(in_read_only_folder.parent.iterdir())) == 1


def test_missing_picture_gets_no_sidecar(picture: Path) -> None:
    """It was moved since it was indexed."""
    (change,) = tag(picture.with_name("moved.jpg"))
    assert (change.action, change.path) == ("failed", str(picture.with_name("moved.jpg")))
    assert "the picture is gone" in str(change.reason)
    assert len(list(picture.parent.iterdir())) == 2


def test_keywords_in_the_picture_are_not_hidden(tmp_path: Path) -> None:
    """The keywords of a sidecar replace those in the picture, so a new sidecar has both."""
    new, titled, sorted_ = tmp_path / "new.jpg", tmp_path / "titled.jpg", tmp_path / "sorted.jpg"
    for each in (new, titled, sorted_):
        save_picture(each, xmp=OWN_XMP)
    titled.with_name("titled.jpg.xmp").write_bytes(XMP)
    sorted_.with_name("sorted.jpg.xmp").write_bytes(OWN_XMP.replace(b"Mine", b"Other"))
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    tag(new, titled, sorted_)
    keywords = {file.name: read_keywords(file) for file in tmp_path.glob("*.xmp")}
    assert keywords == {
        "new.jpg.xmp": ("Mine", "Dog"),
        "titled.jpg.xmp": ("Mine", "Dog"),
        "sorted.jpg.xmp": ("Other", "Dog"),
    }
    assert {each.action for each in tag(new, titled, sorted_)} == {"unchanged"}
    list(undo_tags(map(str, (new, titled, sorted_))))
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_interrupted_call_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Ctrl-C while the second of three sidecars is written: each is complete, old or new."""
    pictures = [save_picture(tmp_path / f"{n}.jpg", mark=n) for n in range(3)]
    for each in pictures:
        each.with_name(f"{each.name}.xmp").write_bytes(OWN_XMP)
    names, write = {file.name for file in tmp_path.iterdir()}, Path.write_bytes
    written = list[Path]()

    def interrupt(self: Path, data: bytes) -> int:
        written.append(self)
        if len(written) == 2:
            if moment != "before":
                write(self, data[:100] if moment == "during" else data)
            raise KeyboardInterrupt
        return write(self, data)

    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr(Path, "write_bytes", interrupt)
        tag(*pictures)
    assert {file.name for file in tmp_path.iterdir()} == names
    sidecars = [each.with_name(f"{each.name}.xmp") for each in pictures]
    assert [read_keywords(each) for each in sidecars] == [("Mine", "Dog"), ("Mine",), ("Mine",)]
    assert [each.action for each in tag(*pictures)] == ["unchanged", "changed", "changed"]
    assert {read_keywords(each) for each in sidecars} == {("Mine", "Dog")}
