"""`searchapp tag`: which words fit, what is written beside the pictures, and what undo restores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.library import FakeEngines, RunCommand
from support.sample_pictures import save_picture

from searchapp.pictures.metadata.xmp import parse_xmp
from searchapp.search import good_match

GRAYS = ("black", "dimgray", "gray", "silver", "gainsboro", "white", "slategray", "snow") * 8
WORDS = "# colors\nColors|Warm|red = crimson\ngreen\n\nblue\n"
OTHER_PROGRAM = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>mine</rdf:li></rdf:Bag>
</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.fixture
def words(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Index three pictures, of which each has one of the colors in the returned list of words.

    The calibration sentences are grays, so a color is a good match.
    """
    monkeypatch.setattr(good_match, "CALIBRATION_SENTENCES", GRAYS)
    assert run("index", photos, "--model", model).exit_code == 0
    file = tmp_path / "words.txt"
    file.write_text(WORDS)
    return file


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def read_times(folder: Path) -> dict[str, int]:
    """Return the times of the last change of all files below a folder."""
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*")}


def read_keywords(file: Path) -> tuple[str, ...]:
    found = parse_xmp(file.read_bytes())
    assert found is not None
    return found.keywords


def read_json(run: RunCommand, *arguments: object) -> dict[str, Any]:
    result = run("tag", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_preview_writes_nothing(
    run: RunCommand, words: Path, photos: Path, fake_engines: FakeEngines, tmp_path: Path
) -> None:
    """Each picture gets its color; no picture is embedded again; each phrase is embedded once."""
    before = read_tree(photos)
    embedded_count = fake_engines.embedded_count
    found = read_json(run, "--words", words)
    tags = {Path(p["path"]).name: [tag["tag"] for tag in p["tags"]] for p in found["pictures"]}
    assert tags == {"red.jpg": ["Colors|Warm|red"], "green.png": ["green"], "blue.jpg": ["blue"]}
    assert found["sidecars"] == []
    assert fake_engines.embedded_count == embedded_count
    prompts = fake_engines.started_engines[-1].prompts
    assert len(prompts) == len(set(prompts)) == 4
    file = tmp_path / "tags.html"
    result = run("tag", "--words", words, "--html", file, "--in", photos / "below")
    assert result.exit_code == 0
    page = file.read_text()
    assert "blue: 1 picture" in page
    assert "Warm" not in page
    assert "nothing was written" in result.stderr
    assert read_tree(photos) == before


def test_write_and_undo(run: RunCommand, words: Path, photos: Path) -> None:
    """Sidecars are made or extended; a second run changes nothing; undo restores all bytes."""
    (photos / "green.xmp").write_bytes(OTHER_PROGRAM)
    before = read_tree(photos)
    found = read_json(run, "--words", words, "--write", "sidecar")
    actions = {Path(each["path"]).name: each["action"] for each in found["sidecars"]}
    assert actions == {"red.xmp": "created", "green.xmp": "changed", "blue.jpg.xmp": "created"}
    assert read_keywords(photos / "green.xmp") == ("mine", "green")
    written, times = read_tree(photos), read_times(photos)
    assert {name: data for name, data in written.items() if not name.endswith(".xmp")} == {
        name: data for name, data in before.items() if not name.endswith(".xmp")
    }
    again = read_json(run, "--words", words, "--write", "sidecar")
    assert {each["action"] for each in again["sidecars"]} == {"unchanged"}
    assert (read_tree(photos), read_times(photos)) == (written, times)
    undone = run("tag", "--undo")
    assert undone.exit_code == 0
    assert "deleted" in undone.stderr
    assert read_tree(photos) == before


def test_next_index_run_knows_the_tags(
    run: RunCommand, words: Path, photos: Path, fake_engines: FakeEngines
) -> None:
    """No picture is embedded again; after undo, the library has the keywords from before."""
    save_picture(photos / "red.jpg", "red", xmp=OTHER_PROGRAM)
    assert run("index", photos).exit_code == 0
    embedded_count = fake_engines.embedded_count

    def list_keywords() -> dict[str, list[str]]:
        assert run("index", photos).exit_code == 0
        hits = json.loads(run("query", "red", "--json").stdout)
        return {Path(hit["path"]).name: sorted(hit["keywords"]) for hit in hits}

    before = list_keywords()
    assert before == {"red.jpg": ["mine"], "green.png": [], "blue.jpg": []}
    run("tag", "--words", words, "--write", "sidecar")
    assert list_keywords() == {
        "red.jpg": ["Colors", "Warm", "mine", "red"], "green.png": ["green"], "blue.jpg": ["blue"],
    }  # fmt: skip
    found = json.loads(run("query", "red", "--keyword", "blue", "--json").stdout)
    assert [Path(hit["path"]).name for hit in found] == ["blue.jpg"]
    run("tag", "--undo")
    assert list_keywords() == before
    assert fake_engines.embedded_count == embedded_count


def test_names_of_new_sidecars(run: RunCommand, words: Path, photos: Path) -> None:
    """A folder keeps its habit; --naming decides; two pictures can share a sidecar."""
    run("tag", "--words", words, "--write", "sidecar", "--naming", "lightroom")
    assert (photos / "red.xmp").exists()
    assert (photos / "below/blue.xmp").exists()
    run("tag", "--words", words, "--write", "sidecar", "--naming", "darktable")
    assert not list(photos.rglob("*.*.xmp"))  # Two sidecars of a picture could contradict.
    run("tag", "--undo")
    assert not list(photos.rglob("*.xmp"))
    (photos / "other.xmp").write_bytes(OTHER_PROGRAM)
    run("tag", "--words", words, "--write", "sidecar")
    assert sorted(file.name for file in photos.rglob("*.xmp")) == [
        "blue.jpg.xmp", "green.xmp", "other.xmp", "red.xmp",
    ]  # fmt: skip
    assert (photos / "other.xmp").read_bytes() == OTHER_PROGRAM


def test_shared_sidecar_has_the_tags_of_both(
    run: RunCommand, words: Path, photos: Path, model: Path
) -> None:
    """IMG_1.xmp belongs to IMG_1.jpg and to IMG_1.png."""
    save_picture(photos / "red.png", "blue", mark=1)
    run("index", photos)
    (photos / "red.xmp").write_bytes(OTHER_PROGRAM)
    run("tag", "--words", words, "--write", "sidecar")
    assert {"mine", "red", "blue"} < set(read_keywords(photos / "red.xmp"))
    written = read_tree(photos)
    run("tag", "--words", words, "--write", "sidecar")
    assert read_tree(photos) == written


def test_other_words_replace_the_tags(run: RunCommand, words: Path, photos: Path) -> None:
    """Tags of an earlier run go, also from pictures that have no tag now."""
    run("tag", "--words", words, "--write", "sidecar")
    words.write_text("crimson\n")
    run("tag", "--words", words, "--write", "sidecar")
    assert [file.name for file in photos.rglob("*.xmp")] == ["red.jpg.xmp"]
    assert read_keywords(photos / "red.jpg.xmp") == ("crimson",)


def test_failures_are_told(run: RunCommand, words: Path, photos: Path) -> None:
    """A broken sidecar stays as it is, all others are written, and the exit status is 1."""
    (photos / "red.xmp").write_bytes(b"broken")
    result = run("tag", "--words", words, "--write", "sidecar")
    assert result.exit_code == 1
    assert "red.xmp: it is not valid XML" in result.stderr
    assert (photos / "red.xmp").read_bytes() == b"broken"
    assert read_keywords(photos / "green.xmp") == ("green",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no words"),
        ("# only a comment", "no words"),
        ("a||b", "line 1 has an empty keyword"),
        ("ok\n= x", "line 2 has an empty keyword"),
        ("a\x1bb", "control character"),
    ],
)
def test_bad_list_of_words(run: RunCommand, tmp_path: Path, text: str, reason: str) -> None:
    """The message names the line."""
    (tmp_path / "bad.txt").write_text(text)
    result = run("tag", "--words", tmp_path / "bad.txt")
    assert result.exit_code == 2
    assert reason in str(result.exception)


def test_options_exclude_each_other(run: RunCommand, tmp_path: Path) -> None:
    """A list of words or undo is needed, and not both."""
    for arguments in ((), ("--undo", "--words", "w"), ("--undo", "--write", "sidecar")):
        assert run("tag", *arguments).exit_code == 2
