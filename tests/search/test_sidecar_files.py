"""Sidecars are replaced atomically, and never over the work of another program."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from searchapp.search.tags import sidecar_files
from searchapp.search.tags.sidecar_files import write_tags
from searchapp.types import Hit, SidecarChange, Tag, TaggedPicture

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""/></rdf:RDF>
</x:xmpmeta>"""


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture with the sidecar of another program."""
    file = tmp_path / "a.jpg"
    file.write_bytes(b"picture")
    (tmp_path / "a.jpg.xmp").write_bytes(XMP)
    return file


def tag(picture: Path) -> list[SidecarChange]:
    """Write the tag Dog for one picture."""
    hit = Hit(str(picture), 0.5, "0" * 64)
    return list(write_tags([TaggedPicture(hit, (Tag("Dog", 0.5),))], "auto", []))


def test_work_of_another_program_is_not_overwritten(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program saves the sidecar while searchapp edits it: its bytes stay."""
    sidecar = picture.with_name("a.jpg.xmp")
    original = sidecar_files.set_own_keywords

    def edit_slowly(data: bytes | None, paths: list[str]) -> bytes | None:
        sidecar.write_bytes(XMP + b"\n")
        return original(data, paths)

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
