"""`searchapp mcp`, asked by the official client over stdio; the engine is a fake."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from PIL import Image
from support.library import FakeEngines, RunCommand, index_folder, write_fake_clip
from support.paths import TESTS
from support.sample_pictures import save_picture

from searchapp.library import Library
from searchapp.server import client as resident_client
from searchapp.server.mcp_tools import bounded_answers

TOOLS = {"search", "similar", "facets", "image", "info"}
FAKE_COMMAND = [sys.executable, str(TESTS / "support" / "fake_resident.py"), "0", "0"]
RUN_MCP = textwrap.dedent(f"""
    import sys
    from searchapp.server import start_resident
    start_resident.SERVER_COMMAND = {FAKE_COMMAND!r}
    from searchapp.cli import main
    main()
""")
NAME = "caf\u00e9 \udcff.png"  # its last byte is not UTF-8


def make_command(folder: Path) -> list[str]:
    """Return the command line of the MCP server, whose resident process has a fake engine."""
    return [sys.executable, "-c", RUN_MCP, "mcp", "--keep-alive", "1", "--library", str(folder)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Library with four pictures; one of them has a name that is not UTF-8."""
    root = tmp_path_factory.mktemp("mcp")
    (root / "photos" / "below").mkdir(parents=True)
    names = {"red.jpg": "red", "green.png": "green", "below/blue.jpg": "blue", NAME: "white"}
    for name, color in names.items():
        save_picture(root / "photos" / name, color)
    model = write_fake_clip(root / "fake-clip")
    with Library.open(root / "library", create=True, start=FakeEngines()) as library:
        index_folder(library, root / "photos", model)
    yield root / "library"
    resident_client.stop_resident(root / "library")


Call = Callable[..., Any]


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[tuple[Client, Any]]:
    """The official client, connected to the command, and the portal that runs its event loop."""
    command, *arguments = make_command(folder)
    parameters = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Client(parameters)) as client,
    ):
        yield client, portal


@pytest.fixture(scope="module")
def first_steps(session: tuple[Client, Any]) -> list[str | None]:
    """Search once, which starts the resident process; return the messages of its progress."""
    client, portal = session
    steps: list[str | None] = []

    async def note_step(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)

    async def search() -> Any:
        return await client.call_tool("search", {"text": "red"}, progress_callback=note_step)

    assert portal.call(search).structured_content["hits"]
    return steps


@pytest.fixture
def call(session: tuple[Client, Any], first_steps: list[str | None]) -> Call:
    """Function that calls a tool, and returns its structured result or the text of its error."""
    client, portal = session

    def call(name: str, **arguments: Any) -> Any:
        result = portal.call(client.call_tool, name, arguments)
        if result.is_error:
            return result.content[0].text
        return result.structured_content or result.content

    return call


def test_all_tools_say_that_they_only_read(session: tuple[Client, Any]) -> None:
    client, portal = session
    tools = portal.call(client.list_tools).tools
    assert {tool.name for tool in tools} == TOOLS
    for tool in tools:
        assert tool.annotations.read_only_hint and tool.description
        assert "context" not in tool.input_schema["properties"]
        assert tool.input_schema["additionalProperties"] is False
    (facets,) = (tool for tool in tools if tool.name == "facets")
    described = facets.input_schema["properties"]["find"]["description"]
    assert "ratings, positions and months are always counted" in described


def test_search_finds_pictures_by_words_and_filters(call: Call) -> None:
    found = call("search", text="blue", count=2)
    assert Path(found["hits"][0]["path"]).name == "blue.jpg"
    assert len(found["hits"]) == 2
    assert found["hits"][0]["score"] > found["hits"][1]["score"]
    below = call("search", text="red", filters={"folder": "below", "format": ["jpeg"]})
    assert below["hits"] == [] and "below" in below["warnings"][0]
    folder = str(Path(found["hits"][0]["path"]).parent)
    below = call("search", text="red", filters={"folder": folder})
    assert [Path(hit["path"]).name for hit in below["hits"]] == ["blue.jpg"]
    assert call("search", text="red", filters={"after": "2999"})["hits"] == []


def test_similar_starts_with_the_picture_itself(call: Call) -> None:
    image_id = call("search", text="green", count=1)["hits"][0]["id"]
    hits = call("similar", image_id=image_id, count=3)["hits"]
    assert (hits[0]["id"], len(hits)) == (image_id, 3)
    filtered = call("similar", image_id=image_id, filters={"format": "jpeg"})["hits"]
    assert {Path(hit["path"]).name for hit in filtered} == {"red.jpg", "blue.jpg"}


def test_facets_and_info_describe_the_library(call: Call, folder: Path) -> None:
    facets = call("facets")
    photos = folder.parent / "photos"
    assert (facets["images"], facets["formats"]) == (4, {"jpeg": 2, "png": 2})
    assert facets["folders"] == {str(photos): 3, str(photos / "below"): 1}
    assert call("facets", filters={"format": "png"})["images"] == 2
    found = call("facets", find="no such value")
    assert found.keys() == {"images", "ratings", "months"}  # as the schema says
    info = call("info")
    assert (info["images"], info["model"], info["library"]) == (4, "fake-clip", str(folder))


def test_image_shows_a_thumbnail_and_the_path_of_the_original(call: Call, folder: Path) -> None:
    hit = call("search", text="red", count=1)["hits"][0]
    picture, text = call("image", image_id=hit["id"])
    thumbnail = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    assert picture.mime_type == "image/webp" == Image.MIME[thumbnail.format]
    assert max(thumbnail.size) <= 640
    details = json.loads(text.text)
    assert details["path"] == str(folder.parent / "photos" / "red.jpg")
    assert details["format"] == "JPEG"


def test_a_name_that_is_not_utf8_is_shown(call: Call) -> None:
    hit = call("search", text="white", count=1)["hits"][0]
    assert hit["path"].endswith("/caf\u00e9 \ufffd.png")
    assert len(call("image", image_id=hit["id"])) == 2


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("image", {"image_id": 999}, "the library has no image 999"),
        ("similar", {"image_id": 999}, "no image 999"),
        ("search", {"text": "red", "filters": {"collection": "none"}}, "collection"),
        ("facets", {"filters": {"where": "delete from files"}}, "where"),
        ("search", {"text": "red", "folder": ["/photos"]}, "Put conditions into filters."),
        ("similar", {"image_id": 1, "offset": 5}, "no argument offset. Its arguments are image_id"),
        ("info", {"folder": "/photos"}, "info has no argument folder. It has no arguments."),
    ],
)
def test_a_bad_argument_is_answered_with_a_reason(
    call: Call, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    answer = call(tool, **arguments)
    assert isinstance(answer, str) and reason in answer, answer


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("image", {}, "The tool image needs the argument image_id."),
        (
            "image", {"image_id": "/etc/passwd"},
            'The argument image_id must be an integer, not "/etc/passwd".',
        ),
        ("image", {"image_id": 0}, "The argument image_id must be at least 1, not 0."),
        ("similar", {"image_id": 1.5}, "The argument image_id must be an integer, not 1.5."),
        ("search", {"text": 5}, "The argument text must be a text, not 5."),
        ("search", {"text": None}, "The argument text must be a text, not null."),
        (
            "search", {"text": ""},
            'The argument text must be a text of 1 or more characters, not "".',
        ),
        (
            "search", {"text": "x" * 3000},
            f'The argument text must be a text of at most 2000 characters, not "{"x" * 99}….',
        ),
        (
            "search", {"text": "red", "count": 1000},
            "The argument count must be at most 50, not 1000.",
        ),
        (
            "search", {"text": "red", "sort": "name"},
            "The argument sort must be 'score' or 'date', not \"name\".",
        ),
        (
            "search", {"text": "red", "only_good_matches": "maybe"},
            'The argument only_good_matches must be true or false, not "maybe".',
        ),
        (
            "search", {"text": "red", "filters": "x"},
            'The argument filters must be an object with conditions, or null, not "x".',
        ),
        (
            "search", {"text": "red", "filters": {"folder": ["a", 5], "min_size": "big"}},
            "The argument filters.folder[1] must be a text, not 5. "
            'The argument filters.min_size must be a number, not "big".',
        ),
        (
            "search", {"text": "red", "filters": {"after": "soon"}},
            "The argument filters.after cannot be used: 'soon' is not a date. "
            "Write 2023, 2023-06 or 2023-06-17.",
        ),
        ("facets", {"find": 3}, "The argument find must be a text, not 3."),
    ],
)  # fmt: skip
def test_an_argument_of_a_wrong_type_is_explained(
    call: Call, tool: str, arguments: dict[str, Any], message: str
) -> None:
    """The assistant reads its own value, and what the tool accepts."""
    assert call(tool, **arguments) == message


def test_an_unknown_condition_is_answered_with_the_known_ones(call: Call) -> None:
    answer = call("search", text="red", filters={"like_files": ["/etc/passwd"]})
    assert answer.startswith("filters has no condition like_files. Its conditions are folder, ")


def test_the_tools_change_nothing(call: Call, folder: Path) -> None:
    """The catalog has the same rows after each tool was called."""

    def read_catalog() -> list[str]:
        with sqlite3.connect(f"file:{folder / 'catalog.db'}?mode=ro", uri=True) as connection:
            return list(connection.iterdump())

    before = read_catalog()
    for name, arguments in (
        ("search", {"text": "red"}), ("similar", {"image_id": 1}), ("image", {"image_id": 1}),
        ("facets", {}), ("info", {}),
    ):  # fmt: skip
        call(name, **arguments)
    assert read_catalog() == before


def test_the_steps_of_a_start_are_progress(first_steps: list[str | None]) -> None:
    """A client that waits for a model learns why."""
    assert first_steps[0] == "starting the resident process ..."


@contextmanager
def start_process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start the command by Python code, and connect to it as a client does; kill it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", code, "mcp", *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            start = {"protocolVersion": "2025-06-18", "capabilities": {},
                     "clientInfo": {"name": "test", "version": "1"}}  # fmt: skip
            send(process, {"id": 1, "method": "initialize", "params": start})
            send(process, {"method": "notifications/initialized"})
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def read_until(process: subprocess.Popen[str], name: str, value: object) -> list[dict[str, Any]]:
    """Return the messages on stdout, up to the one with this value."""
    assert process.stdout
    messages = []
    for line in process.stdout:
        messages.append(json.loads(line))
        if messages[-1].get(name) == value:
            return messages
    raise AssertionError(f"stdout ended: {messages}")


CALL = {"name": "info", "arguments": {}, "_meta": {"progressToken": 7}}
NOISE = """
import logging, os, subprocess, warnings
from searchapp.server import client
answer = client.repeat_request
def answer_with_noise(*arguments):
    print("print")
    os.write(1, b"descriptor\\n")
    subprocess.run(["echo", "child"])
    logging.getLogger("vllm").error("log")
    warnings.warn("warning")
    return answer(*arguments)
client.repeat_request = answer_with_noise
"""


def test_stdout_carries_only_the_protocol(folder: Path) -> None:
    """Each line on stdout is a JSON-RPC message; other output, also of libraries, is on stderr."""
    with start_process(NOISE + RUN_MCP, "-vv", "--keep-alive", 1, "--library", folder) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write("no JSON\n")
        send(process, {"id": 2, "method": "tools/call", "params": CALL})
        messages = read_until(process, "id", 2)
        process.stdin.close()
        messages += [json.loads(line) for line in process.stdout]
        notes = process.stderr.read()
        assert process.wait(timeout=300) == 0
    assert all(message["jsonrpc"] == "2.0" for message in messages)
    assert messages[-1]["result"]["structuredContent"]["images"] == 4
    for noise in ("print", "descriptor", "child", "log", "warning"):
        assert noise in notes, notes
    # Started, or left by an earlier test. No other handler repeats the record.
    records = [line for line in notes.splitlines() if "searchapp.server.start_resident" in line]
    assert records and len(records) == len(set(records)), notes


WAIT = """
import threading
from searchapp.server import client
def wait(config, path, send, notify):
    notify("waits")
    threading.Event().wait()
client.repeat_request = wait
"""


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_the_command_ends_while_a_tool_waits(folder: Path, is_interrupted: bool) -> None:
    """Ctrl-C and the end of stdin end the command at once."""
    with start_process(WAIT + RUN_MCP, "--library", folder) as process:
        assert process.stdin and process.stderr
        send(process, {"id": 2, "method": "tools/call", "params": CALL})
        read_until(process, "method", "notifications/progress")
        if is_interrupted:
            process.send_signal(signal.SIGINT)
        else:
            process.stdin.close()
        assert process.wait(timeout=300) == (130 if is_interrupted else 0)
        note = "searchapp: interrupted" if is_interrupted else ""
        assert process.stderr.read().strip() == note


@pytest.mark.parametrize(
    ("package", "extra"), [("mcp.server.mcpserver", "mcp"), ("fastapi", "server")]
)
def test_without_a_package_the_remedy_is_named(
    run: RunCommand, folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    for module in ("searchapp.server.mcp_tools.tools", "searchapp.server.request_models"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    result = run("mcp", "--library", folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{package.partition('.')[0]}" in str(result.exception)
    assert f"pip install -e '.[{extra}]'" in str(result.exception)


def test_without_a_resident_process_the_reason_is_named(
    run: RunCommand, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So on Windows, and in a library whose folder is read-only."""
    monkeypatch.delattr(socket, "AF_UNIX")
    result = run("mcp", "--library", folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"must be able to write to {folder}" in str(result.exception)


def test_answers_are_bounded() -> None:
    """Many and long values are cut, but no path."""
    path = "/" + "x" * 3000
    many = [f"keyword {number}" for number in range(1000)]
    picture = {"id": 1, "path": path, "keywords": many, "title": "t" * 9000, "also": [path] * 99}
    shown = bounded_answers.describe_picture(picture)
    assert shown["path"] == path and set(shown["also"]) == {path}
    assert (len(shown["keywords"]), len(shown["title"])) == (20, 500)
    hits = bounded_answers.describe_hits([{**picture, "also": []}] * 50)
    assert 1 < len(hits["hits"]) < 50 and hits["hits_left_out"] == 50 - len(hits["hits"])
    assert len(json.dumps(hits, ensure_ascii=False)) < 70_000
    facet = {"values": [(word, 1) for word in many], "more": 5}
    month = {"month": "2020-01", "images": 1}
    facets = dict.fromkeys(bounded_answers.FACETS, facet)
    counted = bounded_answers.describe_facets(
        {**facets, "images": 9, "months": [month] * 500, "warnings": many}
    )
    assert (len(counted["keywords"]), counted["more_keywords"]) == (30, 975)
    assert (counted["earlier_months"], len(counted["warnings"])) == (380, 20)
