"""Sidecars are recognized and matched by their names: XMP, and the JSON files of Takeout."""

from __future__ import annotations

import pytest

from searchapp.files.sidecars import (
    Candidates,
    is_sidecar,
    is_sidecar_of,
    list_picture_candidates,
    list_sidecar_candidates,
    make_title_key,
)

LONG_TITLE = "PXL_20230617_some_very_long_title_of_a_picture_that_is_cut.jpg"
CUT_TITLE = LONG_TITLE[:46]


def is_candidate(candidates: Candidates, path: str) -> bool:
    return path in candidates.paths or path.startswith(tuple(candidates.prefixes))


@pytest.mark.parametrize(
    ("sidecar", "picture"),
    [
        ("IMG_1.xmp", "IMG_1.jpg"), ("IMG_1.jpg.XMP", "IMG_1.jpg"), ("IMG_1.xmp", "IMG_1.dng"),
        ("IMG_1.jpg.json", "IMG_1.jpg"), ("IMG_1.MOV.json", "IMG_1.MOV"),
        ("IMG_1.jpg.supplemental-metadata.json", "IMG_1.jpg"),
        ("IMG_1.jpg.supplemental-me.json", "IMG_1.jpg"), ("IMG_1.jpg.s.json", "IMG_1.jpg"),
        ("IMG_1.jpg..json", "IMG_1.jpg"),
        ("IMG_1.jpg(1).json", "IMG_1(1).jpg"), ("IMG_1(1).jpg.json", "IMG_1(1).jpg"),
        ("IMG_1.jpg.supplemental-metadata(12).json", "IMG_1(12).jpg"),
        ("IMG_1.jpg.suppl(1).json", "IMG_1(1).jpg"),
        ("IMG_1.jpg.json", "IMG_1-edited.jpg"), ("IMG_1.jpg(1).json", "IMG_1-edited(1).jpg"),
        ("IMG_1.jpg(1).json", "IMG_1(1)-edited.jpg"),
        ("IMG_1.jpg.supplemental-metadata(1).json", "IMG_1(1)-edited.jpg"),
        ("IMG_1.jpg.json", "IMG_1-modifie\u0301.jpg"),
        (f"{CUT_TITLE}.json", LONG_TITLE), (f"{CUT_TITLE}.json", f"{LONG_TITLE[:47]}.jpg"),
        (f"{CUT_TITLE}(1).json", f"{LONG_TITLE[:47]}(1).jpg"),
        ("PXL_20230617_a_name_of_44_characters.jpg.suppl.json",
         "PXL_20230617_a_name_of_44_characters.jpg"),
    ],
)  # fmt: skip
def test_sidecars_belong_to_their_picture(sidecar: str, picture: str) -> None:
    """Each finds the other by its name."""
    sidecar, picture = f"/photos/{sidecar}", f"/photos/{picture}"
    assert is_sidecar(sidecar)
    assert is_sidecar_of(sidecar, picture)
    assert is_candidate(list_picture_candidates(sidecar), picture)
    assert is_candidate(list_sidecar_candidates(picture), sidecar)
    if sidecar.endswith(".json"):
        assert make_title_key(sidecar) == make_title_key(picture)


@pytest.mark.parametrize(
    ("sidecar", "picture"),
    [
        ("/a/IMG_1.jpg.json", "/b/IMG_1.jpg"), ("/a/IMG_1.jpg(1).json", "/a/IMG_1.jpg"),
        ("/a/IMG_1.jpg.json", "/a/IMG_1(1).jpg"), ("/a/IMG_10.jpg.json", "/a/IMG_1.jpg"),
        ("/a/IMG_1.png.json", "/a/IMG_1.jpg"), ("/a/IMG_1.jpg.other.json", "/a/IMG_1.jpg"),
        ("/a/IMG_1.json", "/a/IMG_1.jpg"), ("/a/IMG_1.jpg(2).json", "/a/IMG_1(1).jpg"),
        ("/a/IMG_10.xmp", "/a/IMG_1.jpg"), ("/a/IMG_1.txt", "/a/IMG_1.jpg"),
    ],
)  # fmt: skip
def test_other_files_do_not_belong_to_a_picture(sidecar: str, picture: str) -> None:
    assert not is_sidecar_of(sidecar, picture)


def test_other_json_files_are_not_sidecars() -> None:
    """Folders of programs and data sets hold many JSON files."""
    for name in (
        "metadata.json",
        "0001.json",
        "tags.json",
        "package-lock.json",
        f"{'a' * 64}.json",
    ):
        assert not is_sidecar(name), name


def test_the_full_name_and_xmp_go_first() -> None:
    """The candidates are in the order of precedence."""
    candidates = list_sidecar_candidates("/photos/IMG_1-edited.jpg").paths
    names = ("IMG_1-edited.jpg.xmp", "IMG_1-edited.xmp", "IMG_1-edited.jpg.json", "IMG_1.jpg.json")
    ranks = [candidates.index(f"/photos/{name}") for name in names]
    assert ranks == sorted(ranks)


def test_few_names_need_a_search_by_prefix() -> None:
    """A folder with many pictures named alike must not make each search slow."""
    for name in ("Holiday (1).jpg", "1.jpg", "IMG_0001-edited(2).jpg"):
        assert not list_sidecar_candidates(f"/photos/{name}").prefixes
        assert not list_picture_candidates(f"/photos/{name}.json").prefixes
