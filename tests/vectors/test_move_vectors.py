"""Move a collection between FAISS and Milvus, and use it there with the library and commands."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from click.testing import Result
from milvus_lite.adapter.grpc.server import start_server_in_thread
from support.library import FakeEngines, RunCommand, index_folder
from support.sample_pictures import save_picture

from searchapp.errors import SearchAppError, VectorStoreError
from searchapp.library import Library
from searchapp.types import Query, SearchOptions
from searchapp.vectors.address import parse_address

SECRET = "s3cr3t"


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"milvus:{tmp_path / 'vectors.db'}"


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def server(folder: Path, at: int) -> Iterator[None]:
    """Serve a Milvus Lite folder at a port."""
    running, db, _ = start_server_in_thread(str(folder), "127.0.0.1", at)
    try:
        yield
    finally:
        running.stop(grace=0).wait()
        db.close()


def answers(library: Library) -> list[tuple[str, float]]:
    hits = library.search(Query("red"), SearchOptions(count=9))
    return [(Path(hit.path).name, round(hit.score, 5)) for hit in hits]


def faiss_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.faiss"))


def test_move_to_milvus_and_back(
    opened: Library, photos: Path, model: Path, file: str, fake_engines: FakeEngines
) -> None:
    """Each move keeps the results, embeds nothing, and clears the old store."""
    index_folder(opened, photos, model)
    (before, embedded) = answers(opened), fake_engines.embedded_count
    list(opened.move(file))
    assert answers(opened) == before
    assert not faiss_files(opened.folder)
    (info,) = opened.info().collections
    assert (info.vectors, info.index, info.index_images) == (file, "FLAT", 3)
    list(opened.move("faiss"))
    assert answers(opened) == before
    assert len(faiss_files(opened.folder)) == 1
    milvus = opened._indexes._milvus.get_connection(parse_address(file))  # type: ignore[arg-type]
    assert milvus._client.list_collections() == []
    assert opened.info().collections[0].vectors == "faiss"
    assert fake_engines.embedded_count == embedded
    assert list(opened.check()) == []


def test_the_old_store_answers_until_the_new_one_is_complete(
    opened: Library, photos: Path, model: Path, file: str
) -> None:
    """An interrupted move changes no result; the next index run completes it."""
    index_folder(opened, photos, model)
    before = answers(opened)
    with mock.patch("searchapp.catalog.embeddings.FIELDS_PAGE_ROWS", 1):
        for _ in opened.move(file):
            break
    assert answers(opened) == before
    assert opened.info().collections[0].vectors == "faiss"
    assert opened.info().collections[0].vectors_wanted == file
    assert len(faiss_files(opened.folder)) == 1
    index_folder(opened, photos, model)
    assert opened.info().collections[0].vectors == file
    assert answers(opened) == before
    assert not faiss_files(opened.folder)


def test_a_store_that_cannot_be_cleared_fails_no_run(
    opened: Library, photos: Path, model: Path, file: str
) -> None:
    """For example, if its token or pymilvus is missing. A later run clears it."""
    index_folder(opened, photos, model, vectors=file)
    before, milvus = answers(opened), opened._indexes._milvus.get_connection(parse_address(file))  # type: ignore[arg-type]
    denied = VectorStoreError("asks for a token")
    with mock.patch(
        "searchapp.vectors.milvus_store.sync.MilvusSync.drop_collection", side_effect=denied
    ) as drop_collection:
        list(opened.move("faiss"))
        index_folder(opened, photos, model)
    assert drop_collection.call_count >= 2
    assert answers(opened) == before
    assert len(milvus._client.list_collections()) == 1
    index_folder(opened, photos, model)
    assert (
        opened._indexes._milvus.get_connection(parse_address(file))._client.list_collections() == []
    )  # type: ignore[arg-type]


def test_all_commands_work_with_milvus(
    opened: Library, photos: Path, model: Path, file: str, tmp_path: Path
) -> None:
    """index, prune, check, export and a filter work as with FAISS."""
    index_folder(opened, photos, model, vectors=file)
    assert not faiss_files(opened.folder)
    save_picture(photos / "yellow.png", "yellow", mark=1)
    index_folder(opened, photos, model)
    (photos / "green.png").unlink()
    index_folder(opened, photos, model)
    assert opened.prune().embeddings == 1
    (info,) = opened.info().collections
    assert (info.vectors, info.images, info.index_images) == (file, 3, 3)
    assert sorted(name for name, _ in answers(opened)) == ["blue.jpg", "red.jpg", "yellow.png"]
    found = opened.search(Query("red"), SearchOptions(folder=photos / "below"))
    assert [Path(hit.path).name for hit in found] == ["blue.jpg"]
    assert list(opened.check()) == []
    assert opened.export(tmp_path / "out.npy") == 3


def test_check_finds_and_repairs_a_lost_collection(
    opened: Library, photos: Path, model: Path, file: str
) -> None:
    """The vectors in the catalog are sent again."""
    index_folder(opened, photos, model, vectors=file)
    store = opened._catalog.get_vector_stores(opened._catalog.list_collections()[0]).find_current()
    assert store is not None
    opened._indexes._milvus.get_connection(parse_address(file)).drop_collection(store.name)  # type: ignore[arg-type]
    (fault,) = opened.check()
    assert "in Milvus is wrong: the collection does not exist" in fault.what
    (fault,) = opened.check(repair=True)
    assert fault.mended
    assert list(opened.check()) == []
    assert len(answers(opened)) == 3


def test_an_unreachable_server_loses_no_embeddings(
    opened: Library, photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """The run reports it and keeps its embeddings; the next run sends them."""
    at = port()
    url = f"milvus:http://127.0.0.1:{at}?timeout=1"
    with server(tmp_path / "served", at):
        index_folder(opened, photos, model, vectors=url)
        assert len(answers(opened)) == 3
    with server(tmp_path / "served", at):  # A restart has unloaded all collections.
        assert len(answers(opened)) == 3
    save_picture(photos / "yellow.png", "yellow", mark=1)
    with pytest.raises(
        VectorStoreError,
        match=r"has every embedding, .* does not answer .* embeds nothing again",
    ):
        index_folder(opened, photos, model)
    (info,) = opened.info().collections
    assert (info.images, info.index_images) == (4, 3)
    with pytest.raises(VectorStoreError, match=f"127.0.0.1:{at} does not answer .* Start it, or"):
        answers(opened)
    (fault,) = opened.check()
    assert "does not answer" in fault.what
    with server(tmp_path / "served", at):
        assert index_folder(opened, photos, model).unchanged == 4
        assert len(answers(opened)) == 4
        assert opened.info().collections[0].index_images == 4
    assert fake_engines.embedded_count == 4
    list(opened.move("faiss"))  # The server is away; its collection is dropped later.
    assert len(answers(opened)) == 4
    with server(tmp_path / "served", at):
        index_folder(opened, photos, model)
        assert (
            opened._catalog.get_vector_stores(opened._catalog.list_collections()[0]).list_unused(
                None
            )
            == []
        )


def test_an_unreachable_store_changes_nothing(
    opened: Library,
    photos: Path,
    model: Path,
    tmp_path: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error comes before an engine starts and before a collection is created."""
    monkeypatch.setattr("searchapp.vectors.milvus_store.connection.REFUSED_RETRY_S", 0.3)
    nobody = f"milvus:http://user:{SECRET}@127.0.0.1:{port()}"
    with pytest.raises(VectorStoreError, match="does not answer") as raised:
        index_folder(opened, photos, model, vectors=nobody)
    assert SECRET not in str(raised.value)
    (tmp_path / "plain.db").write_text("no folder")
    with pytest.raises(
        VectorStoreError, match="is a file, but Milvus Lite stores its data in a folder"
    ):
        index_folder(opened, photos, model, vectors=f"milvus:{tmp_path / 'plain.db'}")
    assert opened.info().collections == ()
    assert not fake_engines.started_engines
    index_folder(opened, photos, model)
    with pytest.raises(VectorStoreError, match="does not answer"):
        list(opened.move(nobody))
    assert opened.info().collections[0].vectors_wanted == "faiss"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("elsewhere", "elsewhere is not the address .* Use faiss, milvus:http://"),
        ("milvus:", "is not the address of a vector store"),
        ("milvus:vectors", "its name must end in .db"),
        ("milvus:ftp://host", "is not the address of a vector store"),
        ("milvus:http://user:s3cr3t@:1", "is not the address of a vector store"),
        ("milvus:http://host:port", "host or port of http://host:port is not valid"),
        ("milvus:http://user:s3cr3t/12@host", "has an @ or # after its host"),
        ("milvus:http://user:12/s3cr3t@host", "has an @ or # after its host"),
        ("milvus:http://user:12?s3cr3t@host", "has an @ or # after its host"),
        ("milvus:http://user:12#s3cr3t@host", "has an @ or # after its host"),
        ("milvus:ftp://user:s3cr3t?12@host", r"ftp://\.\.\. is not the address"),
        ("milvus:http://host:0", "host or port of http://host:0 is not valid"),
        ("milvus:http://[", "host or port of .* is not valid"),
        ("milvus:http://host:99999", "host or port of .* is not valid"),
        (f"milvus:http://{'ü' * 80}", "host or port of .* is not valid"),
        ("milvus:http://host/a/b", "the Milvus database a/b is not valid"),
        ("milvus:http://host/\udcff", "host or port of .* is not valid"),
        ("milvus:http://host?color=red", "has no option color. The options are index, M,"),
        ("milvus:http://host?M=many", "M=many is not valid: use a whole number"),
        ("milvus:http://host?shards=0", "shards=0 is not valid: use a whole number"),
        ("milvus:http://host?consistency=none", "use one of Strong, Bounded"),
        ("milvus:http://host?index=best one", "use a Milvus index type such as HNSW"),
        ("milvus:a.db?index=DISKANN", "cannot build the index type DISKANN. Use one of FLAT"),
        ("milvus:http://host?rerank=1", "use yes or no"),
        ("milvus:http://host?timeout=soon", "use a number of seconds"),
    ],
)
def test_a_wrong_address_is_explained(wrong: str, said: str) -> None:
    """No message repeats a part of a secret."""
    with pytest.raises(VectorStoreError, match=said) as raised:
        parse_address(wrong)
    assert SECRET not in str(raised.value)


def test_parse_address_reads_urls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ports, databases and paths. Search options do not name another collection."""
    monkeypatch.chdir(tmp_path)
    assert parse_address("faiss") is None
    lite = parse_address("milvus:some.db?index=HNSW&M=8&ef=50")
    assert lite is not None
    assert lite.url == f"milvus:{tmp_path}/some.db?M=8&ef=50&index=HNSW"
    assert lite.place == f"milvus:{tmp_path}/some.db?M=8&index=HNSW"
    assert lite.index_parameters == {"M": 8, "efConstruction": 200}
    far = parse_address(f"milvus:https://me:{SECRET}@milvus.example.org/photos?shards=4&rerank=yes")
    assert far is not None
    assert (far.server, far.database) == ("https://milvus.example.org:443", "photos")
    assert (far.token, far.shard_count, far.is_reranked) == (f"me:{SECRET}", 4, True)
    assert SECRET not in far.url + far.place + far.display_name + repr(far)
    assert parse_address(far.url) == far
    other = parse_address(f"milvus:http://host?token={SECRET}")
    assert other is not None
    assert (other.token, other.url) == (SECRET, "milvus:http://host:19530")


def test_a_token_is_stored_and_logged_nowhere(
    opened: Library, photos: Path, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is sent to the server, and appears in no file, message, event or log."""
    at = port()
    caplog.set_level(logging.DEBUG, "searchapp")
    with server(tmp_path / "served", at):
        with mock.patch("pymilvus.MilvusClient", wraps=__import__("pymilvus").MilvusClient) as made:
            index_folder(opened, photos, model, vectors=f"milvus:http://me:{SECRET}@127.0.0.1:{at}")
            assert made.call_args.kwargs["token"] == f"me:{SECRET}"
        assert "Creating the Milvus collection" in caplog.text
        assert SECRET not in caplog.text
        opened._catalog._db.execute("pragma wal_checkpoint(truncate)")
        for path in opened.folder.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes()
        assert SECRET not in repr(opened.info())


def test_without_pymilvus_the_error_says_how_to_install_it(
    opened: Library, photos: Path, model: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else works without pymilvus."""
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(VectorStoreError, match=r"pip install -e '\.\[milvus\]'"):
        index_folder(opened, photos, model, vectors=file)
    index_folder(opened, photos, model)
    assert len(answers(opened)) == 3


def test_pymilvus_is_imported_only_for_milvus(opened: Library) -> None:
    """A library with FAISS files works without it."""
    code = (
        "import sys; from searchapp.library import Library\n"
        f"with Library.open({str(opened.folder)!r}) as library: library.info(); library.prune()\n"
        "assert not {'pymilvus', 'milvus_lite', 'grpc'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


HOLDS = """
import sys
from searchapp.vectors.address import parse_address
from searchapp.vectors.milvus_store.store import MilvusConnection
milvus = MilvusConnection(parse_address(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
milvus.close()
"""


def test_opening_waits_for_another_process_that_has_the_file(
    opened: Library, photos: Path, model: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milvus Lite allows one process; a resident process closes the file while it is idle."""
    index_folder(opened, photos, model, vectors=file)
    opened.reader.close_exclusive_files()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    monkeypatch.setattr("searchapp.vectors.milvus_store.connection.CONNECT_TIMEOUT_S", 0.1)
    with pytest.raises(
        VectorStoreError, match="is open in another process, and Milvus Lite allows"
    ):
        answers(opened)
    monkeypatch.setattr("searchapp.vectors.milvus_store.connection.CONNECT_TIMEOUT_S", 60)
    holder.stdin.close()
    assert len(answers(opened)) == 3
    assert holder.wait() == 0


def test_the_commands_show_where_vectors_are(
    run: RunCommand, photos: Path, model: Path, file: str, fake_engines: FakeEngines
) -> None:
    """move, info and --vectors of index. An unknown collection is an error."""

    def get_output(result: Result) -> str:
        assert result.exit_code == 0, result.output
        return result.output

    get_output(run("index", photos, "--model", model))
    place = file.removeprefix("milvus:")
    output = get_output(run("move", f"{file}?index=HNSW"))
    assert f"3/3 vectors sent to Milvus at {place}" in output
    assert f"3 vectors in {file}?index=HNSW" in output
    assert f"index      HNSW in Milvus at {place}\n" in get_output(run("info"))
    (info,) = json.loads(get_output(run("info", "--json")))["collections"]
    assert info["vectors"] == f"{file}?index=HNSW"
    assert "red.jpg" in get_output(run("query", "red"))
    assert "3 unchanged" in get_output(run("index", photos, "--vectors", "faiss"))
    assert "Milvus" not in get_output(run("info"))
    assert fake_engines.embedded_count == 3
    result = run("move", file, "--collection", "none")
    assert isinstance(result.exception, SearchAppError)
    assert "the library has no collection none" in str(result.exception)
