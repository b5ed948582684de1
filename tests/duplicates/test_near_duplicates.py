"""Test that changed copies of pictures are found, and other pictures are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import near_duplicates
from support.duplicates import find_duplicates
from support.fake_engine import FakeEngine
from support.library import index_folder, write_fake_clip

from searchapp.duplicates import candidates, fingerprint
from searchapp.duplicates.borders import Box
from searchapp.duplicates.candidates import find_pairs_by_hash
from searchapp.duplicates.inspect_pairs import Candidate
from searchapp.duplicates.judge_pairs import rank_candidate
from searchapp.library import Library
from searchapp.types import Duplicates

# A photo, a photo at night, a page and a chat (see SCENE_KINDS), and how copies are changed. Each
# copy takes half a second of processor time.
SCENES = {
    0: tuple(near_duplicates.CHANGES),
    3: ("JPEG q30", "10 % crop", "caption", "rotate 90"),
    6: ("JPEG q30", "thumbnail 256", "50 % resize", "10 % crop", "border", "mirror", "grayscale"),
    7: ("thumbnail 256", "50 % resize", "rotate 270", "+10 % brightness"),
}
# The letters of the pages have few pixels. After these changes, two digits differ as much as the
# edges of equal ones: pages are left out.
BLURRING_CHANGES = ("50 % resize", "thumbnail 256", "JPEG q30")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Duplicates, Path]]:
    """Search scenes, changed copies of each, and other moments of the same scenes."""
    folder = tmp_path_factory.mktemp("changed")
    for number, changes in SCENES.items():
        scene = near_duplicates.make_scene(number, 0.5)
        original = near_duplicates.write_original(
            near_duplicates.render_scene(scene), folder / f"p/original/{number}.jpg"
        )
        for change in changes:
            near_duplicates.write_changed_copy(original, change, folder / "p")
        moment = near_duplicates.make_other_moment(scene, number)
        near_duplicates.write_original(
            near_duplicates.render_scene(moment), folder / f"p/moment/{number}.jpg"
        )
    model = write_fake_clip(folder / "fake-clip")
    with Library.open(folder / "library", create=True, start=FakeEngine) as library:
        index_folder(library, folder / "p", model)
        yield find_duplicates(library), folder / "p"


def is_page(number: int) -> bool:
    """Return whether a scene is a page of text, or a chat."""
    return near_duplicates.make_scene(number).kind in ("page", "screen")


def test_changed_copies_are_found(changed: tuple[Duplicates, Path]) -> None:
    """The copies are grouped with their original; for hard changes, at least a share of them."""
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
        assert len(files) == sum(change in changes for changes in SCENES.values())
        if change in BLURRING_CHANGES:
            files = [file for file in files if not is_page(int(file.stem))]
        missed = [
            file
            for file in files
            if group_of.get(file, -1) != group_of.get(Path(f"original/{file.stem}.jpg"), -2)
        ]
        min_recall = near_duplicates.HARD_CHANGES.get(change, 1.0)
        assert len(missed) <= (1 - min_recall) * len(files), missed


def test_blurred_pages_of_text_are_left_out_with_a_note(changed: tuple[Duplicates, Path]) -> None:
    """Pages whose letters cannot be compared are not grouped with the page, and are counted."""
    duplicates, folder = changed
    pages = [number for number in SCENES if is_page(number)]
    left_out = [
        near_duplicates.change_folder(change, folder) / f"{number}.jpg"
        for number in pages
        for change in BLURRING_CHANGES
        if change in SCENES[number]
    ]
    assert len(left_out) == 5
    assert all(file.exists() for file in left_out)
    for group in duplicates.groups:
        files = {Path(copy.path) for copy in (group.keeper, *group.others)}
        assert not files & {folder / f"original/{number}.jpg" for number in pages} or not (
            files & {*left_out}
        )
    assert duplicates.unreadable >= len(pages)


def test_other_pictures_are_not_duplicates(changed: tuple[Duplicates, Path]) -> None:
    """No group contains two scenes, or another moment of a scene."""
    duplicates, _ = changed
    for group in duplicates.groups:
        files = [Path(copy.path) for copy in (group.keeper, *group.others)]
        assert len({file.stem for file in files}) == 1, files
        assert not any(file.parent.name == "moment" for file in files), files


def test_certainty_and_difference(changed: tuple[Duplicates, Path]) -> None:
    """Each copy has a certainty, and a text that describes how it was changed."""
    duplicates, folder = changed
    copy_by_change = {
        Path(copy.path).relative_to(folder).parts[0]: copy
        for group in duplicates.groups
        for copy in group.others
        if Path(copy.path).stem == "0"
    }
    assert (
        copy_by_change["original"].certainty == copy_by_change["other EXIF"].certainty == "pixels"
    )
    assert copy_by_change["rotate 180"].certainty == "near"
    assert "rotated by 180°" in copy_by_change["rotate 180"].difference
    assert "scaled to 50 %" in copy_by_change["50 percent resize"].difference
    assert "shows less: about 5 %" in copy_by_change["5 percent crop"].difference
    assert "mirrored" in copy_by_change["mirror"].difference
    assert "rotated by" in copy_by_change["rotate 90"].difference
    assert "grayscale" in copy_by_change["grayscale"].difference
    assert "a caption was written into it" in copy_by_change["caption"].difference
    assert "a border was added" in copy_by_change["border"].difference
    assert copy_by_change["border"].edits == ("border",)


def test_an_edited_copy_is_not_the_one_to_keep(changed: tuple[Duplicates, Path]) -> None:
    """A copy with a border has the most pixels, but the original is kept."""
    duplicates, folder = changed
    for group in duplicates.groups:
        kept = Path(group.keeper.path).relative_to(folder).parts[0]
        assert kept not in ("grayscale", "caption", "border"), group.keeper


def test_hashes_of_turned_pictures() -> None:
    """A turned hash equals the hash of the turned picture, and finds it, in all orientations."""
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


def test_near_embeddings_need_no_similar_hash() -> None:
    """A crop of a smooth picture has another hash; it is compared upright."""
    hashes = np.array([0, 2**40 - 1], np.uint64)
    pairs = np.array([[0, 1]])
    assert candidates.add_turns(pairs, hashes, np.array([True])).tolist() == [[0, 1, 0]]
    assert not len(candidates.add_turns(pairs, hashes, np.array([False])))


def test_the_content_of_a_border_is_compared_first() -> None:
    """If a picture fits with and without its border, the copy has a border."""
    window, box = (0.0, 0.0, 1.0, 1.0), Box(0.1, 0.1, 0.9, 0.9)
    whole = Candidate(0, window, True, None, None, 1.0)
    content, poor = (replace(whole, first_content=box, matched_share=x) for x in (0.98, 0.7))
    assert sorted([poor, whole, content], key=rank_candidate) == [content, whole, poor]
