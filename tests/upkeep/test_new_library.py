"""A command that fails leaves no new library behind."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.catalog import Catalog
from searchapp.catalog import catalog as catalog_module
from searchapp.cli import COMMANDS
from searchapp.errors import EngineError, FolderError, LibraryError, ModelError
from searchapp.library import Library
from searchapp.models import ModelSpec
from searchapp.types import IndexOptions


def fail_to_start(spec: ModelSpec) -> None:
    """Be an engine that does not start."""
    raise EngineError("the engine does not start")


def list_names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("index", "nowhere"),
        ("index", "photos", "--model", "no-such-model"),
        ("index", "photos", "--model", "MODEL", "--index", "no-such-kind"),
        ("index", "photos", "--model", "MODEL", "--vectors", "no-such-store"),
        ("index", "photos", "--model", "MODEL", "--include", "a[", "--exclude", "!"),
        ("import", "broken.json"),
        ("watch", "nowhere"),
        ("watch", "photos", "--model", "no-such-model", "--no-daemon"),
        ("query", "red"),
        ("query", "red", "--no-daemon"),
        ("browse",),
        ("saved",),
        ("saved", "add", "reds", "red"),
        ("saved", "sync"),
        ("serve", "--port", "0"),
        ("info",),
        ("check",),
        ("failures",),
        ("prune",),
        ("duplicates",),
        ("ocr",),
        ("map",),
        ("mcp",),
        ("desktop", "install"),
        ("desktop", "similar", "photos/red.jpg"),
        ("tag", "--undo"),
        ("stop",),
        ("move", "faiss"),
        ("export", "out.json"),
        ("backup", "out.db"),
        ("restore", "broken.json"),
    ],
    ids=" ".join,
)
def test_a_failed_command_leaves_no_library(
    run: RunCommand,
    tmp_path: Path,
    photos: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    """Neither the library nor a folder above it exists after the command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{}")
    before = list_names(tmp_path)
    library = tmp_path / "new" / "deep" / "library"
    words = [str(model) if each == "MODEL" else each for each in arguments]
    result = run(*words, "--library", library)
    if arguments[0] != "stop":
        assert result.exit_code != 0
    assert list_names(tmp_path) == before


def test_every_command_with_a_library_is_tested() -> None:
    """A new command must be added to the test above, or here if it needs no library."""
    without_library = {"bench", "completion", "docs", "embed", "eval", "models"}
    tested = {
        mark.args[1][n][0]
        for mark in test_a_failed_command_leaves_no_library.pytestmark  # type: ignore[attr-defined]
        for n in range(len(mark.args[1]))
    }
    assert {*COMMANDS} - without_library == tested


def test_a_failed_run_leaves_no_library(tmp_path: Path, photos: Path, model: Path) -> None:
    """An engine that does not start leaves nothing; the existing folder stays."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "notes.txt").write_text("not ours")
    with (
        pytest.raises(EngineError),
        Library.open(tmp_path / "library", create=True, start=fail_to_start) as library,  # type: ignore[arg-type]
    ):
        index_folder(library, photos, model)
    assert list_names(tmp_path / "library") == ["notes.txt"]


def test_saved_work_is_kept(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """After a failure, a library stays if it has images, or if a run ended before."""
    for name, folder in (("one", photos), ("two", tmp_path / "empty")):
        folder.mkdir(exist_ok=True)
        with (
            pytest.raises(FolderError),
            Library.open(tmp_path / name, create=True, start=fake_engines) as library,
        ):
            index_folder(library, folder, model)
            list(library.index([tmp_path / "nowhere"], IndexOptions(str(model))))
        assert "catalog.db" in list_names(tmp_path / name)


def test_an_interrupted_run_keeps_its_images(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """What an interrupted first run has saved stays."""
    with (
        pytest.raises(KeyboardInterrupt),
        Library.open(tmp_path / "new", create=True, start=fake_engines) as library,
    ):
        for event in library.index([photos], IndexOptions(str(model), batch_size=1)):
            if type(event).__name__ == "Progress":
                raise KeyboardInterrupt
    with Library.open(tmp_path / "new") as library:
        assert library.info().images >= 1


def test_an_old_library_is_kept(opened: Library, tmp_path: Path) -> None:
    """A library that existed before the command stays, even if it is empty."""
    opened.close()
    with (
        pytest.raises(FolderError),
        Library.open(tmp_path / "library", create=True) as library,
    ):
        list(library.index([tmp_path / "nowhere"]))
    assert "catalog.db" in list_names(tmp_path / "library")


def test_a_library_that_another_process_uses_is_kept(tmp_path: Path, model: Path) -> None:
    """Another process that has opened the new library keeps it."""
    with (
        pytest.raises(FolderError),
        Library.open(tmp_path / "new", create=True) as library,
    ):
        other = Catalog.open(tmp_path / "new" / "catalog.db")
        list(library.index([tmp_path / "nowhere"]))
    assert other.list_collections() == []
    assert "catalog.db" in list_names(tmp_path / "new")
    other.close()


def test_a_catalog_that_is_removed_while_it_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that opens a catalog at the moment of its removal writes to the new one."""
    file = tmp_path / "catalog.db"
    Catalog.open(file, create=True).close()
    removals = [1]
    real_upgrade = catalog_module.upgrade_schema

    def upgrade(*arguments: object) -> None:
        real_upgrade(*arguments)  # type: ignore[arg-type]
        if removals:
            removals.pop()
            file.unlink()

    monkeypatch.setattr(catalog_module, "upgrade_schema", upgrade)
    with_file = Catalog.open(file, create=True)
    with_file.add_collection("one", "m", "r", 4, "{}")
    with_file.close()
    assert sqlite3.connect(file).execute("select name from collections").fetchall() == [("one",)]


def test_a_library_that_cannot_be_opened_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the catalog cannot be created, the folders of the library are removed."""
    error = LibraryError("the disk is full")
    monkeypatch.setattr(Catalog, "open", lambda *_, **__: (_ for _ in ()).throw(error))
    with pytest.raises(LibraryError):
        Library.open(tmp_path / "a" / "b", create=True)
    assert list_names(tmp_path) == []


def test_errors_keep_their_kind(run: RunCommand, tmp_path: Path, photos: Path) -> None:
    """Removing the library does not hide why the command failed."""
    save_picture(photos / "x.jpg")
    result = run("index", photos, "--model", "no-such-model", "--library", tmp_path / "new")
    assert isinstance(result.exception, ModelError)
