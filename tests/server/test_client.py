"""Client of the resident process: faults of a request, the end of the process, start options."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import parse_headers
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from support.library import FakeEngines, index_folder
from support.sample_pictures import save_picture

from searchapp import models
from searchapp.engines import EngineInput, Refusal
from searchapp.errors import EngineError, PictureError, QueryError, SearchAppError
from searchapp.library import Library
from searchapp.server import client, client_batches
from searchapp.server.app import create_app
from searchapp.server.request_models import SearchRequest
from searchapp.server.resident_engine import ResidentEngine
from searchapp.server.service import Service
from searchapp.server.socket_path import socket_path
from searchapp.server.start_options import EngineOrigin
from searchapp.server.start_resident import ResidentConfig
from searchapp.types import (
    Circle,
    DateBound,
    Example,
    Query,
    Region,
    SavedSearch,
    SearchOptions,
    SearchQuestion,
    SearchResult,
    Term,
)

Answer = Callable[[bytes], bytes]


def listen(library: Path) -> socket.socket:
    library.mkdir(exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(socket_path(library)))
    listener.listen(16)
    return listener


class BrokenProcess:
    """Process on the socket of a library that answers each request with the same bytes."""

    def __init__(self, library: Path, answer: bytes) -> None:
        self.request_count = 0
        self._answer, self._listener = answer, listen(library)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            with closing(connection), connection.makefile("rb") as stream:
                if stream.readline():  # is_listening() sends nothing
                    self.request_count += 1
                    # With unread bytes, closing the connection would break it.
                    stream.read(int(parse_headers(stream).get("Content-Length", 0)))
                    connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def break_process(tmp_path: Path) -> Iterator[Callable[[bytes], BrokenProcess]]:
    """Function that runs a broken process for the library tmp_path / "library"."""
    processes: list[BrokenProcess] = []

    def start(answer: bytes) -> BrokenProcess:
        processes.append(BrokenProcess(tmp_path / "library", answer))
        (tmp_path / "library" / "catalog.db").touch()
        return processes[-1]

    yield start
    for process in processes:
        process.close()


HEAD = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n"


def make_answer(status: int, body: bytes, length: int | None = None) -> bytes:
    return HEAD % (status, len(body) if length is None else length) + body


@pytest.mark.parametrize(
    "answer",
    [
        make_answer(500, b"Internal Server Error"), make_answer(200, b""), make_answer(200, b"[]"),
        make_answer(422, b"\xff\xfe"), b"SSH-2.0-OpenSSH\r\n\r\n", b"\0" * 100,
    ],
)  # fmt: skip
def test_an_unreadable_answer_is_no_death(
    tmp_path: Path, break_process: Callable[[bytes], BrokenProcess], answer: bytes
) -> None:
    """A fault of one request ends the command at once: it is not sent again."""
    process = break_process(answer)
    config = ResidentConfig(tmp_path / "library")
    with pytest.raises(EngineError, match=r"answer of the resident process .*--no-daemon"):
        client.search(config, Query("red"), SearchOptions(), pytest.fail)
    assert process.request_count == 1


@pytest.mark.parametrize("answer", [b"", make_answer(200, b"{", length=99)])
def test_retries_after_a_death_are_bounded(
    tmp_path: Path, break_process: Callable[[bytes], BrokenProcess], answer: bytes
) -> None:
    """A request whose connection breaks is sent again, but not for ever."""
    process = break_process(answer)
    config = ResidentConfig(tmp_path / "library")
    with pytest.raises(EngineError, match=r"ended 4 times while .*resident\.log"):
        client.search(config, Query("red"), SearchOptions(), pytest.fail)
    assert process.request_count == client.MAX_DEATHS + 1


def test_a_stated_error_is_raised_once(
    tmp_path: Path, break_process: Callable[[bytes], BrokenProcess]
) -> None:
    """Status 500 with a reason is the error of the command."""
    body = json.dumps({"detail": "the server failed on this request (TypeError)."}).encode()
    process = break_process(make_answer(500, body))
    config = ResidentConfig(tmp_path / "library")
    with pytest.raises(SearchAppError, match=r"failed on this request \(TypeError\)"):
        client.search(config, Query("red"), SearchOptions(), pytest.fail)
    assert process.request_count == 1


@pytest.mark.parametrize("is_death", [False, True])
def test_an_input_that_causes_a_fault_is_isolated(
    tmp_path: Path,
    model: Path,
    break_process: Callable[[bytes], BrokenProcess],
    is_death: bool,
) -> None:
    """`watch` gets a reason for each input, instead of an error that ends it."""
    body = json.dumps({"detail": "the server failed on this request"}).encode()
    break_process(b"" if is_death else make_answer(500, body))
    config = ResidentConfig(tmp_path / "library")
    engine = ResidentEngine(models.resolve_model(str(model)), config, pytest.fail)
    outputs = engine.embed([EngineInput("red"), EngineInput("blue")])
    reason = "ended 2 times" if is_death else "the server failed on this request"
    assert [isinstance(output, Refusal) and reason in output.reason for output in outputs] == [
        True, True,
    ]  # fmt: skip


def test_a_silent_process_is_no_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout is not a reason to send the request again."""
    monkeypatch.setattr(client, "ensure_running", lambda config, notify: None)

    def time_out(*arguments: object) -> Any:
        requests.append(arguments)
        raise TimeoutError

    requests: list[object] = []
    monkeypatch.setattr(client, "post_fields", time_out)
    (tmp_path / "catalog.db").touch()
    with pytest.raises(EngineError, match=r"did not answer within 900 seconds"):
        client.search(ResidentConfig(tmp_path), Query("red"), SearchOptions(), pytest.fail)
    assert len(requests) == 1


@pytest.fixture
def start_process(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> Iterator[Callable[..., Service]]:
    """Function that serves a library with three pictures on its Unix socket, in a thread."""
    library = tmp_path / "library"
    with Library.open(library, create=True, start=fake_engines) as opened:
        index_folder(opened, photos, model)
    cleanups: list[Callable[[], object]] = []

    def start(engine: EngineOrigin = EngineOrigin()) -> Service:  # noqa: B008 (frozen)
        service = Service(library, fake_engines)
        app = create_app(service, engine=engine)
        config = uvicorn.Config(app, log_level="warning", loop="asyncio", lifespan="off")
        server = uvicorn.Server(config)
        listener = listen(library)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        cleanups.extend([service.close, lambda: thread.join(20)])
        cleanups.append(lambda: setattr(server, "should_exit", True))
        return service

    yield start
    for cleanup in reversed(cleanups):
        cleanup()


def search(
    library: Path, query: Query | list[Term], options: SearchOptions, **config: Any
) -> SearchResult:
    return client.search(ResidentConfig(library, **config), query, options, lambda line: None)


def test_limits_of_the_web_do_not_hold_for_commands(
    tmp_path: Path, photos: Path, start_process: Callable[..., Service]
) -> None:
    """Large counts, many terms and long conditions work as with --no-daemon."""
    start_process()
    library = tmp_path / "library"
    picture = Term(Query(image=photos / "green.png"), 0.001)
    color = Term(Query("red"), 2000.0)
    cases: list[tuple[Query | list[Term], dict[str, Any]]] = [
        (Query("red"), {"count": 1001}), (Query("red"), {"count": 10**30}),
        (Query("red"), {"offset": 200_000}), ([color] * 17, {}), ([color, *[picture] * 17], {}),
        (Query("red"), {"where": " or ".join(["format = 'png'"] * 300)}),
        (Query("red " * 6000), {"truncate": True}), (Query("red"), {"keyword": ("a",) * 17}),
        (Query("red"), {"camera": "x" * 300, "lens": "*" * 300, "format": "x" * 30}),
        (Query("red"), {"folder": "/" + "x/" * 3000}), (Query("red"), {"max_size": float("inf")}),
        (Query("red"), {"near": "1e-300,0,1"}),
    ]  # fmt: skip
    with Library.open(library, start=FakeEngines()) as opened:
        for query, options in cases:
            expected = opened.find(query, SearchOptions(**options))
            assert search(library, query, SearchOptions(**options)) == expected, options
        too_large = [Term(Query("red"), float("9" * 400)), picture]
        for find in (opened.find, lambda query: search(library, query, SearchOptions())):
            with pytest.raises(QueryError, match="weights of the query are too large"):
                find(too_large)


def test_web_clients_keep_their_limits(start_process: Callable[..., Service]) -> None:
    """The limits are those of the listener: see test_api."""
    shown = SearchRequest.model_json_schema()["properties"]
    assert shown["count"]["maximum"] == 1000
    with pytest.raises(ValueError, match="less than or equal to 1000"):
        SearchRequest.model_validate({"count": 1001})
    assert SearchRequest.model_validate({"count": 1001}, context={"is_local": True}).count == 1001


def test_undecodable_folder_is_searched(
    tmp_path: Path, photos: Path, model: Path, start_process: Callable[..., Service]
) -> None:
    """--in takes a folder whose name is not UTF-8, with and without a picture in the query."""
    folder = photos / "ph\udcff"
    try:
        save_picture(folder / "cyan.jpg", "cyan")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system takes only UTF-8")
    with Library.open(tmp_path / "library", start=FakeEngines()) as opened:
        index_folder(opened, photos, model)
    start_process()
    for query in (Query("red"), Query(image=photos / "red.jpg")):
        hits = search(tmp_path / "library", query, SearchOptions(folder=folder)).hits
        assert [hit.path for hit in hits] == [str(folder / "cyan.jpg")]


def test_start_options_are_not_ignored(
    tmp_path: Path, start_process: Callable[..., Service]
) -> None:
    """A process that embeds elsewhere refuses --engine and --api-key; nothing else changes."""
    start_process(EngineOrigin("http://gpu:8000/v1/", "right"))
    library, options = tmp_path / "library", SearchOptions(count=1)
    assert search(library, Query("red"), options).hits
    assert search(library, Query("red"), options, engine_url="http://gpu:8000/v1").hits
    right = {"engine_url": "http://gpu:8000/v1", "api_key": "right"}
    assert search(library, Query("red"), options, **right).hits
    for config, message in [
        ({"engine_url": "http://other:1"}, r"--engine http://other:1 has no effect: .*gpu:8000"),
        ({**right, "api_key": "wrong\u2603"}, "--api-key has no effect"),
    ]:
        with pytest.raises(EngineError, match=message) as caught:
            search(library, Query("red"), options, **config)
        assert "searchapp stop" in str(caught.value)


def test_engine_url_is_refused_by_a_process_with_its_own_engine(
    tmp_path: Path, model: Path, start_process: Callable[..., Service]
) -> None:
    """The same holds for the engine of `watch`."""
    start_process()
    config = ResidentConfig(tmp_path / "library", engine_url="http://[\udcff")
    with pytest.raises(EngineError, match=r"has no effect: .* with a vLLM of its own"):
        client.search(config, Query("red"), SearchOptions(), lambda line: None)
    engine = ResidentEngine(models.resolve_model(str(model)), config, lambda line: None)
    with pytest.raises(EngineError, match="has no effect"):
        engine.count_tokens("red")


def test_keep_alive_changes_a_running_process(
    tmp_path: Path, start_process: Callable[..., Service]
) -> None:
    """--keep-alive counts from the next query on; without it, the time stays; `serve` stays."""
    service = start_process()
    library, options = tmp_path / "library", SearchOptions(count=1)
    search(library, Query("red"), options, keep_alive_min=2.5)
    assert service.activity.keep_alive_min is None  # `serve` never stops when idle
    service.activity.keep_alive_min = 15.0
    search(library, Query("red"), options, keep_alive_min=2.5)
    assert service.activity.keep_alive_min == 2.5
    search(library, Query("red"), options)
    assert service.activity.keep_alive_min == 2.5


def test_saved_searches_run_as_in_the_library(
    tmp_path: Path, photos: Path, start_process: Callable[..., Service]
) -> None:
    """Options of the command replace saved ones; no limit of the web holds; names may be bytes."""
    library = tmp_path / "library"
    folder, picture = photos / "ph\udcff", save_picture(tmp_path / "p\udcff.png", "green")
    cases: list[dict[str, Any]] = [
        {}, {"count": 1}, {"count": 2000, "offset": 1}, {"folder": photos / "below"},
        {"folder": folder}, {"after": DateBound("1990"), "near": Circle(1e-300, 0, 1)},
        {"min_score": 0.99, "sort": "date", "trust_remote_code": True},
    ]  # fmt: skip
    with Library.open(library, start=FakeEngines()) as opened:
        saved = [
            opened.saved.add("reds", Query("red"), SearchOptions(count=3, before="2099")),
            opened.saved.add("like", Query(None, picture), SearchOptions(folder=photos)),
            opened.saved.add("bytes", Query("red"), SearchOptions(folder=folder, count=10**30)),
            opened.saved.add(
                "part",
                Query(None, picture, Region.parse("1,1,9,9")),
                SearchOptions(),
                [Example(1), Example(photos / "red.jpg", is_liked=False)],
            ),
        ]
        saved[2] = opened.saved.set_link_folder(saved[2], tmp_path / "l\udcff")
        start_process()
        assert [client.find_saved(library, each.name) for each in saved] == [
            SavedSearch(each.name, each.terms, each.options) for each in saved
        ]
        assert client.find_saved(library, "nothing") is None
        for name in ("reds", "like", "bytes", "part"):
            for changes in cases:
                found = client.search_saved(ResidentConfig(library), name, changes, print)
                assert found == opened.find_saved(name, changes), (name, changes)
        picture.unlink()
        for find in (
            lambda: client.search_saved(ResidentConfig(library), "like", {}, print),
            lambda: opened.find_saved("like"),
        ):
            with pytest.raises(PictureError, match="the picture of the saved search 'like'"):
                find()
        with pytest.raises(QueryError, match="no saved search 'x'"):
            client.search_saved(ResidentConfig(library), "x", {}, print)


def test_a_process_that_cannot_list_saved_searches_is_not_needed(
    break_process: Callable[[bytes], BrokenProcess], tmp_path: Path
) -> None:
    """An older process, or a broken one: the command reads the catalog itself."""
    break_process(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
    assert client.find_saved(tmp_path / "library", "reds") is None


def test_questions_in_one_request_have_the_answers_of_single_ones(
    tmp_path: Path,
    photos: Path,
    start_process: Callable[..., Service],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has its own pictures, options and errors; large pictures go in further requests."""
    start_process()
    library = tmp_path / "library"
    config = ResidentConfig(library)
    below, red = SearchOptions(folder=photos / "below"), Query("red")
    questions = [
        SearchQuestion(red, SearchOptions(count=1)),
        SearchQuestion(Query(image=photos / "green.png"), SearchOptions(count=2)),
        SearchQuestion(Query(image=photos / "gone.png")),
        SearchQuestion([Term(red), Term(Query(image=photos / "red.jpg"), 0.5)], below),
        SearchQuestion(Query(image=save_broken(tmp_path / "broken.png"))),
        SearchQuestion(Query("no color")),
        SearchQuestion([], below, [Example(str(photos / "red.jpg"))]),
        SearchQuestion(Query()),
        SearchQuestion(red, SearchOptions(where="no such column")),
        SearchQuestion(red, SearchOptions(sort="date", offset=1)),
    ]

    def ask(question: SearchQuestion) -> SearchResult | str:
        try:
            query, options, examples = question.query, question.options, question.examples
            return client.search(config, query, options, lambda line: None, examples)
        except SearchAppError as error:
            return f"{type(error)} {error}"

    alone = [ask(question) for question in questions]
    posted = list[int]()
    post = client.post_fields

    def record(library: Path, path: str, fields: Any, pictures: Any, headers: Any) -> Any:
        assert path.endswith("/searches")
        posted.append(len(fields["searches"]))
        return post(library, path, fields, pictures, headers)

    monkeypatch.setattr(client, "post_fields", record)
    for max_bytes, sizes in ((client_batches.MAX_REQUEST_BYTES, [8]), (0, [2, 1, 1, 4])):
        posted.clear()
        monkeypatch.setattr(client_batches, "MAX_REQUEST_BYTES", max_bytes)
        together = client_batches.search_many(config, questions, lambda line: None)
        assert [
            f"{type(each)} {each}" if isinstance(each, SearchAppError) else each
            for each in together
        ] == alone
        assert posted == sizes


def save_broken(file: Path) -> Path:
    file.write_bytes(b"no picture")
    return file
