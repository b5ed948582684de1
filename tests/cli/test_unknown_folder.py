"""`--in` with a folder below which the library knows no file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.library import RunCommand

NO_FOLDER = "no such folder, and the library knows no file below it; check the path"


@pytest.mark.parametrize("command", [("query", "red"), ("duplicates",)])
def test_an_unknown_folder_is_named(
    run: RunCommand, photos: Path, model: Path, command: tuple[str, ...]
) -> None:
    """The note is on stderr; the result is empty, and the exit status 0."""
    run("index", photos, "--model", model)
    (photos / "empty").mkdir()
    for name, note in (("nowhere", NO_FOLDER), ("empty", "run `searchapp index` with this folder")):
        done = run(*command, "--in", photos / name, "--json")
        assert done.exit_code == 0
        assert str(photos / name) in done.stderr
        assert note in done.stderr
        answer = json.loads(done.stdout)
        assert answer == [] or answer["groups"] == []
    assert "the library" not in run(*command, "--in", photos / "below").stderr


def test_a_folder_without_permissions_can_limit_a_search(
    run: RunCommand, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter only compares paths; the pictures may be on a drive of another user."""
    run("index", photos, "--model", model)
    access, folder = os.access, str(photos / "below")
    monkeypatch.setattr(os, "access", lambda path, *rest, **options: (
        str(path) != folder and access(path, *rest, **options)
    ))  # fmt: skip
    done = run("query", "blue", "--in", folder, "--paths")
    assert (done.exit_code, done.stdout) == (0, f"{photos / 'below' / 'blue.jpg'}\n")


def test_a_file_is_no_folder(run: RunCommand, photos: Path, model: Path) -> None:
    run("index", photos, "--model", model)
    done = run("query", "red", "--in", photos / "red.jpg")
    assert f"{photos / 'red.jpg'} is a file; name the folder that contains it" in done.stderr


def test_another_name_of_a_folder_is_named(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """The name can be a link to the folder, or the folder itself if it was indexed by a link."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.symlink_to(photos)
    second.symlink_to(photos)
    run("index", first, "--model", model)
    for other in (photos, second):
        for below in ("", "below"):
            done = run("query", "red", "--in", other / below)
            assert f"the library knows this folder as {first / below}; use" in done.stderr


def test_a_map_of_an_unknown_folder_is_an_error(
    run: RunCommand, photos: Path, model: Path, tmp_path: Path
) -> None:
    """There is no empty map; the error names the folder."""
    run("index", photos, "--model", model)
    done = run("map", "--html", tmp_path / "map.html", "--in", photos / "nowhere")
    assert done.exit_code != 0
    assert NO_FOLDER in str(done.exception)


def test_a_folder_on_an_unmounted_drive_is_known(
    run: RunCommand, photos: Path, model: Path
) -> None:
    """The library keeps its pictures, so that the folder is no error."""
    run("index", photos, "--model", model)
    photos.rename(photos.parent / "unmounted")
    done = run("query", "blue", "--in", photos / "below", "--paths")
    assert NO_FOLDER not in done.stderr
