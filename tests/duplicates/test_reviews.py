"""Reviews of duplicates: choices are kept by content, and the next search begins with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.duplicates import album, find_duplicates
from support.library import RunCommand, index_folder

from searchapp.duplicates import move_script
from searchapp.duplicates.review_store import SavedReview
from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.types import DuplicateGroup, Duplicates, ReviewChoice

__all__ = ["album"]  # a fixture


def list_names(group: DuplicateGroup) -> list[str]:
    return [Path(copy.path).name for copy in (group.keeper, *group.others)]


def make_review(found: Duplicates, *staying: str) -> list[list[ReviewChoice]]:
    """Return a review of all groups; only the files with these names stay."""
    return [
        [
            ReviewChoice(copy.path, copy.sha256, Path(copy.path).name in staying)
            for copy in (group.keeper, *group.others)
        ]
        for group in found.groups
    ]


ALL = ("boat.jpg", "boat (1).jpg", "boat-small.jpg")


@pytest.fixture
def library(opened: Library, album: Path, model: Path) -> Library:
    """Library with a picture, an equal copy, a smaller copy, and another picture."""
    index_folder(opened, album, model)
    return opened


def test_files_that_all_stay_are_not_listed_again(library: Library) -> None:
    found = find_duplicates(library)
    assert sorted(map(list_names, found.groups)) == [["boat.jpg", "boat (1).jpg", "boat-small.jpg"]]
    assert library.reviews.save(make_review(found, *ALL)) == SavedReview(1, 0)
    again = find_duplicates(library)
    assert (again.groups, again.reviewed) == ((), 1)
    assert list_names(find_duplicates(library, reviewed=True).groups[0]) == [*ALL]


def test_a_new_copy_is_listed(library: Library, album: Path, model: Path) -> None:
    """A further file with the same bytes, or another near copy, was not reviewed."""
    library.reviews.save(make_review(find_duplicates(library), *ALL))
    (album / "boat (2).jpg").write_bytes((album / "boat.jpg").read_bytes())
    index_folder(library, album, model)
    (group,) = find_duplicates(library).groups
    assert list_names(group) == ["boat.jpg", "boat (2).jpg"]


def test_a_moved_file_keeps_its_choice(library: Library, album: Path, model: Path) -> None:
    library.reviews.save(make_review(find_duplicates(library), *ALL))
    (album / "below").mkdir()
    for name in ("boat-small.jpg", "boat (1).jpg"):
        (album / name).rename(album / "below" / f"renamed {name}")
    index_folder(library, album, model)
    assert find_duplicates(library).groups == ()


def test_the_next_search_begins_with_the_choices(library: Library) -> None:
    """The suggested file moves away; the script and the list follow the choice."""
    library.reviews.save(make_review(find_duplicates(library), "boat-small.jpg"))
    (group,) = find_duplicates(library).groups
    assert [copy.stays for copy in (group.keeper, *group.others)] == [False, False, True]
    assert [Path(copy.path).name for copy in group.kept] == ["boat-small.jpg"]
    keep, *moves = move_script.make_commands(group)
    assert keep.endswith("boat-small.jpg (your choice in an earlier review)")
    assert len(moves) == 2 and all("boat-small.jpg'" in line for line in moves)


def test_choices_without_their_files_do_not_move_everything(
    library: Library, album: Path, model: Path
) -> None:
    """If the file that was to stay is gone, the suggestion counts again."""
    library.reviews.save(make_review(find_duplicates(library), "boat-small.jpg"))
    (album / "boat-small.jpg").unlink()
    index_folder(library, album, model)
    (group,) = find_duplicates(library).groups
    assert (group.kept, group.moved) == ((group.keeper,), group.others)


def test_the_latest_review_counts(library: Library) -> None:
    """It replaces an earlier one of the same files, and of a part of them."""
    found = find_duplicates(library)
    library.reviews.save(make_review(found, *ALL))
    library.reviews.keep_all([found.groups[0].keeper.path, found.groups[0].others[0].path])
    library.reviews.save(make_review(found, "boat.jpg"))
    (group,) = find_duplicates(library).groups
    assert [copy.stays for copy in (group.keeper, *group.others)] == [True, False, False]
    assert len(library.reviews._table.read_reviews()) == 1


def test_look_alikes_that_all_stay_are_not_listed_again(library: Library) -> None:
    """They stay by default, so only a review hides them."""
    found = find_duplicates(library, similar=True)
    similar = Duplicates(found.similar, (), 0, 0)
    assert found.similar
    names = [name for group in found.similar for name in list_names(group)]
    library.reviews.save(make_review(similar, *names))
    assert find_duplicates(library, similar=True).similar == ()


def test_unknown_files_and_useless_groups_are_left_out(library: Library, album: Path) -> None:
    known = make_review(find_duplicates(library), *ALL)[0]
    changed = ReviewChoice(known[0].path, "0" * 64, stays=True)
    gone = ReviewChoice("/nowhere/\ud800.jpg", known[0].sha256, stays=True)
    none_stays = [ReviewChoice(each.path, each.sha256, stays=False) for each in known]
    groups = [[known[1], changed], [known[1], gone], none_stays, []]
    assert library.reviews.save(groups) == SavedReview(0, 2)
    assert len(find_duplicates(library).groups) == 1
    with pytest.raises(QueryError, match="does not hold this file"):
        library.reviews.keep_all([album / "boat.jpg", album / "nowhere.jpg"])
    with pytest.raises(QueryError, match="two or more"):
        library.reviews.keep_all([album / "boat.jpg", album / "boat.jpg"])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"searchapp_review": 2, "groups": []}', '{"searchapp_review": 1}',
     '{"searchapp_review": 1, "groups": [[{"path": 1, "sha256": "", "stays": true}]]}',
     '{"searchapp_review": 1, "groups": [[{"path": "", "sha256": "", "stays": 1}]]}',
     "[" * 100_000],
)  # fmt: skip
def test_a_file_that_is_no_review_is_refused(library: Library, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(QueryError, match="is not a review of duplicates"):
        library.reviews.load(tmp_path / "x.json")
    with pytest.raises(QueryError, match="cannot be read"):
        library.reviews.load(tmp_path / "nowhere.json")


def test_the_command_imports_and_keeps(
    run: RunCommand, album: Path, model: Path, tmp_path: Path
) -> None:
    run("index", album, "--model", model)
    groups = json.loads(run("duplicates", "--json").stdout)["groups"]
    files = [groups[0]["keeper"], *groups[0]["others"]]
    choices = [
        {
            "path": each["path"],
            "sha256": each["sha256"],
            "stays": each["path"].endswith("small.jpg"),
        }
        for each in files
    ]
    (tmp_path / "choices.json").write_text(json.dumps({"searchapp_review": 1, "groups": [choices]}))
    result = run("duplicates", "--import-review", tmp_path / "choices.json")
    assert "kept your choices for 1 picture\n" in result.stderr
    assert f"away    {album}/boat.jpg  (you chose to move it away)" in result.stdout
    assert ", you keep it)" in result.stdout
    keep = [word for name in ALL for word in ("--keep", album / name)]
    result = run("duplicates", *keep)
    assert result.stdout == ""
    assert "3 files stay" in result.stderr and "1 group reviewed before" in result.stderr
    assert "boat-small.jpg" in run("duplicates", "--reviewed").stdout
