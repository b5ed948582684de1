"""A JPEG with its RAW file, and a Live Photo with its film: one picture with companions."""

import errno
import json
import os
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from support import near_duplicates
from support.dng_files import make_dng
from support.library import FakeEngines, RunCommand, index_folder, search_file_names
from support.metadata_files import make_xmp
from support.sample_pictures import make_picture, save_picture
from support.video_files import write_video

from searchapp.errors import FolderError
from searchapp.files.companions import (
    Companion,
    can_have_companions,
    classify_companion,
    find_related_paths,
    match_companions,
)
from searchapp.files.copy_hits import copy_hits
from searchapp.files.scan import RAW_SUFFIXES
from searchapp.library import Library
from searchapp.types import Hit, IndexOptions, Query, RunSummary, SearchOptions, VanishedFilesKept


def hit(library: Library, text: str) -> Hit:
    first, *_ = library.search(Query(text))
    return first


def companions(library: Library, text: str) -> list[str]:
    return [Path(path).name for path in hit(library, text).companions]


@pytest.fixture
def shot(photos: Path) -> Path:
    """A yellow JPEG with its RAW file, which shows cyan and is named in another case."""
    save_picture(photos / "IMG_1.JPG", "yellow")
    (photos / "img_1.nef").write_bytes(make_dng("cyan", preview=make_picture("cyan", (160, 120))))
    return photos


def test_match_companions_by_folder_and_name() -> None:
    """The same folder and name in any case. Of several pictures, the JPEG gets the companions."""
    files = [("/a/IMG.NEF", "raw"), ("/a/img.mov", "film"), ("/b/IMG.NEF", "raw")]
    pictures = ["/a/img.heic", "/a/Img.jpg", "/a/IMG-1.jpg", "/c/IMG.jpg"]
    assert set(match_companions(files, pictures)) == {
        Companion("/a/IMG.NEF", "/a/Img.jpg", "raw"), Companion("/a/img.mov", "/a/Img.jpg", "film")
    }  # fmt: skip
    for suffix in RAW_SUFFIXES:
        assert classify_companion(f"x{suffix.upper()}", 1 << 40) == "raw"
    assert classify_companion("x.MOV", 3 << 20) == "film"
    assert classify_companion("x.mov", 300 << 20) is None, "a video with the name of a picture"
    assert classify_companion("x.mp4", 1) is None


@pytest.mark.parametrize(("raw", "picture"), [("strasse", "straße"), ("ſ", "s"), ("ﬁ", "fi")])
def test_different_letters_are_different_names(tmp_path: Path, raw: str, picture: str) -> None:
    """Full case folding makes ss of ß: strasse.dng and straße.jpg are two pictures."""
    assert not list(match_companions([(f"/a/{raw}.dng", "raw")], [f"/a/{picture}.jpg"]))
    for name in (f"{raw}.dng", f"{picture}.jpg"):
        (tmp_path / name).touch()
    changed = str(tmp_path / f"{picture}.jpg")
    assert find_related_paths([changed]) == (changed,)


@pytest.mark.parametrize("copy", ["(1)", " (1)", " 2"])
def test_edits_of_numbered_copies_belong_to_their_original(copy: str) -> None:
    """Windows, Takeout and macOS number copies of files in these ways."""
    original, edit = f"/a/IMG_1234{copy}.HEIC", f"/a/IMG_E1234{copy}.JPG"
    assert classify_companion(edit, 100) == "edit"
    found = match_companions([(edit, "edit")], [original, edit, "/a/IMG_1234.HEIC"])
    assert [(each.path, each.picture_path) for each in found] == [(edit, original)]


def test_match_edits_of_apple() -> None:
    """IMG_E1234 belongs to IMG_1234, and so do its film and the adjustments."""
    names = ("IMG_1234.HEIC", "IMG_E1234.JPG", "IMG_1234.AAE", "IMG_O1234.AAE", "IMG_E1234.MOV",
             "IMG_1234.MOV", "IMG_E5678.JPG", "IMG_E5678.MOV", "IMG_0001.PNG", "img_e0001.png",
             "IMG_0001.DNG", "IMG_E12.JPG", "IMG_12.JPG")  # fmt: skip
    files = [f"/a/{name}" for name in names]
    candidates = [(path, kind) for path in files if (kind := classify_companion(path, 1000))]
    found = match_companions(candidates, filter(can_have_companions, files))
    assert {(Path(each.path).name, Path(each.picture_path).name, each.kind) for each in found} == {
        ("IMG_E1234.JPG", "IMG_1234.HEIC", "edit"),
        ("IMG_1234.AAE", "IMG_1234.HEIC", "adjustments"),
        ("IMG_O1234.AAE", "IMG_1234.HEIC", "adjustments"),
        ("IMG_E1234.MOV", "IMG_1234.HEIC", "film"), ("IMG_1234.MOV", "IMG_1234.HEIC", "film"),
        ("IMG_E5678.MOV", "IMG_E5678.JPG", "film"), ("img_e0001.png", "IMG_0001.PNG", "edit"),
    }  # fmt: skip


def test_the_edit_of_a_picture_belongs_to_it(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Both are one hit; a copy keeps both names; without its original, the edit is a picture."""
    save_picture(photos / "IMG_1234.JPG", "yellow")
    save_picture(photos / "IMG_E1234.JPG", "yellow", mark=4)
    (photos / "IMG_1234.AAE").write_text("<plist/>")
    (photos / "IMG_9.AAE").write_text("<plist/>")  # without a picture
    summary = index_folder(opened, photos, model)
    assert summary.failed == 0
    assert [Path(hit.path).name for hit in opened.search(Query("yellow"))].count(
        "IMG_1234.JPG"
    ) == 1
    assert Path(hit(opened, "yellow").path).name == "IMG_1234.JPG"
    assert companions(opened, "yellow") == ["IMG_1234.AAE", "IMG_E1234.JPG"]
    assert index_folder(opened, photos, model).unchanged == summary.added
    copies = tmp_path / "copies"
    copy_hits([hit(opened, "yellow")], copies)
    assert sorted(path.name for path in copies.iterdir()) == [
        "IMG_1234.AAE", "IMG_1234.JPG", "IMG_E1234.JPG",
    ]  # fmt: skip
    (photos / "IMG_1234.JPG").unlink()
    index_folder(opened, photos, model)
    assert Path(hit(opened, "yellow").path).name == "IMG_E1234.JPG"
    assert companions(opened, "yellow") == ["IMG_1234.AAE"]
    summary = index_folder(opened, photos, model, pairs=False)
    assert summary.failed == 0


def test_edits_and_sidecars_are_related_paths(tmp_path: Path) -> None:
    """A change of one of them is indexed together with the others."""
    names = ("IMG_1234.HEIC", "IMG_E1234.JPG", "IMG_1234.AAE", "IMG_1234.HEIC.json",
             "IMG_1234.HEIC.suppl.json", "IMG_1234(1).HEIC", "IMG_1234.HEIC(1).json")  # fmt: skip
    for name in (*names, "IMG_1235.HEIC", "IMG_12.json"):
        (tmp_path / name).touch()
    for name in ("IMG_1234.HEIC", "IMG_1234.HEIC.json", "IMG_1234.AAE"):
        related = find_related_paths([str(tmp_path / name)])
        assert {"IMG_1234.HEIC", "IMG_1234.HEIC.json"} <= {Path(path).name for path in related}
        assert not {"IMG_1235.HEIC", "IMG_12.json"} & {Path(path).name for path in related}
    related = find_related_paths([str(tmp_path / "IMG_E1234.JPG")])
    assert {"IMG_1234.HEIC", "IMG_1234.AAE"} <= {Path(path).name for path in related}
    related = find_related_paths([str(tmp_path / "IMG_1234.HEIC(1).json")])
    assert "IMG_1234(1).HEIC" in {Path(path).name for path in related}


def test_a_raw_file_belongs_to_its_jpeg(
    opened: Library, shot: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """It is shown with the JPEG, and is neither a picture nor embedded."""
    assert index_folder(opened, shot, model) == RunSummary(added=4)
    assert fake_engines.embedded_count == 4
    assert companions(opened, "yellow") == ["img_1.nef"]
    assert search_file_names(opened, "cyan") == []
    assert index_folder(opened, shot, model) == RunSummary(unchanged=4)
    (shot / "img_1.nef").unlink()
    assert companions(opened, "yellow") == []


def test_a_raw_file_without_its_jpeg_is_a_picture(
    opened: Library, shot: Path, model: Path, tmp_path: Path
) -> None:
    """On the next run, and back again. No file counts as lost."""
    index_folder(opened, shot, model)
    shutil.move(shot / "IMG_1.JPG", tmp_path / "away.jpg")
    assert index_folder(opened, shot, model) == RunSummary(added=1, unchanged=3, removed=1)
    assert search_file_names(opened, "cyan") == ["img_1.nef"]
    assert companions(opened, "cyan") == []
    shutil.move(tmp_path / "away.jpg", shot / "IMG_1.JPG")
    assert index_folder(opened, shot, model) == RunSummary(added=1, unchanged=3)
    assert search_file_names(opened, "cyan") == []
    assert companions(opened, "yellow") == ["img_1.nef"]
    assert opened.info().files == 4


def test_many_new_companions_do_not_look_like_an_unmounted_drive(
    opened: Library, photos: Path, model: Path
) -> None:
    """A program has made JPEGs for a folder of RAW files."""
    for number in range(15):
        colour = f"#{number * 16:02x}ff00"
        raw = make_dng(colour, preview=make_picture(colour, (160, 120)))
        (photos / f"{number:02}.cr2").write_bytes(raw)
    assert index_folder(opened, photos, model).added == 18
    for number in range(15):
        save_picture(photos / f"{number:02}.jpg", "yellow", mark=number + 1)
    events = list(opened.index([photos], IndexOptions(str(model))))
    assert not [event for event in events if isinstance(event, VanishedFilesKept)]
    assert opened.info().files == 18
    assert len(companions(opened, "yellow")) == 1


def test_an_unmounted_drive_keeps_companions(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """Companions are kept together with their vanished pictures."""
    for number in range(15):
        save_picture(photos / f"sub/{number:02}.jpg", "yellow", mark=number + 1)
        (photos / f"sub/{number:02}.dng").write_bytes(make_dng("cyan"))
    index_folder(opened, photos, model)
    shutil.move(photos / "sub", tmp_path / "sub")
    assert index_folder(opened, photos, model) == RunSummary(unchanged=3, kept=15)
    shutil.move(tmp_path / "sub", photos / "sub")
    assert len(companions(opened, "yellow")) == 1
    assert index_folder(opened, photos, model) == RunSummary(unchanged=18)


def test_raw_files_become_pictures_when_many_jpegs_vanish(
    opened: Library, photos: Path, model: Path
) -> None:
    """The vanished JPEGs are kept, and no longer hide their RAW files."""
    for number in range(15):
        save_picture(photos / f"{number:02}.jpg", "yellow", mark=number + 1)
        raw = make_dng(f"#00{number * 16:02x}ff", preview=make_picture("cyan", (160, 120)))
        (photos / f"{number:02}.dng").write_bytes(raw)
    index_folder(opened, photos, model)
    for number in range(15):
        (photos / f"{number:02}.jpg").unlink()
    assert index_folder(opened, photos, model) == RunSummary(added=15, unchanged=3, kept=15)
    assert index_folder(opened, photos, model) == RunSummary(unchanged=18, kept=15)
    assert opened.info().files == 3 + 15 + 15
    assert "00.dng" in search_file_names(opened, "cyan")


def test_a_raw_file_of_a_broken_jpeg_is_a_picture(opened: Library, shot: Path, model: Path) -> None:
    """From the next run on, since the JPEG cannot be decoded."""
    (shot / "IMG_1.JPG").write_bytes(b"broken")
    assert index_folder(opened, shot, model) == RunSummary(added=3, failed=1)
    assert index_folder(opened, shot, model) == RunSummary(added=1, unchanged=3)
    assert search_file_names(opened, "cyan") == ["img_1.nef"]


def test_a_live_photo_is_one_picture(opened: Library, photos: Path, model: Path) -> None:
    """Its film is not a video; a film with another name is."""
    save_picture(photos / "IMG_2.heic", "yellow", quality=90)
    write_video(photos / "IMG_2.MOV".lower(), (("cyan", 2),))
    write_video(photos / "IMG_3.mov", (("purple", 2),))
    assert index_folder(opened, photos, model) == RunSummary(added=5)
    assert companions(opened, "yellow") == ["img_2.mov"]
    assert hit(opened, "purple").seconds == 0.0
    assert search_file_names(opened, "cyan") == []
    assert index_folder(opened, photos, model, pairs=False) == RunSummary(added=1, unchanged=5)
    assert search_file_names(opened, "cyan") == ["img_2.mov"]
    assert companions(opened, "yellow") == []


def test_companions_are_shown_and_copied(
    run: RunCommand, shot: Path, model: Path, tmp_path: Path
) -> None:
    """In --json, and by --copy-to and --link-to under the new name of the picture."""
    run("index", shot, "--model", model)
    (found,) = json.loads(run("query", "yellow", "-k", 1, "--json").stdout)
    assert found["companions"] == [str(shot / "img_1.nef")]
    save_picture(tmp_path / "out/IMG_1.JPG", "red")
    result = run("query", "yellow", "-k", 1, "--copy-to", tmp_path / "out")
    assert "copied 1 picture " in result.stderr
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["IMG_1-2.JPG", "IMG_1-2.nef", "IMG_1.JPG"]
    run("query", "yellow", "-k", 1, "--copy-to", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 3
    run("query", "yellow", "-k", 1, "--link-to", tmp_path / "links")
    assert (tmp_path / "links/IMG_1.nef").resolve() == shot / "img_1.nef"


def save_raw_pair(folder: Path, suffix: str, color: str) -> Path:
    """Write IMG_1 with a suffix, and IMG_1.NEF of the same color; return the RAW file."""
    save_picture(folder / f"IMG_1{suffix}", color)
    raw = folder / "IMG_1.NEF"
    raw.write_bytes(make_dng(color, preview=make_picture(color, (160, 120))))
    return raw


@pytest.mark.parametrize("suffixes", [(".JPG", ".JPG"), (".JPG", ".HEIC")])
@pytest.mark.parametrize("option", ["--copy-to", "--link-to"])
def test_companions_with_the_same_name_are_all_copied(
    run: RunCommand, model: Path, tmp_path: Path, suffixes: tuple[str, str], option: str
) -> None:
    """Each RAW file stays with its own picture; a second call adds nothing."""
    raws = [
        save_raw_pair(tmp_path / "photos" / color, suffix, color)
        for color, suffix in zip(("yellow", "cyan"), suffixes, strict=True)
    ]
    run("index", tmp_path / "photos", "--model", model)
    for _ in range(2):
        run("query", "yellow", option, tmp_path / "out")
        assert {file.name for file in (tmp_path / "out").iterdir()} == {
            f"IMG_1{suffixes[0]}", "IMG_1.NEF", f"IMG_1-2{suffixes[1]}", "IMG_1-2.NEF"
        }  # fmt: skip
        copies = [(tmp_path / "out" / name).read_bytes() for name in ("IMG_1.NEF", "IMG_1-2.NEF")]
        assert copies == [raw.read_bytes() for raw in raws]


def test_companions_that_differ_in_case_are_all_copied(tmp_path: Path) -> None:
    """Both RAW files of one picture, although they get the same name."""
    picture = save_picture(tmp_path / "photos/IMG_1.jpg", "red")
    raws = [tmp_path / "photos" / name for name in ("IMG_1.NEF", "img_1.NEF")]
    for raw in raws:
        raw.write_text(raw.name)
    paths = tuple(map(str, raws))
    hit = Hit(str(picture), 1.0, "0" * 64, companions=paths, width=80, height=60)
    assert copy_hits([hit], tmp_path / "out") == 1
    copies = sorted((tmp_path / "out").glob("*.NEF"))
    assert {copy.read_text() for copy in copies} == {"IMG_1.NEF", "img_1.NEF"}
    assert copy_hits([hit], tmp_path / "out") == 0
    assert sorted((tmp_path / "out").glob("*.NEF")) == copies


def test_a_copy_that_fails_leaves_no_part(
    opened: Library, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run would keep the part, and copy the picture to another name."""
    index_folder(opened, photos, model)
    hits = opened.list_newest(SearchOptions(format="png")).hits

    def fill_disk(source: str, target: Path) -> None:
        target.write_bytes(b"part")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        for name in ("copyfile", "copy2"):
            patched.setattr(shutil, name, fill_disk)
        with pytest.raises(FolderError, match="No space left on device"):
            copy_hits(hits, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    (photos / "green.png").chmod(0o444)
    os.utime(photos / "green.png", (1e9, 1e9))
    assert copy_hits(hits, tmp_path / "out") == 1
    state = (tmp_path / "out" / "green.png").stat()
    assert (state.st_mode & 0o777, state.st_mtime) == (0o444, 1e9)


def test_prune_forgets_companions_with_their_pictures(
    opened: Library, shot: Path, model: Path
) -> None:
    """Companions of existing pictures stay."""
    index_folder(opened, shot, model)
    assert opened.prune(missing=True).files == 0
    assert companions(opened, "yellow") == ["img_1.nef"]
    for name in ("IMG_1.JPG", "img_1.nef"):
        (shot / name).unlink()
    assert opened.prune(missing=True).files == 1
    assert index_folder(opened, shot, model) == RunSummary(unchanged=3)
    save_picture(shot / "IMG_1.JPG", "yellow")
    assert index_folder(opened, shot, model).added == 1
    assert companions(opened, "yellow") == []


def test_other_folders_keep_their_companions(
    opened: Library, shot: Path, model: Path, tmp_path: Path
) -> None:
    """A run over one folder changes nothing in another."""
    index_folder(opened, shot, model)
    save_picture(tmp_path / "other/a.jpg", "gray")
    index_folder(opened, tmp_path / "other", model)
    index_folder(opened, shot / "below", model)
    assert companions(opened, "yellow") == ["img_1.nef"]


def test_companion_names_need_not_be_utf8(opened: Library, photos: Path, model: Path) -> None:
    """A companion's name can contain any bytes."""
    save_picture(photos / "x.jpg", "yellow").rename(
        photos / b"caf\xe9.jpg".decode(errors="surrogateescape")
    )
    raw = photos / b"caf\xe9.dng".decode(errors="surrogateescape")
    raw.write_bytes(make_dng("cyan"))
    index_folder(opened, photos, model)
    (only,) = opened.search(Query("yellow"), SearchOptions(count=1))
    assert only.companions == (str(raw),)


def duplicates(run: RunCommand, *options: object) -> tuple[list[str], dict[str, list[str]]]:
    """Return the names of the keepers, and of the other copies with their companions."""
    groups = json.loads(run("duplicates", "--json", *options).stdout)["groups"]
    others = {
        Path(copy["path"]).name: copy["companions"] for group in groups for copy in group["others"]
    }
    return [Path(group["keeper"]["path"]).name for group in groups], others


def test_the_duplicate_with_a_raw_file_is_kept(run: RunCommand, shot: Path, model: Path) -> None:
    """Even if another is larger: the RAW file has full quality, and needs its JPEG."""
    image = near_duplicates.render_scene(near_duplicates.make_scene(1))
    image.save(shot / "larger.png")
    image.resize((300, 300)).save(shot / "IMG_1.JPG")
    run("index", shot, "--model", model)
    kept, others = duplicates(run)
    assert (kept, others) == (["IMG_1.JPG"], {"larger.png": []})
    assert "(has the RAW file img_1.nef)" in run("duplicates").stdout


def test_companions_of_a_duplicate_move_with_it(
    run: RunCommand, shot: Path, model: Path, tmp_path: Path
) -> None:
    """RAW files and sidecars, by script and page. Those of other pictures stay."""
    (shot / "copies").mkdir()
    for name in ("IMG_1.JPG", "img_1.nef"):
        shutil.copy(shot / name, shot / "copies")
    for name in ("IMG_1.JPG.xmp", "IMG_1.xmp", "red.xmp", "red.jpg.xmp"):
        (shot / "copies" / name).write_bytes(make_xmp())
    shutil.copy(shot / "red.jpg", shot / "copies")
    save_picture(shot / "copies/red.png", "gray")
    run("index", shot, "--model", model)
    for name in ("IMG_1.JPG", "red.jpg"):  # A copy with a sidecar is the keeper.
        (shot / name).with_name(f"{name}.xmp").write_bytes(make_xmp())
    run("index", shot)
    kept, others = duplicates(run, "--script", tmp_path / "move.sh", "--html", tmp_path / "x.html")
    assert sorted(kept) == ["IMG_1.JPG", "red.jpg"]
    names = {name: [Path(path).name for path in paths] for name, paths in others.items()}
    assert names == {
        "IMG_1.JPG": ["IMG_1.JPG.xmp", "IMG_1.xmp", "img_1.nef"], "red.jpg": ["red.jpg.xmp"]
    }  # fmt: skip
    assert "with IMG_1.JPG.xmp, with IMG_1.xmp, with img_1.nef" in (tmp_path / "x.html").read_text()
    away = tmp_path / "away"
    done = subprocess.run(
        ["sh", tmp_path / "move.sh", away], check=True, capture_output=True, text=True
    )
    assert done.stderr == "6 files moved, 0 skipped\n"
    assert {file.name for file in (shot / "copies").iterdir()} == {"red.png", "red.xmp"}
    moved = sorted(file.name for file in away.rglob("*") if file.is_file())
    assert moved == sorted([*names, *chain(*names.values())])
    run("index", shot)
    assert duplicates(run) == ([], {})


def test_find_related_paths_lists_each_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying a camera card makes thousands of changes in one folder."""
    names = ("IMG_1.jpg", "img_1.DNG", "IMG_1.xmp", "IMG_1.jpg.xmp", "IMG_2.jpg", "IMG_3.jpg")
    files = [str(tmp_path / name) for name in names]
    for file in files:
        Path(file).write_bytes(b"x")
    listed, scandir = list[str](), os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (listed.append(folder), scandir(folder))[1])
    changed = [files[3], files[4], str(tmp_path / "gone.jpg")]
    assert set(find_related_paths(changed)) == {*files[:5], changed[2]}
    assert set(find_related_paths([files[0]])) == set(files[:4])
    assert listed == [str(tmp_path)] * 2
