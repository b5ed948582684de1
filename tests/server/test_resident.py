"""The resident process: one a library, started when needed, gone when idle, replaced when dead."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.library import FakeEngines, RunCommand, index_folder
from support.old_library import make_old_library
from support.paths import TESTS
from support.sample_pictures import save_picture

from searchapp.errors import (
    EngineError,
    LibraryError,
    ModelError,
    PictureError,
    QueryError,
    UnsupportedModality,
)
from searchapp.library import Library
from searchapp.server import client
from searchapp.server.socket_path import MAX_SOCKET_PATH_BYTES, is_lock_free, log_path, socket_path
from searchapp.types import Query, SearchOptions, Term

# Its engine is half a second in starting, and not ready when it is first asked.
slow_start = pytest.mark.parametrize("residence", ["0.5"], indirect=True, ids=["slow"])
FAKE = [sys.executable, str(TESTS / "support" / "fake_resident.py")]


@pytest.fixture
def residence(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[client.ResidentConfig]:
    """A filled library whose resident process has a fake engine; nothing is left running."""
    to_start = getattr(request, "param", "0")
    monkeypatch.setattr(client, "SERVER_COMMAND", [*FAKE, to_start, "0"])
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    yield client.ResidentConfig(tmp_path / "library", keep_alive_min=1)
    client.stop_resident(tmp_path / "library")


def ask(residence: client.ResidentConfig, text: str = "blue", **options: object) -> list[str]:
    hits = client.search(residence, Query(text), SearchOptions(**options), lambda line: None).hits
    return [Path(hit.path).name for hit in hits]


@slow_start
def test_the_first_query_starts_it_and_the_next_use_it(residence: client.ResidentConfig) -> None:
    """The wait is told, once; the second answer comes from the same process."""
    told: list[str] = []
    (first, *_) = client.search(residence, Query("blue"), SearchOptions(), told.append).hits
    assert Path(first.path).name == "blue.jpg"
    assert told == ["starting the resident process ...", "starting vLLM with fake-clip ..."]
    running = client.get_resident_info(residence.library_folder)
    (again, *_) = client.search(residence, Query("red"), SearchOptions(), told.append).hits
    assert Path(again.path).name == "red.jpg"
    assert len(told) == 2
    assert running and client.get_resident_info(residence.library_folder)["pid"] == running["pid"]  # type: ignore[index]


def test_it_is_told_that_an_old_library_is_brought_up_to_date(
    tmp_path: Path, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch, run: RunCommand
) -> None:
    """Where it is large, once: by the query that starts the process, and by any other command."""
    told: list[str] = []
    for name in ("asked", "library", "small"):
        with monkeypatch.context() as patched:
            make_old_library(tmp_path / name, patched, photos, model)
    Library.open(tmp_path / "small", tell=told.append).close()
    assert told == []
    monkeypatch.setattr("searchapp.catalog.schema_upgrade.SLOW_MIGRATION_IMAGES", 2)
    monkeypatch.setattr(client, "SERVER_COMMAND", [*FAKE, "0", "0"])
    residence = client.ResidentConfig(tmp_path / "asked", keep_alive_min=1)
    try:
        assert client.search(residence, Query("blue"), SearchOptions(), told.append).hits
    finally:
        client.stop_resident(residence.library_folder)
    upgrading = "Upgrading the library for this version of searchapp ..."
    assert told[:2] == ["starting the resident process ...", upgrading]
    assert run("info").stderr == f"{upgrading}\n"
    assert run("info").stderr == ""


def test_it_answers_what_a_library_answers(residence: client.ResidentConfig, photos: Path) -> None:
    """Pictures, filters, errors and exit codes come through as if asked in this process."""
    (hit, *_) = client.search(
        residence, Query(image=photos / "green.png"), SearchOptions(count=2), lambda line: None
    ).hits
    assert (Path(hit.path).name, hit.width, hit.height) == ("green.png", 80, 60)
    assert hit.score > 0.999
    assert ask(residence, "red", folder=photos / "below") == ["blue.jpg"]
    assert ask(residence, "red", min_score=0.99) == ["red.jpg"]
    assert ask(residence, "red", format="png", max_size=1.0, sort="date") == ["green.png"]
    terms = [Term(Query("blue"), 0.5), Term(Query(None, photos / "green.png"))]
    added = client.search(residence, terms, SearchOptions(), lambda line: None)
    assert (Path(added.hits[0].path).name, added.good) == ("green.png", None)
    with pytest.raises(QueryError, match="--where: no such column: wide"):
        ask(residence, where="wide > 3")
    both = Query("red", photos / "red.jpg")
    for query, kind, message, code in (
        (Query("nonsense"), QueryError, "does not take this query", 2),
        (Query("red " * 40), QueryError, "the text has 40 tokens", 2),
        (both, UnsupportedModality, r"^Unsupported query modality: 'text\+image'", 1),
    ):
        with pytest.raises(kind, match=message) as caught:
            client.search(residence, query, SearchOptions(), lambda line: None)
        assert caught.value.exit_code == code
    (photos / "text.jpg").write_text("no picture")
    with pytest.raises(PictureError, match=r"^/.*/text\.jpg: not a picture"):
        client.search(
            residence, Query(image=photos / "text.jpg"), SearchOptions(), lambda line: None
        )
    assert ask(residence, "red " * 40, truncate=True, count=1) == ["red.jpg"]
    with pytest.raises(LibraryError, match="the library has no collection nowhere"):
        ask(residence, collection="nowhere")


@slow_start
def test_two_at_once_start_one_process(residence: client.ResidentConfig) -> None:
    """However many find none running, one is started, and all get their answer."""
    answers: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(residence, count=1))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [["blue.jpg"]] * 6
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    running = [
        words for words in commands if {FAKE[1], str(residence.library_folder)} <= set(words)
    ]
    assert len(running) == 1


def test_a_killed_one_is_replaced(residence: client.ResidentConfig) -> None:
    """Kill -9 leaves no lock that blocks the next; its answer is right."""
    ask(residence)
    running = client.get_resident_info(residence.library_folder)
    assert running
    os.kill(running["pid"], signal.SIGKILL)
    assert ask(residence, "green", count=1) == ["green.png"]
    after = client.get_resident_info(residence.library_folder)
    assert after and after["pid"] != running["pid"]


@slow_start
def test_killed_under_load_nobody_gets_a_wrong_answer(residence: client.ResidentConfig) -> None:
    """Killed hard while eight ask: the next process answers them, each with its own."""
    ask(residence)
    names = {"red": "red.jpg", "green": "green.png", "blue": "blue.jpg"}
    answers: list[tuple[str, list[str]]] = []

    def keep_asking(number: int) -> None:
        for turn in range(12):
            colour = list(names)[(number + turn) % 3]
            answers.append((names[colour], ask(residence, colour, count=1)))

    threads = [threading.Thread(target=keep_asking, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    pids = []
    for _ in range(2):
        time.sleep(0.4)
        running = client.get_resident_info(residence.library_folder)
        if running:
            pids.append(running["pid"])
            os.kill(running["pid"], signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    assert pids
    assert len(answers) == 96
    assert all(found == [expected] for expected, found in answers)


def test_it_leaves_when_idle(residence: client.ResidentConfig) -> None:
    """After --keep-alive with nothing to do, process and socket are gone."""
    ask(client.ResidentConfig(residence.library_folder, keep_alive_min=0.02))
    for _ in range(100):
        if is_lock_free(residence.library_folder):
            break
        time.sleep(0.1)
    assert is_lock_free(residence.library_folder)
    assert not socket_path(residence.library_folder).exists()


def test_stop_ends_it(residence: client.ResidentConfig) -> None:
    """It is gone when stop returns; with none running there is nothing to stop."""
    ask(residence)
    assert client.stop_resident(residence.library_folder)
    assert client.get_resident_info(residence.library_folder) is None
    assert not client.stop_resident(residence.library_folder)


def test_only_the_user_may_ask(residence: client.ResidentConfig) -> None:
    """The socket has mode 0600."""
    ask(residence)
    mode = socket_path(residence.library_folder).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_one_that_cannot_start_says_why(
    residence: client.ResidentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line it wrote, and the way around it."""
    code = "import sys; print('searchapp: no luck today', file=sys.stderr); sys.exit(1)"
    monkeypatch.setattr(client, "SERVER_COMMAND", [sys.executable, "-c", code])
    with pytest.raises(EngineError, match=r"did not start: no luck today .*--no-daemon"):
        ask(residence)


def test_an_engine_that_fails_is_told_and_tried_again(
    residence: client.ResidentConfig, model: Path
) -> None:
    """The error comes to whoever asked; the process lives on, for when it is mended."""
    (model / "config.json").rename(model / "config")
    with pytest.raises(ModelError, match=r"not a model folder, because it has no config\.json"):
        ask(residence)
    (model / "config").rename(model / "config.json")
    assert ask(residence, count=1) == ["blue.jpg"]


def test_what_was_indexed_meanwhile_is_found(
    residence: client.ResidentConfig, photos: Path, fake_engines: FakeEngines
) -> None:
    """An index in another process shows up without a restart."""
    assert ask(residence, "yellow", min_score=0.99) == []
    save_picture(photos / "yellow.jpg", "yellow")
    with Library.open(residence.library_folder, start=fake_engines) as library:
        list(library.index([photos]))
    assert ask(residence, "yellow", min_score=0.99) == ["yellow.jpg"]


def test_another_version_makes_room(
    residence: client.ResidentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade the old process is ended and a new one started."""
    ask(residence)
    before = client.get_resident_info(residence.library_folder)
    monkeypatch.setattr(client, "__version__", "9.9")
    starts: list[str] = []
    start = client._start_resident

    def once(residence: client.ResidentConfig, tell: Callable[[str], None]) -> None:
        monkeypatch.setattr(client, "__version__", "0.1.0")  # the new process is of our version
        starts.append("started")
        start(residence, tell)

    monkeypatch.setattr(client, "_start_resident", once)
    assert ask(residence, count=1) == ["blue.jpg"]
    assert starts == ["started"]
    after = client.get_resident_info(residence.library_folder)
    assert before and after and after["pid"] != before["pid"]


def test_a_library_with_a_long_name(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a socket's path would be too long for the system, it lies elsewhere."""
    monkeypatch.setattr(client, "SERVER_COMMAND", [*FAKE, "0", "0"])
    folder = tmp_path / ("long" * 25)
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    assert len(os.fsencode(socket_path(folder))) <= MAX_SOCKET_PATH_BYTES
    assert ask(client.ResidentConfig(folder), count=1) == ["blue.jpg"]
    assert client.stop_resident(folder)


def test_no_library_no_process(tmp_path: Path) -> None:
    """A mistaken --library starts nothing and leaves nothing."""
    with pytest.raises(LibraryError, match="no library at"):
        ask(client.ResidentConfig(tmp_path / "none"))
    assert not log_path(tmp_path / "none").exists()


def test_the_client_imports_nothing_heavy() -> None:
    """A warm query waits for no import of an engine, an index or a server."""
    heavy = ("vllm", "torch", "faiss", "fastapi", "numpy", "PIL", "sqlite_utils", "httpx", "rich")
    code = f"""
import sys
from searchapp.cli import cli
try:
    cli.main(["query", "x", "--library", "/nowhere"], standalone_mode=False)
except Exception as error:
    print(type(error).__name__)
from searchapp.server import client
print([name for name in {heavy!r} if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout == "LibraryError\n[]\n", result.stderr


def test_an_empty_query_is_refused_before_anything_starts(residence: client.ResidentConfig) -> None:
    """Nothing to look for, nothing to start."""
    with pytest.raises(QueryError):
        client.search(residence, Query(" "), SearchOptions(), lambda line: None)
    assert client.get_resident_info(residence.library_folder) is None
