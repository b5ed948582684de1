"""Duplicates: what is found, what is not taken for one, which file is to be kept, and why."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import near_duplicates
from support.browser import CHROMIUM_PATH, needs_chromium
from support.fake_engine import FakeEngine
from support.library import FakeEngines, RunCommand, index_folder, write_fake_clip
from support.metadata_files import make_xmp
from support.sample_pictures import save_picture

from searchapp.duplicates import fingerprint, group_pairs, move_script
from searchapp.duplicates.candidates import find_pairs_by_hash
from searchapp.errors import LibraryError
from searchapp.files.lock import hold_writer_lock
from searchapp.library import Library
from searchapp.pages.duplicates_review import write_review
from searchapp.types import (
    DuplicateFile,
    DuplicateGroup,
    DuplicateOptions,
    Duplicates,
    DuplicatesFound,
    FileFailed,
    Progress,
)

SCENES = 15
BAR = 0.98  # of the changed pictures, that are found


def found(library: Library, **options: object) -> Duplicates:
    *_, last = library.duplicates(DuplicateOptions(**options))  # type: ignore[arg-type]
    assert isinstance(last, DuplicatesFound)
    return last.duplicates


def listed(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def names(group: DuplicateGroup) -> tuple[str, dict[str, str | None]]:
    """Return the name of the file to keep, and of the others with how sure they are."""
    others = {Path(copy.path).name: copy.certainty for copy in group.others}
    return Path(group.keeper.path).name, others


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Duplicates, Path]]:
    """What is found among scenes, changed copies of each, and other moments of the same scenes."""
    folder = tmp_path_factory.mktemp("changed")
    for number in range(SCENES):
        scene = near_duplicates.make_scene(number, 0.5)
        original = near_duplicates.write_original(
            near_duplicates.render_scene(scene), folder / f"p/original/{number}.jpg"
        )
        for change in near_duplicates.CHANGES:
            near_duplicates.write_changed_copy(original, change, folder / "p")
        moment = near_duplicates.make_other_moment(scene, number)
        near_duplicates.write_original(
            near_duplicates.render_scene(moment), folder / f"p/moment/{number}.jpg"
        )
    model = write_fake_clip(folder / "fake-clip")
    with Library.open(folder / "library", create=True, start=FakeEngine) as library:
        index_folder(library, folder / "p", model)
        yield found(library), folder / "p"


def test_changed_copies_are_found(changed: tuple[Duplicates, Path]) -> None:
    """Of each change at least 98 % are found, each in the group of its own original."""
    duplicates, folder = changed
    group_of = {
        Path(copy.path).relative_to(folder): number
        for number, group in enumerate(duplicates.groups)
        for copy in (group.keeper, *group.others)
    }
    for change in near_duplicates.CHANGES:
        files = [
            file.relative_to(folder)
            for file in near_duplicates.change_folder(change, folder).iterdir()
        ]
        assert len(files) == SCENES
        missed = [
            file
            for file in files
            if group_of.get(file, -1) != group_of.get(Path(f"original/{file.stem}.jpg"), -2)
        ]
        bar = BAR if change not in near_duplicates.HARD_CHANGES else 0.8
        assert len(missed) <= (1 - bar) * SCENES, missed


def test_nothing_else_is_called_a_duplicate(changed: tuple[Duplicates, Path]) -> None:
    """No group has two scenes in it, and none another moment of its scene."""
    duplicates, _ = changed
    for group in duplicates.groups:
        files = [Path(copy.path) for copy in (group.keeper, *group.others)]
        assert len({file.stem for file in files}) == 1, files
        assert not any(file.parent.name == "moment" for file in files), files


def test_how_sure_it_is_and_how_they_differ(changed: tuple[Duplicates, Path]) -> None:
    """The same bytes, the same pixels, or near, with what was done to a file in words."""
    duplicates, folder = changed
    told = {
        Path(copy.path).relative_to(folder).parts[0]: copy
        for group in duplicates.groups
        for copy in group.others
        if Path(copy.path).stem == "0"
    }
    assert told["original"].certainty == told["other EXIF"].certainty == "pixels"
    assert told["rotate 180"].certainty == "near"
    assert "rotated by 180°" in told["rotate 180"].difference
    assert "scaled to 50 %" in told["50 percent resize"].difference
    assert "shows less: about 5 %" in told["5 percent crop"].difference
    assert "mirrored" in told["mirror"].difference
    assert "rotated by" in told["rotate 90"].difference


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A picture, a smaller copy, one with the same bytes, and another picture."""
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


def test_the_one_to_keep_is_told_with_the_reason(opened: Library, album: Path, model: Path) -> None:
    """Most pixels win; of the same bytes the name without a mark."""
    index_folder(opened, album, model)
    duplicates = found(opened)
    (group,) = duplicates.groups
    assert names(group) == ("boat.jpg", {"boat (1).jpg": "bytes", "boat-small.jpg": "near"})
    assert group.reason == "its name does not look like a copy"
    assert group.others[1].difference == "scaled to 50 %, without a date"
    (album / "boat (1).jpg").unlink()
    (group,) = found(opened).groups
    assert names(group) == ("boat.jpg", {"boat-small.jpg": "near"})
    assert group.reason == "most pixels: 600x600, the next 300x300"


def test_what_was_read_is_kept(opened: Library, album: Path, model: Path) -> None:
    """A second search reads nothing; what was interrupted goes on; another picture is read."""
    index_folder(opened, album, model)
    events = opened.duplicates()
    assert isinstance(next(events), Progress)
    events.close()
    read = [event for event in opened.duplicates() if isinstance(event, Progress)]
    assert len(read) < 3 + 2  # three pictures, two of which may hold the same pixels
    assert not any(isinstance(event, Progress) for event in opened.duplicates())
    near_duplicates.render_scene(near_duplicates.make_scene(3)).save(album / "new.jpg")
    index_folder(opened, album, model)
    assert sum(isinstance(event, Progress) for event in opened.duplicates()) == 1


def test_a_file_that_is_no_more_as_it_was_is_left_out(
    opened: Library, album: Path, model: Path
) -> None:
    """It is told, and the rest is compared."""
    index_folder(opened, album, model)
    save_picture(album / "other.jpg", "red")
    events = list(opened.duplicates())
    (failed,) = [event.failure for event in events if isinstance(event, FileFailed)]
    assert failed.path == str(album / "other.jpg")
    assert "the file has changed since it was indexed" in failed.message
    last = events[-1]
    assert isinstance(last, DuplicatesFound)
    assert (last.duplicates.failed, len(last.duplicates.groups)) == (1, 1)


def test_one_file_by_two_names_is_no_duplicate(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """To move one of two names away may move the picture away."""
    file = save_picture(tmp_path / "p/red.jpg")
    os.link(file, file.with_name("same.jpg"))
    (tmp_path / "p/link.jpg").symlink_to(file)
    index_folder(opened, tmp_path / "p", model)
    assert found(opened).groups == ()


def test_plain_pictures_are_the_same_only_by_their_pixels(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """A white page says nothing that could be compared."""
    folder = tmp_path / "p"
    save_picture(folder / "white.png", "#fefefe")
    save_picture(folder / "copy.bmp", "#fefefe")
    save_picture(folder / "other.png", "#fdfdfd")
    index_folder(opened, folder, model)
    (group,) = found(opened).groups
    assert names(group)[1].popitem()[1] == "pixels"
    assert Path(group.keeper.path).stem != "other"


def test_a_folder_and_other_filters_limit_it(opened: Library, album: Path, model: Path) -> None:
    """Only what fulfils them is compared, and only files below the folder count."""
    (album / "below").mkdir()
    shutil.move(album / "boat-small.jpg", album / "below")
    index_folder(opened, album, model)
    assert found(opened, folder=album / "below").groups == ()
    assert len(found(opened, folder=album).groups) == 1
    (group,) = found(opened, after="2023", taken=True).groups
    assert names(group) == ("boat.jpg", {"boat (1).jpg": "bytes"})


def test_bursts_of_one_camera_are_no_duplicates(
    opened: Library, tmp_path: Path, model: Path
) -> None:
    """Two moments by the same camera's clock are two pictures, and look-alikes if asked for."""
    folder, image = tmp_path / "p", near_duplicates.render_scene(near_duplicates.make_scene(1))
    folder.mkdir()
    for second, quality in ((1, 90), (2, 85)):
        exif = Image.Exif()
        exif[0x0110] = "Q4"
        exif.get_ifd(0x8769)[0x9003] = f"2023:06:17 12:00:0{second}"
        image.save(folder / f"{second}.jpg", quality=quality, exif=exif)
    index_folder(opened, folder, model)
    duplicates = found(opened, similar=True)
    assert duplicates.groups == ()
    (group,) = duplicates.similar
    assert names(group) == ("1.jpg", {"2.jpg": "similar"})
    assert found(opened).similar == ()


def test_groups_do_not_chain() -> None:
    """A is like B, and B like C: C is in a group with A only where they were compared."""
    same = {(1, 2): "", (2, 3): "", (3, 4): ""}
    asked: list[list[tuple[int, int]]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        asked.append(pairs)
        return {}

    groups = list(group_pairs.group_around_best(same, int, compare))
    assert [(keeper, list(others)) for keeper, others in groups] == [(1, [2]), (3, [4])]
    assert asked == [[(1, 3)]], "what is like 3 alone need not be compared with 1"


def test_groups_reach_what_is_the_same_as_their_own() -> None:
    """What is found the same as the best leads on; a long chain asks for no pair of far ones."""
    chain = {(n, n + 1): "" for n in range(600)}
    asked: list[tuple[int, int]] = []

    def compare(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], str]:
        asked.extend(pairs)
        return {pair: "" for pair in pairs if pair[1] - pair[0] <= 3}

    groups = list(group_pairs.group_around_best(chain, int, compare))
    assert groups[0] == (0, {1: "", 2: "", 3: ""})
    assert [keeper for keeper, _ in groups] == list(range(0, 600, 4))
    assert len(asked) <= 600


def test_a_hash_is_turned_as_the_picture_is() -> None:
    """Bit for bit, in all eight ways; so turned pictures are found by one hash each."""
    luma = np.random.default_rng(0).normal(
        size=(40, fingerprint.COPY_SIDE_PX, fingerprint.COPY_SIDE_PX)
    )
    luma = luma.astype(np.float32)
    hashes = fingerprint.compute_hashes(fingerprint.compute_coefficients(luma))
    for number in range(8):
        turned = fingerprint.compute_hashes(
            fingerprint.compute_coefficients(fingerprint.turn_arrays(luma, number))
        )
        assert (fingerprint.turn_hashes(hashes, number) == turned).all()
        pairs = find_pairs_by_hash(np.concatenate([hashes, turned]))
        assert {(n, n + 40) for n in range(40)} <= set(map(tuple, pairs.tolist()))


def test_another_process_writes(opened: Library, album: Path, model: Path) -> None:
    """Where there is something to read, the one that writes is named."""
    index_folder(opened, album, model)
    with hold_writer_lock(opened.folder, "searchapp index"):
        errors = list[BaseException]()

        def look() -> None:
            with Library.open(opened.folder, start=FakeEngine) as other:
                try:
                    found(other)
                except LibraryError as error:
                    errors.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert "is being written by searchapp index" in str(errors[0])


# The script

ODD = ("plain.jpg", "it's.jpg", "a\nb.jpg", "$(touch pwned) `x`.jpg", "-rf.jpg", "ü \\ \".jpg",
       os.fsdecode(b"caf\xe9's\n.jpg"), "end\n")  # fmt: skip


def copy_of(path: Path, size: int) -> DuplicateFile:
    return DuplicateFile(str(path), size, 1, 1, "JPEG", None, "", "", 1, "near", "")


@pytest.fixture
def moving(tmp_path: Path) -> tuple[Path, Path]:
    """A script that moves files with odd names away, and the folder that they are in."""
    folder = tmp_path / "odd $HOME"
    folder.mkdir()
    for name in (*ODD, "keep.jpg"):
        (folder / name).write_bytes(b"12345")
    keeper = copy_of(folder / "keep.jpg", 5)
    group = DuplicateGroup(keeper, "why\nnot", tuple(copy_of(folder / name, 5) for name in ODD))
    move_script.write_script(tmp_path / "move.sh", [group])
    return tmp_path / "move.sh", folder


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_moves_every_name(moving: tuple[Path, Path], shell: str) -> None:
    """Quotes, line breaks and what is no UTF-8; the one to keep stays; again does no harm."""
    file, folder = moving
    away = file.parent / "away"
    done = subprocess.run(
        [shell, file, away], capture_output=True, text=True, check=False, cwd=file.parent
    )
    assert (done.returncode, done.stderr) == (0, f"{len(ODD)} files moved, 0 skipped\n")
    assert listed(folder) == ["keep.jpg"]
    moved = away / str(folder).lstrip("/")
    assert sorted(listed(moved)) == sorted(ODD)
    assert not (file.parent / "pwned").exists()
    again = subprocess.run([shell, file, away], capture_output=True, check=False)
    assert again.returncode == 1
    assert (folder / "keep.jpg").exists()


def test_the_script_leaves_what_has_changed(moving: tuple[Path, Path]) -> None:
    """A file that grew, a link in its place, and all where the one to keep is gone or changed."""
    file, folder = moving
    (folder / "plain.jpg").write_bytes(b"123456")
    (folder / "it's.jpg").unlink()
    (folder / "it's.jpg").symlink_to(folder / "keep.jpg")
    (folder / "-rf.jpg").unlink()
    os.link(folder / "keep.jpg", folder / "-rf.jpg")
    done = subprocess.run(["sh", file, file.parent / "away"], capture_output=True, check=False)
    assert done.returncode == 1
    left = {"keep.jpg", "plain.jpg", "it's.jpg", "-rf.jpg"}
    assert set(listed(folder)) == left
    assert done.stderr.count(b"skipped: ") == 3
    (folder / "keep.jpg").write_bytes(b"1234")
    (folder / "plain.jpg").write_bytes(b"12345")
    subprocess.run(["sh", file, file.parent / "away"], capture_output=True, check=False)
    assert set(listed(folder)) == left


def test_the_script_needs_a_place(moving: tuple[Path, Path]) -> None:
    """With no trash known, it says what to do and moves nothing; with one, it uses it."""
    file, folder = moving
    tools = file.parent / "tools"
    tools.mkdir()
    for name in ("wc", "tr", "mv", "mkdir", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    shell = str(shutil.which("sh"))
    bare = {"PATH": str(tools)}
    done = subprocess.run([shell, file], capture_output=True, text=True, check=False, env=bare)
    assert done.returncode == 2
    assert "name a folder to move the files to" in done.stderr
    assert len(listed(folder)) == len(ODD) + 1
    trash = tools / "trash-put"
    trash.write_text(
        '#!/bin/sh\nwhile [ "$1" = -- ]; do shift; done\nrm "$1"\n'.replace(
            "rm", str(shutil.which("rm"))
        )
    )
    trash.chmod(0o755)
    done = subprocess.run([shell, file], capture_output=True, text=True, check=False, env=bare)
    assert done.returncode == 0, done.stderr
    assert listed(folder) == ["keep.jpg"]


# The command


def test_the_command_lists_writes_and_touches_nothing(
    run: RunCommand, album: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """A list, JSON, a page and a script; every file stays as it is, and no engine starts."""
    run("index", album, "--model", model)
    started = len(fake_engines.started_engines)
    before = {file: file.stat().st_mtime_ns for file in album.iterdir()}
    result = run("duplicates")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"keep    {album}/boat.jpg  (its name does not look like a copy)",
        f"bytes   {album}/boat (1).jpg  (the same bytes)",
        f"near    {album}/boat-small.jpg  (scaled to 50 %, without a date)",
        "",
    ]
    assert "2 duplicates of 1 pictures" in result.stderr
    told = json.loads(run("duplicates", "--json").stdout)
    assert [copy["certainty"] for copy in told["groups"][0]["others"]] == ["bytes", "near"]
    assert told["groups"][0]["keeper"]["path"] == f"{album}/boat.jpg"
    result = run("duplicates", "--html", tmp_path / "review.html", "--script", tmp_path / "move.sh")
    assert result.stdout == ""
    page = (tmp_path / "review.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "http://" not in page
    assert "https://" not in page
    assert subprocess.run(["sh", "-n", tmp_path / "move.sh"], check=False).returncode == 0
    assert {file: file.stat().st_mtime_ns for file in album.iterdir()} == before
    assert len(fake_engines.started_engines) == started


def test_none_are_found(run: RunCommand, photos: Path, model: Path) -> None:
    """It is said, with the exit status 0; an empty library is an error."""
    assert run("duplicates").exit_code == 1
    run("index", photos, "--model", model)
    result = run("duplicates")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no duplicates; 3 pictures compared" in result.stderr


# The page


def test_each_file_has_its_own_picture_on_the_page(tmp_path: Path) -> None:
    """Whatever cannot be read in between, and among look-alikes, too."""
    files = [save_picture(tmp_path / f"{colour}.png", colour) for colour in ("red", "lime", "blue")]
    red, lime, blue = (copy_of(file, 5) for file in files)
    groups = (DuplicateGroup(red, "", (copy_of(tmp_path / "none.png", 5), lime)),)
    write_review(tmp_path / "x.html", Duplicates(groups, (DuplicateGroup(blue, "", ()),), 4, 0))
    page = (tmp_path / "x.html").read_text()
    looks = re.findall(r'<button class="toggle"[^>]*><(?:img src="data:[^,]*,([^"]*)|span)', page)
    colours = [
        max(Image.open(io.BytesIO(base64.b64decode(data))).getcolors(1 << 20))[1] if data else None
        for data in looks
    ]
    assert colours[1] is None
    assert [int(np.argmax(colour)) for colour in colours if colour] == [0, 1, 2]


@needs_chromium
def test_the_page_lets_a_person_choose(opened: Library, album: Path, model: Path) -> None:
    """By mouse and keys; one file always stays; the script that is saved moves what was chosen."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    odd = album / "it's <b>\n`x`.jpg"
    (album / "boat (1).jpg").rename(odd)
    (album / "boat.jpg.xmp").write_bytes(make_xmp())
    index_folder(opened, album, model)
    page_file, away = album.parent / "review.html", album.parent / "away"
    write_review(page_file, found(opened))
    complaints: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM_PATH, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("console", lambda it: complaints.append(it.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.as_uri())
        told, marks = page.locator("output"), page.locator(".mark")
        assert marks.all_text_contents() == ["stays", "moves away", "moves away"]
        page.locator(".toggle").first.click()
        assert told.text_content() == "Keep at least one file of each picture."
        page.keyboard.press("ArrowRight")
        page.keyboard.press("k")
        assert marks.all_text_contents() == ["moves away", "stays", "moves away"]
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
        assert marks.all_text_contents() == ["moves away", "stays", "stays"]
        assert str(told.text_content()).startswith("1 file to move away")
        with page.expect_download() as download:
            page.locator("#save").click()
        download.value.save_as(album.parent / "move.sh")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.keyboard.press("a")
        browser.close()
    assert complaints == []
    kept = {file.name for file in album.iterdir()}
    subprocess.run(["sh", album.parent / "move.sh", away], check=True, capture_output=True)
    moved = {file.name for file in away.rglob("*") if file.is_file()}
    assert kept - {file.name for file in album.iterdir()} == moved == {"boat.jpg", "boat.jpg.xmp"}
