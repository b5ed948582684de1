"""A library works in a folder whose name is not valid UTF-8."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.library import (
    FakeEngines,
    index_folder,
    library_environment,
    search_file_names,
)
from support.paths import TESTS

from searchapp.catalog import Catalog
from searchapp.cli import cli
from searchapp.errors import ModelError, QueryError, VectorStoreError
from searchapp.library import Library
from searchapp.server import client, start_resident
from searchapp.types import DuplicatesFound


def make_latin1_folder(parent: Path) -> Path:
    """Create a folder whose name an old program wrote in Latin-1; return its path."""
    folder = parent / os.fsdecode("Bücher".encode("latin-1"))
    folder.mkdir()
    return folder


def test_a_library_path_need_not_be_utf8(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """Index, search, check, duplicates, prune, backup and exports work in such a folder."""
    folder = make_latin1_folder(tmp_path)
    with Library.open(folder, create=True, start=fake_engines) as library:
        assert index_folder(library, photos, model).added == 3
        assert search_file_names(library, "blue") == ["blue.jpg"]
        assert library.info().collections[0].index_bytes > 0
        assert list(library.check(files=None)) == []
        assert isinstance([*library.duplicates()][-1], DuplicatesFound)
        assert library.prune(missing=True).files == 0
        library.backup(folder / "copy.db")
        for name in ("one.json", "two.npy", "three.parquet"):
            assert library.export(folder / name) == 3
    Catalog.open(folder / "copy.db").close()
    for name in ("one.json", "two.npy", "three.parquet"):
        with Library.open(tmp_path / name, create=True, start=fake_engines) as library:
            assert library.load(folder / name).files == 3
            assert search_file_names(library, "blue") == ["blue.jpg"]


def test_names_in_the_catalog_must_be_utf8(
    opened: Library, photos: Path, model: Path, tmp_path: Path
) -> None:
    """A model folder, a collection or a Milvus file with another name is refused with a reason."""
    folder = make_latin1_folder(tmp_path)
    index_folder(opened, photos, model)
    model.rename(folder / "model")
    with pytest.raises(ModelError, match="not valid UTF-8"):
        index_folder(opened, photos, folder / "model")
    (folder / "model").rename(model)
    with pytest.raises(QueryError, match="not valid UTF-8"):
        index_folder(opened, photos, model, collection="new\udcff")
    with pytest.raises(VectorStoreError, match="not valid UTF-8"):
        list(opened.move(f"milvus:{folder}/vectors.db"))


def test_the_resident_process_of_such_a_library(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The resident process of such a library answers queries, and stops on request."""
    folder = make_latin1_folder(tmp_path)
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    fake_command = [sys.executable, str(TESTS / "support" / "fake_resident.py"), "0", "0"]
    monkeypatch.setattr(start_resident, "SERVER_COMMAND", fake_command)
    environment = {**library_environment(tmp_path), "SEARCHAPP_NO_DAEMON": ""}
    arguments = ["query", "blue", "--json", "--library", str(folder)]
    try:
        answer = CliRunner().invoke(cli, arguments, env=environment, catch_exceptions=False)
        assert Path(json.loads(answer.stdout)[0]["path"]).name == "blue.jpg"
        assert client.get_resident_info(folder) is not None
    finally:
        client.stop_resident(folder)
