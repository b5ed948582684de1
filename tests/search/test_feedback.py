"""Relevance feedback: more like some pictures, less like others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture
from support.video_files import write_video

from searchapp.errors import PictureError, QueryError
from searchapp.library import Library
from searchapp.search.good_match import get_query_kind
from searchapp.search.query_vector import add_feedback, sum_weighted_vectors
from searchapp.types import AUTO_MIN_SCORE, Example, Hit, Query, SearchOptions, Term

COLORS = ("red", "orange", "yellow", "lime", "cyan", "blue", "purple", "white", "black")


def name(hit: Hit) -> str:
    return Path(hit.path).stem


@pytest.fixture
def palette(opened: Library, tmp_path: Path, model: Path) -> Library:
    """Library of one plain picture for each color."""
    for color in COLORS:
        save_picture(tmp_path / f"photos/{color}.png", color)
    index_folder(opened, tmp_path / "photos", model)
    return opened


def is_frame(library: Library, image_id: int) -> bool:
    located = library.reader.locate_image(image_id)
    return located is not None and located.seconds is not None


def find_ids(library: Library) -> dict[str, int]:
    return {name(hit): hit.image_id for hit in library.search(Query("red"))}


def test_formula() -> None:
    """Each group has norm 1, however many vectors it has; the unliked count half."""
    rng = np.random.default_rng(7)
    question, *others = (
        (vector / np.linalg.norm(vector)).astype(np.float32) for vector in rng.normal(size=(6, 32))
    )
    liked, unliked = others[:3], others[3:]
    mean, other_mean = (sum_weighted_vectors(group, [1] * len(group)) for group in (liked, unliked))
    expected = question + mean - 0.5 * other_mean
    expected /= np.linalg.norm(expected)
    assert np.allclose(add_feedback(question, liked, unliked), expected, atol=1e-6)
    assert np.allclose(add_feedback(None, liked * 4, []), mean, atol=1e-6)
    assert np.allclose(add_feedback(None, [], unliked), -other_mean, atol=1e-6)


def test_likes_are_summed_and_left_out(palette: Library) -> None:
    """Red and yellow give orange; the liked pictures are shown only on request."""
    ids = find_ids(palette)
    likes = [Example(ids["red"]), Example(ids["yellow"])]
    names = [name(hit) for hit in palette.search([], examples=likes)]
    assert names[0] == "orange"
    assert not {"red", "yellow"} & set(names)
    shown = palette.search([], SearchOptions(include_examples=True), likes)
    assert {"red", "yellow", "orange"} == {name(hit) for hit in shown[:3]}


def test_unlikes_are_subtracted(palette: Library) -> None:
    ids = find_ids(palette)
    near = [name(hit) for hit in palette.search([], examples=[Example(ids["yellow"])])]
    away = [Example(ids["yellow"]), Example(ids["red"], False)]
    hits = [name(hit) for hit in palette.search([], examples=away)]
    assert near.index("orange") < near.index("lime")
    assert hits.index("lime") < hits.index("orange")
    farthest = palette.search([], examples=[Example(ids["white"], False)])
    assert farthest[0].score <= 0


def test_question_and_examples(palette: Library) -> None:
    """A question is one more term; words in names do not count beside pictures."""
    ids = find_ids(palette)
    found = palette.find(Query("red"), examples=[Example(ids["lime"])])
    assert name(found.hits[0]) in ("yellow", "red")
    assert found.good is None
    assert all(match.by == "vector" for hit in found.hits for match in hit.match)
    terms = [Term(Query("red"), 0.5), Term(Query(image=ids["blue"]), 0.5)]
    names = [name(hit) for hit in palette.search(terms, examples=[Example(ids["purple"])])]
    assert "purple" not in names
    assert names.index("blue") < names.index("cyan") < names.index("lime")


def test_stored_vectors_need_no_engine(
    palette: Library, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """By id, by path, by a link to the file, by content, and if the file is gone."""
    ids = find_ids(palette)
    expected = palette.search([], examples=[Example(ids["red"])])
    started = len(fake_engines.started_engines)
    prompts = sum(len(engine.prompts) for engine in fake_engines.started_engines)
    red, copy = tmp_path / "photos/red.png", tmp_path / "copy.png"
    copy.write_bytes(red.read_bytes())
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    for image in (red, str(red), tmp_path / "link/red.png", copy):
        assert palette.search([], examples=[Example(image)]) == expected
    red.unlink()
    assert palette.search([], examples=[Example(red)]) == expected
    assert len(fake_engines.started_engines) == started
    assert prompts == sum(len(engine.prompts) for engine in fake_engines.started_engines)


def test_new_pictures_are_embedded(palette: Library, tmp_path: Path) -> None:
    """They are no image of the library, so all images can be hits."""
    file = save_picture(tmp_path / "new.jpg", "red")
    assert name(palette.search([], examples=[Example(file)])[0]) == "red"
    near = palette.search([], examples=[Example(file), Example(tmp_path / "photos/red.png", False)])
    assert "red" not in [name(hit) for hit in near]


def test_video_is_an_example_with_all_its_frames(
    opened: Library, photos: Path, model: Path
) -> None:
    """A liked frame leaves out the video; a liked video is the mean of its frames."""
    write_video(photos / "clip.mp4", [("purple", 4), ("yellow", 4)])
    index_folder(opened, photos, model)
    (frame,) = (hit for hit in opened.search(Query("purple")) if hit.seconds is not None)
    for image in (frame.image_id, photos / "clip.mp4"):
        hits = opened.search([], examples=[Example(image)])
        assert [hit for hit in hits if hit.seconds is not None] == []
        assert len(hits) == 3
    ids = sorted(id for id in range(1, 9) if is_frame(opened, id))
    one, two = Example(ids[0]), Example(ids[-1], False)
    assert len(opened.search([], examples=[one, two])) == 3


def test_errors(palette: Library, tmp_path: Path) -> None:
    ids, red = find_ids(palette), tmp_path / "photos/red.png"
    with pytest.raises(QueryError, match="no image 99 in the collection"):
        palette.search([], examples=[Example(99)])
    with pytest.raises(QueryError, match="the same picture is liked and unliked"):
        palette.search([], examples=[Example(ids["red"]), Example(red, False)])
    with pytest.raises(PictureError, match=r"nowhere\.jpg"):
        palette.search([], examples=[Example(tmp_path / "nowhere.jpg")])
    with pytest.raises(PictureError, match="the video is not in this collection"):
        palette.search([], examples=[Example(write_video(tmp_path / "x.mp4", [("red", 1)]))])
    with pytest.raises(QueryError, match="a search by text needs words, and no pictures"):
        palette.search(Query("red"), SearchOptions(by="text"), [Example(ids["red"])])
    with pytest.raises(QueryError, match="nothing to look for"):
        palette.search([])


def test_only_one_liked_picture_is_judged(opened: Library, tmp_path: Path, model: Path) -> None:
    """It is a query by a picture; the picture itself, which is left out, does not count."""
    text, like, unlike = Term(Query("red")), Example(1), Example(2, False)
    assert get_query_kind([], [like]) == "image"
    for terms, examples in (
        ([], [like, Example(3)]), ([], [unlike]), ([], [like, unlike]), ([text], [like]),
        ([Term(Query(image=7))], [like]),
    ):  # fmt: skip
        assert get_query_kind(terms, examples) is None
    rng = np.random.default_rng(0)
    for number in range(60):
        color = "#{:02x}{:02x}{:02x}".format(*rng.integers(0, 256, 3))
        save_picture(tmp_path / f"photos/{number}.png", color, mark=number)
    index_folder(opened, tmp_path / "photos", model)
    by_path = opened.find([], SearchOptions(min_score=AUTO_MIN_SCORE), [Example(1)])
    by_image = opened.find_similar(1, SearchOptions(min_score=AUTO_MIN_SCORE))
    assert by_path.good is not None
    assert [hit.image_id for hit in by_path.hits] == [
        hit.image_id for hit in by_image.hits if hit.image_id != 1
    ]
    assert by_path.good == bool(by_path.hits)
    with pytest.raises(QueryError, match="without negative weights and examples"):
        opened.find([], SearchOptions(min_score=AUTO_MIN_SCORE), [like, Example(2)])


def test_pages_join_without_the_examples(palette: Library) -> None:
    ids = find_ids(palette)
    likes = [Example(ids["red"]), Example(ids["blue"])]
    complete = palette.search([], SearchOptions(count=20), likes)
    pages = [
        palette.search([], SearchOptions(count=2, offset=offset), likes)
        for offset in range(0, 10, 2)
    ]
    assert [hit for page in pages for hit in page] == complete
    assert len(complete) == len(COLORS) - 2


def test_examples_on_the_command_line(run: RunCommand, palette: Library, tmp_path: Path) -> None:
    """A picture is a file, a path of the library, or an id; a file named 7 is a file."""
    ids, photos = find_ids(palette), tmp_path / "photos"

    def names(*arguments: object) -> list[str]:
        return [Path(path).stem for path in run("query", "--paths", *arguments).stdout.split()]

    assert names("--like", photos / "red.png", "--like", ids["yellow"])[0] == "orange"
    assert names("--like", ids["red"], "--include-examples")[0] == "red"
    away = names("--like", photos / "yellow.png", "--unlike", photos / "red.png")
    assert away.index("lime") < away.index("orange")
    assert names("yellow", "--like", ids["yellow"])[0] == "orange"
    done = run("query", "--like", ids["red"], "--html", tmp_path / "page.html")
    assert done.exit_code == 0
    assert f"like {ids['red']}" in (tmp_path / "page.html").read_text()
    assert run("query", "--like", "").exit_code == 2
    assert run("query", "--like", "99").exit_code == 2
