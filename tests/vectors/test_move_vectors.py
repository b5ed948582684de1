"""Moving a collection between FAISS and Milvus, and living there: the library and its commands."""

from __future__ import annotations

import json
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
    """A server that answers as Milvus does."""
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


def test_there_and_back(
    opened: Library, photos: Path, model: Path, file: str, fake_engines: FakeEngines
) -> None:
    """Nothing is embedded, answers are the same, and the old side is cleared, each time."""
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


def test_the_old_side_answers_until_the_new_one_is_complete(
    opened: Library, photos: Path, model: Path, file: str
) -> None:
    """A move that was stopped changes no answer; the next index ends it."""
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


def test_a_place_that_is_left_may_refuse_to_be_cleared(
    opened: Library, photos: Path, model: Path, file: str
) -> None:
    """Its token is gone, or pymilvus is: no run fails for that, and a later one clears it."""
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


def test_a_collection_lives_in_milvus(
    opened: Library, photos: Path, model: Path, file: str, tmp_path: Path
) -> None:
    """index, prune, check, export, a filter and good matches, as in FAISS."""
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


def test_check_finds_and_mends_what_is_lost(
    opened: Library, photos: Path, model: Path, file: str
) -> None:
    """The catalogue has every vector."""
    index_folder(opened, photos, model, vectors=file)
    store = opened._catalog.get_vector_stores(opened._catalog.list_collections()[0]).find_current()
    assert store is not None
    opened._indexes._milvus.get_connection(parse_address(file)).drop_collection(store.name)  # type: ignore[arg-type]
    (fault,) = opened.check()
    assert "in Milvus: the collection is not there" in fault.what
    (fault,) = opened.check(repair=True)
    assert fault.mended
    assert list(opened.check()) == []
    assert len(answers(opened)) == 3


def test_a_server_that_is_gone_costs_nothing_that_was_embedded(
    opened: Library, photos: Path, model: Path, tmp_path: Path, fake_engines: FakeEngines
) -> None:
    """The run says so, what it embedded stays, and the next one sends it."""
    at = port()
    url = f"milvus:http://127.0.0.1:{at}?timeout=1"
    with server(tmp_path / "served", at):
        index_folder(opened, photos, model, vectors=url)
        assert len(answers(opened)) == 3
    with server(tmp_path / "served", at):  # started anew, it has nothing in memory
        assert len(answers(opened)) == 3
    save_picture(photos / "yellow.png", "yellow", mark=1)
    with pytest.raises(
        VectorStoreError,
        match=r"has all that is embedded, .* does not answer .* embeds nothing again",
    ):
        index_folder(opened, photos, model)
    (info,) = opened.info().collections
    assert (info.images, info.index_images) == (4, 3)
    with pytest.raises(VectorStoreError, match=f"127.0.0.1:{at} does not answer .* start it, or"):
        answers(opened)
    (fault,) = opened.check()
    assert "does not answer" in fault.what
    with server(tmp_path / "served", at):
        assert index_folder(opened, photos, model).unchanged == 4
        assert len(answers(opened)) == 4
        assert opened.info().collections[0].index_images == 4
    assert fake_engines.embedded_count == 4
    list(opened.move("faiss"))  # what is left there is dropped when it can be
    assert len(answers(opened)) == 4
    with server(tmp_path / "served", at):
        index_folder(opened, photos, model)
        assert (
            opened._catalog.get_vector_stores(opened._catalog.list_collections()[0]).list_unused(
                None
            )
            == []
        )


def test_a_place_that_cannot_be_reached_changes_nothing(
    opened: Library,
    photos: Path,
    model: Path,
    tmp_path: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before an engine starts, and before a collection is made."""
    monkeypatch.setattr("searchapp.vectors.milvus_store.connection.REFUSED_RETRY_S", 0.3)
    nobody = f"milvus:http://user:{SECRET}@127.0.0.1:{port()}"
    with pytest.raises(VectorStoreError, match="does not answer") as raised:
        index_folder(opened, photos, model, vectors=nobody)
    assert SECRET not in str(raised.value)
    (tmp_path / "plain.db").write_text("no folder")
    with pytest.raises(VectorStoreError, match="Milvus Lite makes a folder of that name"):
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
        ("elsewhere", "vectors are kept in faiss, milvus:http://"),
        ("milvus:", "vectors are kept in"),
        ("milvus:vectors", "a name that ends in .db"),
        ("milvus:ftp://host", "vectors are kept in"),
        ("milvus:http://user:s3cr3t@:1", "vectors are kept in"),
        ("milvus:http://host:port", "is no address"),
        ("milvus:http://host?color=red", "no option color of Milvus; there are index, M,"),
        ("milvus:http://host?M=many", "M=many: a whole number is wanted"),
        ("milvus:http://host?shards=0", "shards=0: a whole number"),
        ("milvus:http://host?consistency=none", "there are Strong, Bounded"),
        ("milvus:http://host?index=best one", "a type such as HNSW"),
        ("milvus:a.db?index=DISKANN", "Milvus Lite makes no index DISKANN; there are FLAT"),
        ("milvus:http://host?rerank=1", "yes or no"),
        ("milvus:http://host?timeout=soon", "a number of seconds"),
    ],
)
def test_a_wrong_place_is_explained(wrong: str, said: str) -> None:
    """Nothing of what may be a secret is repeated."""
    with pytest.raises(VectorStoreError, match=said) as raised:
        parse_address(wrong)
    assert SECRET not in str(raised.value)


def test_a_place_is_read_as_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ports, databases, and paths; what is only for a search is no other place."""
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


def test_a_secret_is_kept_nowhere(
    opened: Library, photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to the server, and into no file, message or event."""
    at = port()
    with server(tmp_path / "served", at):
        with mock.patch("pymilvus.MilvusClient", wraps=__import__("pymilvus").MilvusClient) as made:
            index_folder(opened, photos, model, vectors=f"milvus:http://me:{SECRET}@127.0.0.1:{at}")
            assert made.call_args.kwargs["token"] == f"me:{SECRET}"
        opened._catalog._db.execute("pragma wal_checkpoint(truncate)")
        for path in opened.folder.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes()
        assert SECRET not in repr(opened.info())


def test_without_pymilvus_it_is_said_how_to_get_it(
    opened: Library, photos: Path, model: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else needs it."""
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(VectorStoreError, match=r"pip install -e '\.\[milvus\]'"):
        index_folder(opened, photos, model, vectors=file)
    index_folder(opened, photos, model)
    assert len(answers(opened)) == 3


def test_pymilvus_is_imported_for_milvus_alone(opened: Library) -> None:
    """A library with FAISS does without."""
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


def test_a_file_that_another_process_has_is_waited_for(
    opened: Library, photos: Path, model: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Milvus Lite allows one process; a resident one lets go when it has nothing to do."""
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


def test_the_commands_tell_where_vectors_are(
    run: RunCommand, photos: Path, model: Path, file: str, fake_engines: FakeEngines
) -> None:
    """Move and info, and --vectors of index; a wrong collection is named."""

    def told(result: Result) -> str:
        assert result.exit_code == 0, result.output
        return result.output

    told(run("index", photos, "--model", model))
    place = file.removeprefix("milvus:")
    output = told(run("move", f"{file}?index=HNSW"))
    assert f"3/3 vectors sent to Milvus at {place}" in output
    assert f"3 vectors in {file}?index=HNSW" in output
    assert f"index      HNSW in Milvus at {place}\n" in told(run("info"))
    (info,) = json.loads(told(run("info", "--json")))["collections"]
    assert info["vectors"] == f"{file}?index=HNSW"
    assert "red.jpg" in told(run("query", "red"))
    assert "3 unchanged" in told(run("index", photos, "--vectors", "faiss"))
    assert "Milvus" not in told(run("info"))
    assert fake_engines.embedded_count == 3
    result = run("move", file, "--collection", "none")
    assert isinstance(result.exception, SearchAppError)
    assert "the library has no collection none" in str(result.exception)
