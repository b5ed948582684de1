"""Conventions of the command line: names that are misspelled, and options in several places."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.cli import cli
from searchapp.files.atomic import require_writable
from searchapp.library import Library


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("qurey", "red"), "No such command 'qurey'. Did you mean 'query'?"),
        (("expert",), "No such command 'expert'. Did you mean 'export'"),
        (("bench", "serach"), "No such command 'serach'. Did you mean 'search'?"),
        (("--libary", "x", "query"), "--library"),
        (("query", "--sotr", "date"), "--sort"),
        (("xyzzy",), "No such command 'xyzzy'."),
    ],
)
def test_similar_names_are_suggested(arguments: tuple[str, ...], message: str) -> None:
    """A misspelled command or option is an error of usage, with the name that it resembles."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "red", "--html"),
        ("map", "--html"),
        ("duplicates", "--html"),
        ("duplicates", "--script"),
        ("tag", "--words", "words.txt", "--html"),
        ("embed", "--model", "MODEL", "--npy"),
        ("bench", "search", "--vectors", "1000", "--svg"),
    ],
    ids=" ".join,
)
def test_the_place_of_the_output_is_checked_before_the_work(
    run: RunCommand, tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines,
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A misspelled folder costs no long run, and a good one keeps no trace of the check."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("searchapp.bench.search.measure_search", pytest.fail)
    run("index", photos, "--model", model)
    fake_engines.started_engines.clear()
    (tmp_path / "words.txt").write_text("red")
    arguments = tuple(str(model) if each == "MODEL" else each for each in arguments)
    result = run(*arguments, "none/output")
    assert (result.exit_code, result.stderr) == (1, "")  # no note of a step
    assert str(result.exception).startswith(
        "none/output cannot be written: No such file or directory. Choose another place"
    )
    assert not fake_engines.started_engines
    (tmp_path / "some").mkdir()
    require_writable(Path("some/output"), None)
    assert not list((tmp_path / "some").iterdir())


def test_library_stands_before_or_after_the_command(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines, run: RunCommand
) -> None:
    """Before the command, it has priority over the variable; after it, over both."""
    folders = [tmp_path / name for name in ("library", "two", "three")]
    for number, folder in enumerate(folders):
        save_picture(photos / f"more{number}.png", "red", mark=number + 1)
        with Library.open(folder, create=True, start=fake_engines) as library:
            index_folder(library, photos, model)

    def count(*arguments: object) -> int:
        images: int = json.loads(run(*arguments).stdout)["images"]
        return images

    _, two, three = folders  # the variable names the first
    assert count("info", "--json") == 4
    assert count("--library", two, "info", "--json") == 5
    assert count("--library", two, "info", "--json", "--library", three) == 6
    assert count("info", "--json", "--library", three) == 6
    assert run("--library", tmp_path / "missing", "info").exit_code == 1


def test_hits_sorted_by_date_show_dates(run: RunCommand, photos: Path, model: Path) -> None:
    """The date comes first, newest first; the order by score shows no dates."""
    for number, name in enumerate(("red.jpg", "green.png", "below/blue.jpg")):
        os.utime(photos / name, (1_700_000_000 + 86400 * number,) * 2)
    run("index", photos, "--model", model)
    lines = run("query", "red", "--sort", "date").stdout.splitlines()
    dates = [line[:16] for line in lines]
    assert dates == sorted(dates, reverse=True)
    assert [date[:10] for date in dates] == ["2023-11-16", "2023-11-15", "2023-11-14"]
    assert lines[0].endswith(f"  {photos}/below/blue.jpg")
    assert not run("query", "red").stdout.startswith("2023")


def test_count_is_the_long_form(run: RunCommand, photos: Path, model: Path) -> None:
    """--count limits the hits, as -k does."""
    run("index", photos, "--model", model)
    long = run("query", "red", "--count", 2, "--json").stdout
    assert long == run("query", "red", "-k", 2, "--json").stdout
    assert len(json.loads(long)) == 2


def test_json_is_a_list_and_json_object_an_object(
    run: RunCommand, photos: Path, model: Path
) -> None:
    """--json does not change its shape with other options."""
    run("index", photos, "--model", model)
    hits = json.loads(run("query", "red", "--json").stdout)
    assert hits[0]["path"] == str(photos / "red.jpg")
    answer = json.loads(run("query", "red", "--json-object").stdout)
    assert answer == {"good_match": True, "hits": hits}  # The name of the file is the query.
