"""`searchapp saved` and `query --saved`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.library import FakeEngines, RunCommand
from support.sample_pictures import save_picture


@pytest.fixture(autouse=True)
def indexed(run: RunCommand, photos: Path, model: Path) -> None:
    """Index three pictures."""
    assert run("index", photos, "--model", model).exit_code == 0


def list_links(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.is_symlink())


def test_save_list_run_rename_and_remove(run: RunCommand, photos: Path) -> None:
    result = run("saved", "add", "reds", "red", "-k", 1, "--in", photos, "--before", "2099")
    assert (result.exit_code, result.stderr) == (0, "saved the search 'reds'\n")
    assert run("saved").stdout == f"reds:  red; folder {photos}, before 2099, count 1\n"
    (listed,) = json.loads(run("saved", "--json").stdout)
    assert listed["terms"] == [{"text": "red", "weight": 1.0}]
    assert listed["options"] == {"folder": str(photos), "before": "2099", "count": 1}
    assert json.loads(run("saved", "show", "reds", "--json").stdout) == listed
    assert run("query", "--saved", "reds", "--paths").stdout == f"{photos}/red.jpg\n"
    assert run("saved", "rename", "reds", "my reds").exit_code == 0
    assert "red; folder" in run("saved", "show", "my reds").stdout
    assert run("saved", "remove", "my reds").exit_code == 0
    result = run("saved")
    assert result.stdout == "" and "no saved searches" in result.stderr


def test_filters_without_a_question_list_pictures(
    run: RunCommand, photos: Path, fake_engines: FakeEngines
) -> None:
    """Dates stand in place of scores, also for a saved search; no engine starts."""
    started_count = len(fake_engines.started_engines)
    run("saved", "add", "pngs", "--format", "png")
    for arguments in (("--format", "png"), ("--saved", "pngs")):
        (line,) = run("query", *arguments).stdout.splitlines()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d  (.+)", line)[1] == f"{photos}/green.png"
    (hit,) = json.loads(run("query", "--format", "png", "--json").stdout)
    assert (hit["path"], hit["score"]) == (f"{photos}/green.png", 0)
    assert len(run("query", "--in", photos, "-k", 2, "--paths").stdout.splitlines()) == 2
    assert "no picture matches" in run("query", "--format", "gif").stderr
    assert len(fake_engines.started_engines) == started_count


def test_given_options_replace_saved_ones(
    run: RunCommand, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option of the command line replaces a saved one, but a variable does not."""
    run("saved", "add", "reds", "red", "-k", 1)
    assert len(run("query", "--saved", "reds", "--paths", "-k", 3).stdout.splitlines()) == 3
    below = run("query", "--saved", "reds", "--paths", "--in", photos / "below")
    assert below.stdout == f"{photos}/below/blue.jpg\n"
    monkeypatch.setenv("SEARCHAPP_COUNT", "3")
    assert len(run("query", "--saved", "reds", "--paths").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("query", "--saved", "red"), "Did you mean 'reds'?"),
        (("query", "--saved", "reds", "blue"), "leave out TEXT and pictures"),
        (("saved", "show", "x"), "there is no saved search 'x'. List the saved searches."),
        (("saved", "add", "reds", "blue"), "search first, or replace it with --replace"),
        (("saved", "add", "new"), "nothing to save"),
        (("saved", "rename", "reds", "\n"), "cannot be the name"),
        (("saved", "sync", "reds"), "has no folder of links; add --link-to DIR"),
        (("saved", "sync", "--link-to", "x"), "--link-to needs the name"),
    ],
)
def test_mistakes_are_explained(run: RunCommand, arguments: tuple[str, ...], message: str) -> None:
    run("saved", "add", "reds", "red")
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in str(result.exception)


def test_saved_add_has_all_options_of_a_question() -> None:
    """A new option of `query` is saved, or is listed as one of the output."""
    from searchapp.cli.query import OUTPUT_OPTIONS
    from searchapp.cli.query import command as query
    from searchapp.cli.saved.add import command as add

    names = {each.name for each in query.params}
    assert names >= OUTPUT_OPTIONS
    assert {each.name for each in add.params} >= names - OUTPUT_OPTIONS


def test_links_are_made_and_synced(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """`saved add --link-to` makes them, `saved sync` updates them, and `saved remove` removes."""
    folder = tmp_path / "links"
    add = ("saved", "add", "reds", "red", "-k", 9, "--min-score", "0.99", "--link-to", folder)
    result = run(*add)
    assert result.exit_code == 0
    assert f"reds: 1 new link in {folder}, 0 removed" in result.stderr
    save_picture(photos / "new.jpg", "red", mark=1)
    (photos / "red.jpg").unlink()
    run("index", photos)
    assert f"reds: 1 new link in {folder}, 1 removed" in run("saved", "sync").stderr
    assert list_links(folder) == ["new.jpg"]
    assert run("saved", "sync", "reds", "--link-to", tmp_path / "moved").exit_code == 0
    assert not folder.exists()
    assert list_links(tmp_path / "moved") == ["new.jpg"]
    run("saved", "remove", "reds")
    assert not (tmp_path / "moved").exists()
    assert (photos / "new.jpg").is_file()


def test_links_to_all_pictures_of_a_filter(run: RunCommand, photos: Path, tmp_path: Path) -> None:
    """A question is not necessary."""
    result = run("saved", "add", "jpegs", "--format", "jpeg", "--link-to", tmp_path / "links")
    assert result.exit_code == 0
    assert list_links(tmp_path / "links") == ["blue.jpg", "red.jpg"]
    assert run("query", "--saved", "jpegs", "--paths").stdout.count(".jpg") == 2


def test_a_refused_folder_saves_nothing(run: RunCommand, photos: Path) -> None:
    result = run("saved", "add", "reds", "red", "--link-to", photos / "below")
    assert result.exit_code == 1
    assert "whose pictures the library holds" in str(result.exception)
    assert run("saved").stdout == ""


def test_one_broken_folder_does_not_stop_the_others(run: RunCommand, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("saved", "add", name, "red", "-k", 1, "--link-to", tmp_path / name)
    (tmp_path / "a" / ".searchapp-links.json").unlink()
    (tmp_path / "b" / "red.jpg").unlink()
    result = run("saved", "sync")
    assert result.exit_code == 1
    assert "a: " in result.stderr and "not the folder of the links any more" in result.stderr
    assert list_links(tmp_path / "b") == ["red.jpg"]
