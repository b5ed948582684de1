"""Paths that a user enters: each fault is one error of the caller's class, with a remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchapp.errors import FolderError, QueryError
from searchapp.files.enter_path import enter_path, find_entered, has_entered_folder
from searchapp.files.storage import has_folder, normalize_folder


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that this process cannot search, even if root runs the tests."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # nobody
    yield folder
    os.seteuid(user)
    folder.chmod(0o700)


def test_entered_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ is the home folder; a relative path begins at the current folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert enter_path("~/x", QueryError) == enter_path("x", QueryError) == tmp_path / "x"
    assert find_entered("x", QueryError) is None
    assert find_entered(tmp_path / "x/y", QueryError) is None
    (tmp_path / "x").touch()
    assert find_entered("x/y", QueryError) is None
    assert not has_entered_folder("~/x", QueryError)
    assert has_entered_folder("~", QueryError)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("~nosuchuser/x", r"there is no home folder for ~nosuchuser\. .* \./~nosuchuser"),
        ("a\0b", "contains a null byte. Correct the path"),
        ("x" * 5000, "File name too long. Correct the path"),
        ("x" * 300, "File name too long. Correct the path"),
        ("/tmp/\ud800", "its characters are not valid. Correct the path"),
    ],
)
def test_bad_path_is_one_error(path: str, reason: str) -> None:
    """The message is short, and names the reason and what to do."""
    for make_error in (QueryError, FolderError):
        with pytest.raises(make_error, match=reason) as raised:
            find_entered(path, make_error)
        assert len(str(raised.value)) < 500


def test_closed_folder_is_not_a_missing_one(closed_folder: Path) -> None:
    """A path below a folder without permissions is an error: it may exist."""
    for ask in (has_folder, lambda path: find_entered(path, FolderError)):
        with pytest.raises(FolderError, match=r"Permission denied\. .* check the permissions"):
            ask(str(closed_folder / "x"))


def test_removed_current_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path needs the current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    with pytest.raises(FolderError, match="Change to another folder"):
        normalize_folder("x")
