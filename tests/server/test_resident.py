"""Resident process: started by the first query, shared, stopped when idle, replaced when dead."""

from __future__ import annotations

import http.client
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.library import FakeEngines, RunCommand, index_folder
from support.old_library import make_old_library
from support.paths import ROOT, TESTS
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
from searchapp.models import resolve_model
from searchapp.search import good_match
from searchapp.server import client, resident_engine, start_resident, unix_http
from searchapp.server.resident_engine import prefer_resident
from searchapp.server.resident_lock import ResidentUnavailableError, read_lock_holder
from searchapp.server.socket_path import MAX_SOCKET_PATH_BYTES, log_path, socket_path
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import Example, Query, Region, SearchOptions, TagWord, Term

# The engine takes 0.5 s to start, so it is not ready for the first request.
slow_start = pytest.mark.parametrize("resident_config", ["0.5"], indirect=True, ids=["slow"])
FAKE_COMMAND = [sys.executable, str(TESTS / "support" / "fake_resident.py")]


@pytest.fixture
def resident_config(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ResidentConfig]:
    """Library with three pictures, whose resident process has a fake engine; stopped at the end."""
    start_delay_s = getattr(request, "param", "0")
    monkeypatch.setattr(start_resident, "SERVER_COMMAND", [*FAKE_COMMAND, start_delay_s, "0"])
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    yield ResidentConfig(tmp_path / "library", keep_alive_min=1)
    client.stop_resident(tmp_path / "library")


def search_names(
    resident_config: ResidentConfig, text: str = "blue", **options: object
) -> list[str]:
    hits = client.search(
        resident_config, Query(text), SearchOptions(**options), lambda line: None
    ).hits
    return [Path(hit.path).name for hit in hits]


@slow_start
def test_first_query_starts_the_process_and_others_share_it(
    resident_config: ResidentConfig,
) -> None:
    """The first query notifies of each wait once; the second is answered by the same process."""
    notes: list[str] = []
    (first, *_) = client.search(resident_config, Query("blue"), SearchOptions(), notes.append).hits
    assert Path(first.path).name == "blue.jpg"
    assert notes == ["starting the resident process ...", "starting vLLM with fake-clip ..."]
    running = client.get_resident_info(resident_config.library_folder)
    (again, *_) = client.search(resident_config, Query("red"), SearchOptions(), notes.append).hits
    assert Path(again.path).name == "red.jpg"
    assert len(notes) == 2
    still_running = client.get_resident_info(resident_config.library_folder)
    assert running and still_running and still_running["pid"] == running["pid"]


def test_slow_migration_is_notified(
    tmp_path: Path, photos: Path, model: Path, monkeypatch: pytest.MonkeyPatch, run: RunCommand
) -> None:
    """Any command, a query too, notifies once if it migrates a large library."""
    notes: list[str] = []
    for name in ("queried", "library", "small"):
        with monkeypatch.context() as patched:
            make_old_library(tmp_path / name, patched, photos, model)
    Library.open(tmp_path / "small", tell=notes.append).close()
    assert notes == []
    monkeypatch.setattr("searchapp.catalog.schema_upgrade.SLOW_MIGRATION_IMAGES", 2)
    monkeypatch.setattr(start_resident, "SERVER_COMMAND", [*FAKE_COMMAND, "0", "0"])
    resident_config = ResidentConfig(tmp_path / "queried", keep_alive_min=1)
    try:
        assert client.search(resident_config, Query("blue"), SearchOptions(), notes.append).hits
    finally:
        client.stop_resident(resident_config.library_folder)
    upgrading = "Upgrading the library for this version of searchapp ..."
    assert notes[:2] == ["starting the resident process ...", upgrading]
    assert run("info").stderr == f"{upgrading}\n"
    assert run("info").stderr == ""


def test_resident_process_answers_like_a_library(
    resident_config: ResidentConfig, photos: Path
) -> None:
    """Pictures, filters, errors and exit codes are the same as without the resident process."""
    (hit, *_) = client.search(
        resident_config,
        Query(image=photos / "green.png"),
        SearchOptions(count=2),
        lambda line: None,
    ).hits
    assert (Path(hit.path).name, hit.width, hit.height) == ("green.png", 80, 60)
    assert hit.score > 0.999
    assert search_names(resident_config, "red", folder=photos / "below") == ["blue.jpg"]
    assert search_names(resident_config, "red", min_score=0.99) == ["red.jpg"]
    assert search_names(resident_config, "red", format="png", max_size=1.0, sort="date") == [
        "green.png"
    ]
    terms = [Term(Query("blue"), 0.5), Term(Query(None, photos / "green.png"))]
    added = client.search(resident_config, terms, SearchOptions(), lambda line: None)
    assert (Path(added.hits[0].path).name, added.good) == ("green.png", None)
    likes = [Example(photos / "green.png"), Example(added.hits[-1].image_id, False)]
    liked = client.search(resident_config, [], SearchOptions(), print, likes)
    assert photos / "green.png" not in [Path(hit.path) for hit in liked.hits]
    part = Query(image=added.hits[0].image_id, region=Region.parse("0%,0%,50%,50%"))
    of_part = client.search(resident_config, part, SearchOptions(), print)
    assert Path(of_part.hits[0].path).name == "green.png"
    with pytest.raises(PictureError, match=r"/nowhere\.jpg"):
        client.search(resident_config, [], SearchOptions(), print, [Example("/nowhere.jpg")])
    with pytest.raises(QueryError, match="--where: no such column: wide"):
        search_names(resident_config, where="wide > 3")
    both = Query("red", photos / "red.jpg")
    for query, kind, message, code in (
        (Query("nonsense"), QueryError, "does not take this query", 2),
        (Query("red " * 40), QueryError, "the text has 40 tokens", 2),
        (both, UnsupportedModality, r"^Unsupported query modality: 'text\+image'", 1),
    ):
        with pytest.raises(kind, match=message) as caught:
            client.search(resident_config, query, SearchOptions(), lambda line: None)
        assert caught.value.exit_code == code
    (photos / "text.jpg").write_text("no picture")
    with pytest.raises(PictureError, match=r"^/.*/text\.jpg: not a picture"):
        client.search(
            resident_config, Query(image=photos / "text.jpg"), SearchOptions(), lambda line: None
        )
    assert search_names(resident_config, "red " * 40, truncate=True, count=1) == ["red.jpg"]
    with pytest.raises(LibraryError, match="the library has no collection nowhere"):
        search_names(resident_config, collection="nowhere")


@slow_start
def test_concurrent_queries_start_one_process(resident_config: ResidentConfig) -> None:
    """Six queries at once start one process, and all are answered."""
    answers: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(search_names(resident_config, count=1)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [["blue.jpg"]] * 6
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    running = [
        words
        for words in commands
        if {FAKE_COMMAND[1], str(resident_config.library_folder)} <= set(words)
    ]
    assert len(running) == 1


def test_killed_process_is_replaced(resident_config: ResidentConfig) -> None:
    """A process killed by SIGKILL leaves no lock; the next query starts another."""
    search_names(resident_config)
    running = client.get_resident_info(resident_config.library_folder)
    assert running
    os.kill(running["pid"], signal.SIGKILL)
    assert search_names(resident_config, "green", count=1) == ["green.png"]
    after = client.get_resident_info(resident_config.library_folder)
    assert after and after["pid"] != running["pid"]


@slow_start
def test_kill_under_load_gives_no_wrong_answer(resident_config: ResidentConfig) -> None:
    """SIGKILL while eight threads search: the next process gives each its own answer."""
    search_names(resident_config)
    names = {"red": "red.jpg", "green": "green.png", "blue": "blue.jpg"}
    answers: list[tuple[str, list[str]]] = []

    def search_repeatedly(number: int) -> None:
        for turn in range(12):
            color = list(names)[(number + turn) % 3]
            answers.append((names[color], search_names(resident_config, color, count=1)))

    threads = [threading.Thread(target=search_repeatedly, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    pids = []
    for _ in range(2):
        time.sleep(0.4)
        running = client.get_resident_info(resident_config.library_folder)
        if running:
            pids.append(running["pid"])
            os.kill(running["pid"], signal.SIGKILL)
    for thread in threads:
        thread.join(60)
    assert pids
    assert len(answers) == 96
    assert all(found == [expected] for expected, found in answers)


def test_idle_process_stops(resident_config: ResidentConfig) -> None:
    """After keep_alive_min without a request, process and socket are gone."""
    search_names(ResidentConfig(resident_config.library_folder, keep_alive_min=0.02))
    for _ in range(100):
        if read_lock_holder(resident_config.library_folder) is None:
            break
        time.sleep(0.1)
    assert read_lock_holder(resident_config.library_folder) is None
    assert not socket_path(resident_config.library_folder).exists()


def test_stop_resident_ends_the_process(resident_config: ResidentConfig) -> None:
    """The process has ended when stop_resident returns; a second call returns False."""
    search_names(resident_config)
    assert client.stop_resident(resident_config.library_folder)
    assert client.get_resident_info(resident_config.library_folder) is None
    assert not client.stop_resident(resident_config.library_folder)


def test_decisions_are_logged_without_query_texts(
    resident_config: ResidentConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """Start and stop of the process are logged at INFO."""
    with caplog.at_level("INFO", "searchapp"):
        search_names(resident_config, "blue")
        running = client.get_resident_info(resident_config.library_folder)
        client.stop_resident(resident_config.library_folder)
    assert running
    assert f"Started the resident process {running['pid']} of the library" in caplog.text
    assert f"Stopping the resident process {running['pid']}" in caplog.text
    assert "blue" not in caplog.text


def test_server_keeps_log_handlers_open(resident_config: ResidentConfig, tmp_path: Path) -> None:
    """Records after the start of uvicorn reach a log file that was opened before it."""
    code = """
import logging, sys
from pathlib import Path
from searchapp.server.resident import ResidentSettings, serve_library
logging.basicConfig(filename=sys.argv[2], filemode="w", level=logging.INFO)
serve_library(ResidentSettings(Path(sys.argv[1]), keep_alive_min=0.01))
"""
    log = tmp_path / "server.log"
    command = [sys.executable, "-c", code, str(resident_config.library_folder), str(log)]
    subprocess.run(command, check=True, timeout=120)
    lines = log.read_text(encoding="utf-8")
    assert f"serves the library {resident_config.library_folder}" in lines
    assert "Stopping the resident process: no request for 0.01 minutes" in lines


def test_only_the_user_can_connect(resident_config: ResidentConfig) -> None:
    """The Unix socket has mode 0600."""
    search_names(resident_config)
    mode = socket_path(resident_config.library_folder).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_failed_start_is_explained(
    resident_config: ResidentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the last line of the log, and suggests --no-daemon."""
    code = "import sys; print('searchapp: no luck today', file=sys.stderr); sys.exit(1)"
    monkeypatch.setattr(start_resident, "SERVER_COMMAND", [sys.executable, "-c", code])
    with pytest.raises(EngineError, match=r"did not start: no luck today .*--no-daemon"):
        search_names(resident_config)


def test_failed_engine_is_reported_and_retried(
    resident_config: ResidentConfig, model: Path
) -> None:
    """A query gets the error of the engine; after a repair, the same process starts it."""
    (model / "config.json").rename(model / "config")
    with pytest.raises(ModelError, match=r"not a model folder, because it has no config\.json"):
        search_names(resident_config)
    (model / "config").rename(model / "config.json")
    assert search_names(resident_config, count=1) == ["blue.jpg"]


def test_new_pictures_are_found(
    resident_config: ResidentConfig, photos: Path, fake_engines: FakeEngines
) -> None:
    """Pictures that another process indexes are found without a restart."""
    assert search_names(resident_config, "yellow", min_score=0.99) == []
    save_picture(photos / "yellow.jpg", "yellow")
    with Library.open(resident_config.library_folder, start=fake_engines) as library:
        list(library.index([photos]))
    assert search_names(resident_config, "yellow", min_score=0.99) == ["yellow.jpg"]


def test_process_of_another_version_is_replaced(
    resident_config: ResidentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade, a query stops the old process and starts a new one."""
    search_names(resident_config)
    before = client.get_resident_info(resident_config.library_folder)
    monkeypatch.setattr(unix_http, "__version__", "9.9")
    starts: list[str] = []
    start = start_resident._start_resident

    def start_own_version(config: ResidentConfig, notify: Callable[[str], None]) -> None:
        monkeypatch.setattr(unix_http, "__version__", "0.1.0")  # the version of the new process
        starts.append("started")
        start(config, notify)

    monkeypatch.setattr(start_resident, "_start_resident", start_own_version)
    assert search_names(resident_config, count=1) == ["blue.jpg"]
    assert starts == ["started"]
    after = client.get_resident_info(resident_config.library_folder)
    assert before and after and after["pid"] != before["pid"]


def test_library_with_a_long_path(
    tmp_path: Path,
    photos: Path,
    model: Path,
    fake_engines: FakeEngines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One process answers for a long path, for a short link, and with another TMPDIR."""
    monkeypatch.setattr(start_resident, "SERVER_COMMAND", [*FAKE_COMMAND, "0", "0"])
    folder, link, other_temporary = tmp_path / ("long" * 25), tmp_path / "l", tmp_path / "tmp"
    link.symlink_to(folder)
    other_temporary.mkdir()
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    assert len(os.fsencode(socket_path(folder))) > MAX_SOCKET_PATH_BYTES
    assert search_names(ResidentConfig(folder), count=1) == ["blue.jpg"]
    running = client.get_resident_info(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(other_temporary))
    for path in (folder, link):
        assert search_names(ResidentConfig(path), count=1) == ["blue.jpg"]
        again = client.get_resident_info(path)
        assert running and again and again["pid"] == running["pid"]
    assert client.stop_resident(link)
    assert read_lock_holder(folder) is None
    assert not list(other_temporary.iterdir())


def test_process_of_a_moved_library_ends_and_leaves_the_new_one_alone(
    resident_config: ResidentConfig, fake_engines: FakeEngines, photos: Path, model: Path
) -> None:
    """The old process ends by itself. The process of a new library at the old path answers."""
    folder = resident_config.library_folder
    search_names(resident_config)
    old = client.get_resident_info(folder)
    assert old
    folder.rename(folder.with_name("moved"))
    (photos / "red.jpg").unlink()
    with Library.open(folder, create=True, start=fake_engines) as library:
        index_folder(library, photos, model)
    assert set(search_names(resident_config, where="width > 1")) == {"blue.jpg", "green.png"}
    new = client.get_resident_info(folder)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(old["pid"]).wait(30)
    assert search_names(resident_config, count=1) == ["blue.jpg"]
    again = client.get_resident_info(folder)
    assert new and again and old["pid"] != new["pid"] == again["pid"]


STUCK_PROCESS = """
import asyncio, sys, time
from pathlib import Path
from searchapp.server import resident, service
started = Path(sys.argv[2])
async def block_a_thread(self, *arguments):
    await self._calls.call_library(lambda library: (started.touch(), time.sleep(3600)))
async def ignore_the_end(self, *arguments):
    started.touch()
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
service.Service.search = {"thread": block_a_thread, "task": ignore_the_end}[sys.argv[3]]
service.CLOSE_TIMEOUT_S = resident.GRACE_PERIOD_S = 0.1
resident.SHUTDOWN_TIMEOUT_S = {"thread": 600, "task": 1}[sys.argv[3]]
resident.serve_library(resident.ResidentSettings(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("stuck", ["thread", "task"])
def test_process_with_endless_work_stops(
    resident_config: ResidentConfig, tmp_path: Path, stuck: str
) -> None:
    """stop_resident ends a process whose thread or task never finishes."""
    folder, started = resident_config.library_folder, tmp_path / "started"
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK_PROCESS, str(folder), str(started), stuck]
    )

    def ask() -> None:
        with suppress(OSError, http.client.HTTPException):
            unix_http.post_fields(folder, "/api/search", {"text": "red"}, {})

    while not unix_http.is_listening(folder):
        time.sleep(0.02)
    asking = threading.Thread(target=ask)
    asking.start()
    while not started.exists():
        time.sleep(0.02)
    stopped = client.stop_resident(folder)
    assert stopped and stopped.pid == process.pid
    assert process.wait(30) == 0
    asking.join(30)
    assert not asking.is_alive()


def test_missing_library_starts_no_process(tmp_path: Path) -> None:
    """A wrong --library starts no process and creates no file."""
    with pytest.raises(LibraryError, match="no library at"):
        search_names(ResidentConfig(tmp_path / "none"))
    assert not log_path(tmp_path / "none").exists()


def test_client_imports_nothing_heavy() -> None:
    """A query imports no engine, index or server, so that a warm query is fast."""
    heavy = ("vllm", "torch", "faiss", "fastapi", "numpy", "PIL", "sqlite_utils", "httpx", "rich")
    code = f"""
import sys
from searchapp.cli import cli
try:
    cli.main(["query", "x", "--library", "/nowhere"], standalone_mode=False)
except Exception as error:
    print(type(error).__name__)
from searchapp.server import client, start_resident, unix_http
print([name for name in {heavy!r} if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stdout == "LibraryError\n[]\n", result.stderr


def test_empty_query_starts_no_process(resident_config: ResidentConfig) -> None:
    """A query without text and picture is refused before the process is started."""
    with pytest.raises(QueryError):
        client.search(resident_config, Query(" "), SearchOptions(), lambda line: None)
    assert client.get_resident_info(resident_config.library_folder) is None


def test_tags_are_found_with_the_resident_process(
    resident_config: ResidentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are embedded there, and this process starts no engine."""
    grays = ("black", "dimgray", "gray", "silver", "gainsboro", "white", "snow") * 8
    monkeypatch.setattr(good_match, "CALIBRATION_SENTENCES", grays)
    notes = list[str]()
    start = prefer_resident(resident_config, pytest.fail, notes.append)
    with Library.open(resident_config.library_folder, start=start) as library:
        tagged = library.find_tags([TagWord("Colors|blue", ("blue",)), TagWord("red", ("red",))])
    tags = {Path(each.hit.path).name: [tag.path for tag in each.tags] for each in tagged}
    assert tags == {"blue.jpg": ["Colors|blue"], "red.jpg": ["red"]}
    assert notes[0] == "starting the resident process ..."


def test_own_engine_starts_if_the_resident_process_is_unavailable(
    tmp_path: Path, fake_engines: FakeEngines, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note says why, if another user has the process. A read-only library needs no note."""

    def refuse(*arguments: object) -> None:
        raise ResidentUnavailableError("another user has it")

    monkeypatch.setattr(resident_engine, "ensure_running", refuse)
    spec, notes = resolve_model(str(model)), list[str]()
    start = prefer_resident(ResidentConfig(tmp_path), fake_engines, notes.append)
    assert start(spec) is fake_engines.started_engines[-1]
    assert notes == ["embedding without the resident process: another user has it"]
    monkeypatch.setattr(resident_engine, "can_be_resident", lambda library: False)
    assert start(spec) is fake_engines.started_engines[-1]
    assert len(notes) == 1


def test_a_library_folder_provides_no_modules(tmp_path: Path) -> None:
    """The resident process runs in the library's folder, which another person can have made."""
    (tmp_path / "click.py").write_text("raise SystemExit('a module of the current folder')")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*start_resident.SERVER_COMMAND, "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--keep-alive" in done.stdout
