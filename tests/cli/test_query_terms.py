"""Weighted queries, good matches, and the order of hits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor
from support.api import hit_names, search_api
from support.library import FakeEngines, RunCommand, index_folder
from support.live_server import serve_library
from support.sample_pictures import save_picture

from searchapp.cli.query_terms import build_query, format_title, split_weight
from searchapp.errors import QueryError
from searchapp.library import Library
from searchapp.search import good_match, hit_list
from searchapp.search.good_match import Judge, get_query_kind
from searchapp.types import AUTO_MIN_SCORE, Hit, Query, SearchOptions, Term


@given(st.text(), st.decimals(0, 1000, places=3))
def test_a_colon_and_a_number_at_the_end_are_a_weight(text: str, weight: Any) -> None:
    """The rest is the text, unchanged."""
    assert split_weight(f"{text}:{weight}") == (text, float(weight))
    assert split_weight(f"{text}:-{weight}") == (text, -float(weight))


@given(st.text().filter(lambda text: text.rpartition(":")[2].strip("+-.0123456789") != ""))
def test_all_else_is_text(text: str) -> None:
    """A text without a weight at its end stays unchanged."""
    assert split_weight(text) == (text, 1.0)


@pytest.mark.parametrize(
    "text", ["beach", "beach:", ":", "a:b", "beach:2x", "x: 2", "x:nan", "x:inf", "x:1e3", "x:2 "]
)
def test_what_is_no_weight(text: str) -> None:
    """Words, blanks, exponents and infinity are no weights."""
    assert split_weight(text) == (text, 1.0)


def test_a_text_and_a_picture_are_one_query() -> None:
    """More inputs, or a weight, make a list of terms."""
    assert build_query("x", ["a.jpg"]) == Query("x", "a.jpg")
    assert build_query("x:2", []) == Query("x:2")
    both = [Term(Query("x")), Term(Query(None, "a.jpg"), 2.0)]
    assert build_query("x", ["a.jpg:2"]) == both
    terms = build_query(None, ["a.jpg", "b.jpg:0.5"], ["beach:2"], ["people"], ["c.jpg:.5"])
    assert terms == [
        Term(Query("beach"), 2.0),
        Term(Query("people"), -1.0),
        Term(Query(None, "a.jpg"), 1.0),
        Term(Query(None, "b.jpg"), 0.5),
        Term(Query(None, "c.jpg"), -0.5),
    ]
    assert format_title(terms) == "2 × beach - people + a.jpg + 0.5 × b.jpg - 0.5 × c.jpg"
    for nothing in (([], [""]), ([], [":2"]), ([":2"], ["x"]), ([], [])):
        with pytest.raises(QueryError, match=r"empty|nothing to look for"):
            build_query(None, *nothing)


def test_a_file_with_a_colon_is_no_weight(tmp_path: Path) -> None:
    """If a file has the complete value as its name, there is no weight."""
    file = save_picture(tmp_path / "x.png", "red").rename(tmp_path / "x:2")
    assert build_query(None, [str(file)]) == Query(None, str(file))


def test_weighted_queries_on_the_command_line(run: RunCommand, photos: Path, model: Path) -> None:
    """Texts and pictures are added and subtracted, even if the model embeds no pair of both."""
    save_picture(photos / "yellow.jpg", "yellow")
    run("index", photos, "--model", model)

    def first(*arguments: object) -> str:
        return Path(run("query", "--paths", "-k", 1, *arguments).stdout.strip()).name

    assert first("--text", "red", "--text", "lime") == "yellow.jpg"
    assert first("--image", photos / "yellow.jpg", "--minus-text", "red:0.9") == "green.png"
    assert first("--text", "yellow", "--minus-image", f"{photos}/red.jpg:0.9") == "green.png"
    assert first("red", "--text", "blue:9") == "blue.jpg"
    assert "Unsupported query modality" in str(
        run("query", "red", "--image", photos / "red.jpg").exception
    )
    assert run("query", "--text", "red", "--minus-text", "red").exit_code == 2


COLORS = [name for name, value in ImageColor.colormap.items() if isinstance(value, str)]


@pytest.fixture
def calibrated(
    opened: Library, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Library]:
    """Index pictures that are all red; the calibration sentences are names of colors."""
    monkeypatch.setattr(good_match, "CALIBRATION_SENTENCES", tuple(COLORS))
    for number in range(30):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{2000 + number * 7 % 30}:01:01 00:00:00"
        color = f"#{180 + number:02x}{number:02x}{3 * number:02x}"
        save_picture(tmp_path / f"photos/{number:02}.jpg", color, exif=exif)
    index_folder(opened, tmp_path / "photos", model)
    yield opened


def test_index_calibrates_once(
    calibrated: Library, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """The run embeds the sentences while the model is loaded; the next run embeds none."""
    collection, _ = calibrated.reader.choose_collection(SearchOptions())
    assert calibrated.reader.judges.list_missing_sentences(collection, on_the_side=False) == []
    prompt_count = len(fake_engines.started_engines[0].prompts)
    save_picture(tmp_path / "photos/more.jpg", "pink")
    list(calibrated.index([tmp_path / "photos"]))
    assert len(fake_engines.started_engines[0].prompts) == prompt_count + 1


def test_auto_hides_matches_that_are_not_good(calibrated: Library) -> None:
    """Without auto the hits are shown, and marked as not good."""
    plain = calibrated.find(Query("teal"))
    assert (len(plain.hits), plain.good) == (10, False)
    cut = calibrated.find(Query("teal"), SearchOptions(min_score=AUTO_MIN_SCORE))
    assert (cut.hits, cut.good) == ((), False)


def test_a_good_match_stands_out() -> None:
    """Random queries rarely reach the threshold; queries near a picture always do."""
    rng = np.random.default_rng(0)

    def directions(count: int) -> np.ndarray:
        vectors = rng.normal(size=(count, 64)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    unrelated, pictures = directions(230), directions(1000)
    judge = Judge.from_samples(unrelated, pictures)
    assert judge is not None
    assert judge.spread == pytest.approx(1, abs=0.1)
    assert (
        judge.compute_threshold(10) < judge.compute_threshold(1000) < judge.compute_threshold(10**7)
    )
    refused = sum(
        not judge.find_good_matches(pictures @ q, pictures, 1000).any() for q in directions(200)
    )
    assert refused > 100
    own = pictures[:100] + 0.1 * rng.normal(size=(100, 64)).astype(np.float32)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    assert all(
        judge.find_good_matches(pictures[n : n + 1] @ own[n], pictures[n : n + 1], 1000)[0]
        for n in range(100)
    )
    assert Judge.from_samples(unrelated[:10], pictures) is None
    assert Judge.from_samples(unrelated, pictures[:0]) is None


def test_each_hit_says_whether_it_is_a_good_match(
    calibrated: Library, tmp_path: Path, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flags of the hits agree with --min-score auto, also on a later page.

    The threshold is lower, because the vectors of the fake engine have few dimensions.
    """
    monkeypatch.setattr(Judge, "compute_threshold", lambda judge, count: 1.0)
    save_picture(tmp_path / "photos/teal.jpg", "teal")
    list(calibrated.index([tmp_path / "photos"]))
    found = calibrated.find(Query("teal"), SearchOptions(count=31)).hits
    assert [hit.good_match for hit in found] == [True] + [False] * 30
    (best,) = calibrated.find(Query("teal"), SearchOptions(min_score=AUTO_MIN_SCORE)).hits
    assert (best.path, best.good_match) == (found[0].path, True)
    later = calibrated.find(Query("teal"), SearchOptions(count=5, offset=12)).hits
    assert later == found[12:17]
    hits = json.loads(run("query", "teal", "-k", 2, "--json").stdout)
    assert [hit["good_match"] for hit in hits] == [True, False]


def test_only_texts_or_only_pictures_can_be_judged(calibrated: Library, photos: Path) -> None:
    """Mixed queries, and queries with a negative weight, have no threshold."""
    text, image = Query("red"), Query(None, photos / "red.jpg")
    assert get_query_kind([Term(text), Term(text, 0.5)]) == "text"
    assert get_query_kind([Term(image)]) == "image"
    for terms in ([Term(text), Term(image)], [Term(text), Term(text, -0.5)]):
        assert get_query_kind(terms) is None
        assert calibrated.find(terms).good is None
        with pytest.raises(QueryError, match="needs a query of only words or only pictures"):
            calibrated.find(terms, SearchOptions(min_score=AUTO_MIN_SCORE))


def test_too_little_to_judge_by(opened: Library, photos: Path, model: Path) -> None:
    """With three pictures, no vector makes a hit good, and auto is an error."""
    index_folder(opened, photos, model)
    assert opened.find(Query("red"), SearchOptions(by="vector")).good is None
    assert opened.find(Query("red")).good is True  # The name of the file is red.jpg.
    for query in (Query("red"), Query(None, photos / "red.jpg")):
        with pytest.raises(QueryError, match="the collection has too few pictures"):
            opened.find(query, SearchOptions(min_score=AUTO_MIN_SCORE))


def test_no_good_match_on_the_command_line(run: RunCommand, calibrated: Library) -> None:
    """There is a line on stderr, nothing on stdout, and a field in JSON; the exit code is 0."""
    result = run("query", "teal", "--min-score", "auto")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith("\nno good match\n")
    result = run("query", "teal", "--min-score", "auto", "--json-object")
    assert json.loads(result.stdout) == {"good_match": False, "hits": []}
    assert json.loads(run("query", "teal", "--min-score", "auto", "--json").stdout) == []
    result = run("query", "teal", "--json")
    assert len(json.loads(result.stdout)) == 10
    assert "no hit is a good match" in result.stderr
    for wrong in ("much", "nan", "inf"):
        assert run("query", "teal", "--min-score", wrong).exit_code == 2


def test_sorted_by_date(calibrated: Library, run: RunCommand) -> None:
    """The best hits by score are sorted by date, newest first, undated last."""
    best = calibrated.search(Query("red"), SearchOptions(count=7))
    hits = calibrated.search(Query("red"), SearchOptions(count=7, sort="date"))
    assert {hit.image_id for hit in hits} == {hit.image_id for hit in best}
    dates = [str(hit.taken_at) for hit in hits]
    assert dates == sorted(dates, reverse=True)
    undated = Hit("x", 1.0, "", width=1, height=1)
    assert hit_list.sort_hits([undated, *hits], "date")[-1] == undated
    lines = run("query", "red", "--sort", "date", "-k", 7, "--paths").stdout.split()
    assert lines == [hit.path for hit in hits]


def test_equal_scores_are_paged_by_age(opened: Library, tmp_path: Path, model: Path) -> None:
    """Pages of each size together give every hit once."""
    for number in range(90):
        save_picture(tmp_path / f"photos/{number:02}.png", "red")
        with (tmp_path / f"photos/{number:02}.png").open("ab") as file:
            file.write(bytes([number]))
    index_folder(opened, tmp_path / "photos", model)
    for size in (1, 7, 50):
        pages = [
            opened.search(Query("red"), SearchOptions(count=size, offset=offset))
            for offset in range(0, 90, size)
        ]
        ids = [hit.image_id for page in pages for hit in page]
        assert ids == sorted(ids)
        assert len(set(ids)) == 90


def test_the_api_accepts_filters_and_terms(
    photos: Path, tmp_path: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Terms are texts, pictures or ids; each invalid field has a message."""
    save_picture(photos / "yellow.jpg", "yellow")
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
    with (
        serve_library(tmp_path / "library", fake_engines) as url,
        httpx.Client(base_url=url, timeout=120) as client,
    ):
        assert hit_names(search_api(client, text="red", format="png")) == ["green.png"]
        assert hit_names(search_api(client, text="red", where="path like '%/below/%'")) == [
            "blue.jpg"
        ]
        assert hit_names(search_api(client, text="red", min_size=1)) == []
        assert hit_names(search_api(client, text="red", camera="x*")) == []
        added = search_api(client, terms=[{"text": "red"}, {"text": "lime"}])
        assert hit_names(added)[0] == "yellow.jpg"
        assert added.json()["good_match"] is None
        yellow = added.json()["hits"][0]["id"]
        terms = [{"image_id": yellow}, {"text": "red", "weight": -0.9}]
        assert hit_names(search_api(client, terms=terms))[0] == "green.png"
        form = {"terms": json.dumps([{"image": "a"}, {"image": "b", "weight": -0.9}])}
        files = {"a": (photos / "yellow.jpg").read_bytes(), "b": (photos / "red.jpg").read_bytes()}
        assert hit_names(client.post("/api/search", data=form, files=files))[0] == "green.png"
        assert hit_names(client.get(f"/api/similar/{yellow}", params={"format": "png"})) == [
            "green.png"
        ]
        for fields, status, message in (
            ({"text": "red", "where": "wide > 1"}, 400, "no such column: wide"),
            ({"text": "red", "min_score": "auto"}, 400, "the collection has too few pictures"),
            (
                {"terms": [{"image": "x"}]},
                400,
                "names the picture x, but the form has no such part",
            ),
            ({"terms": [{"image_id": 99}]}, 400, "no image 99"),
            ({"terms": [{"text": " "}]}, 400, "nothing to look for"),
            ({"terms": [{"text": "x"}] * 17}, 422, "at most 16"),
            ({"terms": "nonsense"}, 422, ""),
            ({"text": "red", "after": "yesterday"}, 422, "Write 2023, 2023-06 or 2023-06-17."),
        ):
            answer = search_api(client, **fields)
            assert answer.status_code == status, answer.text
            assert message in answer.text
            assert "\\d" not in answer.text
        answer = client.get(f"/api/similar/{yellow}", params={"before": "x"})
        message = "'x' is not a date. Write 2023, 2023-06 or 2023-06-17."
        assert answer.json()["errors"][0]["msg"] == message
