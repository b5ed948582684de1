"""The engine over HTTP, with a simulated vLLM server and with the real one."""

from __future__ import annotations

import base64
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.fake_engine import REFUSED_COLOR, FakeEngine
from support.library import RunCommand
from support.sample_pictures import save_picture
from support.vllm_server import (
    BROKEN_PROMPT,
    FakeVllmHandler,
    FakeVllmServer,
    FaultHandler,
    drop_connection,
    hang_request,
    make_status_fault,
    parse_inputs,
)

from searchapp import engines
from searchapp.engines import EngineInput, Refusal, start_engine
from searchapp.engines.base import Vector
from searchapp.engines.http_requests import RetryPolicy
from searchapp.engines.remote import (
    PICTURES_PER_REQUEST,
    RAW_CHAT_TEMPLATE,
    TEXTS_PER_REQUEST,
    RemoteEngine,
    build_serve_command,
)
from searchapp.errors import EngineError, ModelError
from searchapp.models import (
    MODELS,
    ModelSpec,
    make_document_prompt,
    make_query_prompt,
)

# A busy machine answers within the timeouts; only a request that hangs waits for them.
QUICK = RetryPolicy(total_s=60.0, first_pause_s=0.02, max_pause_s=0.1, answer_timeout_s=5.0)
HASTY = replace(QUICK, total_s=1.5)  # for a server that never recovers
COLORS = ["red", "green", "blue", "navy", "olive", "teal"]


@pytest.fixture
def engine(spec: ModelSpec, server: FakeVllmServer) -> Iterator[RemoteEngine]:
    engine = RemoteEngine(spec, server.url, retry_policy=QUICK)
    server.request_bodies.clear()
    server.request_times.clear()
    yield engine
    engine.close()


def picture(number: int) -> EngineInput:
    color = (number % 256, 40 * (number % 6), 255 - number % 256)
    return EngineInput("", Image.new("RGB", (32, 32), color))


def same(outputs: Sequence[Vector | Refusal], expected: Sequence[Vector | Refusal]) -> bool:
    return len(outputs) == len(expected) and all(
        not isinstance(a, Refusal) and not isinstance(b, Refusal) and float(a @ b) > 0.999999
        for a, b in zip(outputs, expected, strict=True)
    )


def test_commands_index_and_search_with_a_server(
    run: RunCommand,
    server: FakeVllmServer,
    spec: ModelSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--engine URL --api-key KEY` needs no vLLM in the process of the command."""
    monkeypatch.setattr(engines, "start_engine", start_engine)  # the real one
    server.api_key = "key-of-the-test"
    for color in COLORS:
        save_picture(tmp_path / f"photos/{color}.png", color)
    options = ("--engine", server.url, "--json")
    refused = run("index", tmp_path / "photos", "--model", spec.source, *options)
    assert refused.exit_code == 1
    assert "401" in str(refused.exception)
    options += ("--api-key", server.api_key)
    result = run("index", tmp_path / "photos", "--model", spec.source, *options)
    assert json.loads(result.stdout)["added"] == len(COLORS)
    sent = len(server.request_bodies)
    for question in (("green",), ("--image", tmp_path / "photos/green.png")):
        hits = json.loads(run("query", *question, *options).stdout)
        assert hits[0]["path"] == str(tmp_path / "photos/green.png")
    assert len(server.request_bodies) > sent


def test_the_order_is_kept(engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec) -> None:
    """Each of hundreds of inputs in parallel requests gets its own vector."""
    server.max_delay_s = 0.02
    inputs = [EngineInput(COLORS[number % 6]) for number in range(150)]
    inputs += [picture(number) for number in range(150)]
    random.Random(0).shuffle(inputs)
    assert same(engine.embed(inputs), FakeEngine(spec).embed(inputs))
    assert len(server.request_bodies) == -(-150 // TEXTS_PER_REQUEST) + -(
        -150 // PICTURES_PER_REQUEST
    )
    assert 2 <= server.max_active_requests <= 8
    assert engine.embed([]) == []


def test_pictures_arrive_as_they_are(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """The server gets every pixel unchanged; vectors are requested as binary."""
    noise = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    engine.embed([EngineInput("", Image.fromarray(noise))])
    (body,) = server.request_bodies
    assert np.array_equal(np.asarray(parse_inputs(body)[0].image), noise)
    assert body["encoding_format"] == "base64"
    assert body["embed_dtype"] == "float32"


@pytest.mark.parametrize(
    "troubles",
    [
        [make_status_fault(429)] * 3,
        [make_status_fault(500)] * 2,
        [make_status_fault(503), make_status_fault(502), make_status_fault(504)],
        [drop_connection, drop_connection],
        [hang_request],
        [drop_connection, make_status_fault(503), hang_request],
    ],
    ids=["429", "500", "50x", "dropped", "hangs", "mixed"],
)
def test_temporary_failures_are_retried(
    engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec, troubles: list[FaultHandler]
) -> None:
    """A server that fails for a moment is retried, without losing an input."""
    server.faults.extend(troubles)
    inputs = [EngineInput("red"), picture(1)]
    assert same(engine.embed(inputs), FakeEngine(spec).embed(inputs))
    assert len(server.request_bodies) == 2 + len(troubles)


@pytest.mark.parametrize("moment", [False, True])
def test_retry_after_is_respected(
    engine: RemoteEngine, server: FakeVllmServer, moment: bool
) -> None:
    """Retry-After is respected, in seconds or as a date."""
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    server.faults.append(make_status_fault(429, {"Retry-After": soon if moment else "0.7"}))
    (output,) = engine.embed([EngineInput("red")])
    assert not isinstance(output, Refusal)
    first, second = server.request_times
    assert second - first >= 0.7


def test_a_too_long_retry_after_is_an_error(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """A Retry-After beyond the total time is an error at once."""
    server.faults.append(make_status_fault(429, {"Retry-After": "3600"}))
    message = r"failed once; last problem: 429 too busy \(it asks to wait 3600 s\)"
    with pytest.raises(EngineError, match=message):
        engine.embed([EngineInput("red")])
    assert len(server.request_times) == 1


@pytest.mark.parametrize(
    ("trouble", "problem"),
    [
        (make_status_fault(503), "503 too busy"),
        (make_status_fault(500), "500 too busy"),
        (drop_connection, "no answer"),
        (hang_request, "no answer"),
    ],
    ids=["503", "500", "dropped", "hangs"],
)
def test_a_server_that_always_fails_is_an_error(
    server: FakeVllmServer, spec: ModelSpec, trouble: FaultHandler, problem: str
) -> None:
    """A broken server is an error after a bounded time; no picture is refused."""
    engine = RemoteEngine(spec, server.url, retry_policy=HASTY)
    server.permanent_fault = trouble
    started = time.monotonic()
    times = r"(once|\d+ times in \d+ s)"
    with pytest.raises(EngineError, match=rf"failed {times}; last problem: {problem}"):
        engine.embed([picture(number) for number in range(40)])
    assert time.monotonic() - started < QUICK.total_s


def test_a_server_that_has_ended_is_an_error(server: FakeVllmServer, spec: ModelSpec) -> None:
    """A server whose process has ended is an error, too."""
    engine = RemoteEngine(spec, server.url, retry_policy=HASTY)
    server.permanent_fault = drop_connection  # connections that are open
    server.shutdown()
    server.server_close()
    with pytest.raises(EngineError, match="last problem: no answer"):
        engine.embed([EngineInput("red")] * 3)


def test_a_bad_item_is_refused_alone(
    engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec
) -> None:
    """A 400 response becomes the refusal of one input, with the server's reason."""
    inputs = [EngineInput(COLORS[number % 6]) for number in range(20)]
    inputs += [picture(number) for number in range(20)]
    bad = {
        3: EngineInput("nothing"),
        25: EngineInput("", Image.new("RGB", (32, 32), REFUSED_COLOR)),
    }
    for number, item in bad.items():
        inputs[number] = item
    outputs = engine.embed(inputs)
    assert outputs[3] == Refusal("no color in 'nothing'")
    assert outputs[25] == Refusal("a picture that the model does not take")
    good = [number for number in range(40) if number not in bad]
    expected = FakeEngine(spec).embed([inputs[number] for number in good])
    assert same([outputs[number] for number in good], expected)


def test_an_input_that_always_fails_is_refused(
    engine: RemoteEngine, server: FakeVllmServer
) -> None:
    """If a working server always answers 500 for one input, that input is refused."""
    first, bad, last = engine.embed(
        [EngineInput("red"), EngineInput(BROKEN_PROMPT), EngineInput("blue")]
    )
    assert bad == Refusal("the server fails on this input: an assertion")
    assert not isinstance(first, Refusal)
    assert not isinstance(last, Refusal)


def test_a_text_that_json_cannot_encode_is_refused(engine: RemoteEngine) -> None:
    """Half a surrogate pair is refused locally, without affecting another text."""
    good, bad = engine.embed([EngineInput("red"), EngineInput("\ud800 blue")])
    assert not isinstance(good, Refusal)
    assert isinstance(bad, Refusal)


@pytest.mark.parametrize(
    ("vector", "reason"),
    [([float("nan")] * 48, "unusable vector"), ([float("inf")] * 48, "unusable vector"),
     ([0.0] * 48, "unusable vector"),
     ([1.0] * 47, "the model returned a vector of 47 values instead of 48")],
    ids=["nan", "inf", "zero", "short"],
)  # fmt: skip
def test_invalid_vectors_are_refused(
    engine: RemoteEngine, server: FakeVllmServer, vector: list[float], reason: str
) -> None:
    """Vectors with NaN or infinity, zero vectors and wrong sizes are refused."""
    raw = base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        answer["data"][0]["embedding"] = raw
        return answer

    server.change_answer = change
    good, bad = engine.embed([EngineInput("red"), EngineInput("blue")])
    assert not isinstance(good, Refusal)
    assert isinstance(bad, Refusal)
    assert reason in bad.reason


def garbled(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def change(answer: dict[str, Any]) -> Any:
        answer["data"][0][key] = value
        return answer

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: b"<html>", lambda answer: [], lambda answer: {"data": None},
        lambda answer: {}, lambda answer: answer | {"data": answer["data"][:1]},
        lambda answer: answer | {"data": answer["data"] + answer["data"][:1]},
        garbled("index", 0), garbled("index", 7), garbled("index", []),
        garbled("embedding", "%%%"), garbled("embedding", "AAAAAAA="), garbled("embedding", None),
        garbled("embedding", ["a", "b"]), garbled("embedding", {"x": 1}),
    ],
    ids=["html", "list", "null", "empty", "too few", "too many", "twice", "unknown", "no index",
         "no base64", "odd bytes", "no vector", "words", "object"],
)  # fmt: skip
def test_garbage_never_becomes_a_vector(
    engine: RemoteEngine, server: FakeVllmServer, change: Callable[[dict[str, Any]], Any]
) -> None:
    """A malformed answer is one clear error."""
    server.change_answer = change
    with pytest.raises(EngineError, match=r"Check that a vLLM server runs there") as raised:
        engine.embed([EngineInput("red"), EngineInput("blue")])
    assert "\n" not in str(raised.value)


def test_lists_are_vectors_too(
    engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec
) -> None:
    """Vectors as JSON lists are accepted, from a server that ignores encoding_format."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        for item in answer["data"]:
            raw = base64.b64decode(item["embedding"])
            item["embedding"] = np.frombuffer(raw, "<f4").tolist()
        return answer

    server.change_answer = change
    inputs = [EngineInput("red"), EngineInput("blue")]
    assert same(engine.embed(inputs), FakeEngine(spec).embed(inputs))


@pytest.mark.parametrize(
    ("card", "fits"),
    [
        ({"id": "{source}", "root": "{source}"}, True),
        ({"id": "/models/fake-clip", "root": "/models/fake-clip"}, True),
        ({"id": "fake-clip", "root": "/weights"}, True),
        ({"id": "photos", "root": "/models/fake-clip"}, True),
        ({"id": "other-clip", "root": "/models/other-clip"}, False),
        ({"id": "fake-clip", "root": "/lora", "parent": "base"}, False),
        ({"id": "openai/fake-clip2", "root": None}, False),
    ],
)
def test_the_server_must_serve_the_collections_model(
    server: FakeVllmServer, spec: ModelSpec, card: dict[str, Any], fits: bool
) -> None:
    """The model is found by path, folder name or served name; else the error names both."""
    filled = {k: v.format(source=spec.source) if v else v for k, v in card.items()}
    server.models = [{"id": "another", "root": "another"}, filled]
    if fits:
        RemoteEngine(spec, server.url, retry_policy=QUICK).close()
        assert server.request_bodies[0]["model"] == filled["id"]
        return
    with pytest.raises(ModelError) as raised:
        RemoteEngine(spec, server.url, retry_policy=QUICK)
    assert "serves another" in str(raised.value)
    assert spec.name in str(raised.value)
    assert f"vllm serve {spec.source} --runner pooling" in str(raised.value)


def test_a_hub_model_is_found_by_its_name(server: FakeVllmServer, spec: ModelSpec) -> None:
    """The model is found by its repository, by our name, or by the cached commit."""
    hub = replace(spec, name="clip-vit-x", source="openai/clip-x", revision="3d74acf9a28c")
    for served in ("openai/clip-x", "clip-vit-x", "/cache/snapshots/3d74acf9a28c"):
        server.models = [{"id": served, "root": served}]
        RemoteEngine(hub, server.url, retry_policy=QUICK).close()
    server.models = [{"id": "other/clip-x", "root": "other/clip-x"}]
    with pytest.raises(ModelError, match=r"serves other/clip-x, not clip-vit-x"):
        RemoteEngine(hub, server.url, retry_policy=QUICK)


def test_other_dimensions_are_an_error_at_the_start(
    server: FakeVllmServer, spec: ModelSpec
) -> None:
    """A server with a model of the same name, but other dimensions, is an error."""
    with pytest.raises(ModelError, match="returned a vector of 48 values instead of 512"):
        RemoteEngine(replace(spec, dimensions=512), server.url, retry_policy=QUICK)


def test_keys(server: FakeVllmServer, spec: ModelSpec) -> None:
    """The key is sent; a missing, wrong or malformed key is an error that hides it."""
    server.api_key = "secret-1"
    RemoteEngine(spec, server.url, api_key="secret-1", retry_policy=QUICK).close()
    for key in (None, "secret-2", "", "secret\n", "\u200bsecret"):
        with pytest.raises(EngineError, match="--api-key") as raised:
            RemoteEngine(spec, server.url, api_key=key, retry_policy=QUICK)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_addresses(server: FakeVllmServer, spec: ModelSpec, path: str) -> None:
    """The address may end in /v1, as other clients need it."""
    RemoteEngine(spec, server.url + path, retry_policy=QUICK).close()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://host:99999",
        "http://[::1",
        "http://a\x00b",
        "http://host/\udcff",
        f"http://{'ü' * 80}",
        "http://me:12/word@host",
        "http://me:12?word@host",
        "http://me:12#word@host",
    ],
)
def test_a_malformed_address_is_an_error(spec: ModelSpec, url: str) -> None:
    """A malformed address is an error before anything is sent."""
    with pytest.raises(EngineError, match="--engine: ") as raised:
        RemoteEngine(spec, url)
    assert "word@" not in str(raised.value)


def test_a_missing_server_is_an_error_at_once(spec: ModelSpec) -> None:
    """A missing server is an error at once, which hides the address's password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(EngineError, match=r"no answer .*Check the address") as raised:
            RemoteEngine(spec, f"http://me:word@127.0.0.1:{port}")
        assert time.monotonic() - started < RetryPolicy().total_s
        assert str(raised.value).startswith(f"http://127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (
            make_status_fault(404),
            "404 too busy. Give the address of a server started with: vllm serve",
        ),
        (
            make_status_fault(307, {"Location": "https://elsewhere/"}),
            "It redirects to https://elsewhere/",
        ),
        (
            lambda handler: handler.send_answer(200, b"<html>hello"),
            "the answer is not JSON. Check that a vLLM",
        ),
        (lambda handler: handler.send_answer(200, {"data": [1]}), "no list of models"),
        (lambda handler: handler.send_answer(418, b"\xff\xfe teapot"), "418 "),
    ],
)
def test_a_server_other_than_vllm_is_an_error(
    server: FakeVllmServer, spec: ModelSpec, trouble: FaultHandler, message: str
) -> None:
    """A server other than vLLM is recognized by its answer; the error is one line."""
    server.permanent_fault = trouble
    with pytest.raises(EngineError) as raised:
        RemoteEngine(spec, server.url, retry_policy=QUICK)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_refuses_pictures(server: FakeVllmServer, spec: ModelSpec) -> None:
    """A missing option of the server is an error at the start, with the right command."""
    server.faults.append(
        lambda handler: handler.send_answer(
            400, {"error": {"message": "--trust-request-chat-template is not set"}}
        )
    )
    vlm = replace(spec, placeholder="<image>")
    with pytest.raises(
        ModelError, match=r"is not set\. Start the server with: vllm serve .*-template"
    ):
        RemoteEngine(vlm, server.url, retry_policy=QUICK)


def test_padded_texts(server: FakeVllmServer, spec: ModelSpec) -> None:
    """The server pads SigLIP's texts; a server that does not pad them is an error."""
    siglip = replace(spec, pad_text=True)
    engine = RemoteEngine(siglip, server.url, retry_policy=QUICK)
    server.request_bodies.clear()
    engine.embed([EngineInput("red"), EngineInput("blue"), picture(1)])
    engine.close()
    assert {body.get("padding"): "input" in body for body in server.request_bodies} == {
        "max_length": True, None: False,
    }  # fmt: skip
    server.tokens_per_prompt = 7
    with pytest.raises(ModelError, match="needs texts padded to 32 tokens"):
        RemoteEngine(siglip, server.url, retry_policy=QUICK)


def test_the_server_counts_tokens(engine: RemoteEngine) -> None:
    """The server's tokenizer counts, including added tokens."""
    assert engine.count_tokens("a red boat") == 5


def test_closing(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """An engine can be closed twice; a thread that waits for the server gets an error."""
    engine._client._retry_policy = RetryPolicy()
    asked, busy = threading.Event(), make_status_fault(429, {"Retry-After": "30"})

    def answer_busy(handler: FakeVllmHandler) -> None:
        asked.set()
        busy(handler)

    server.permanent_fault = answer_busy
    errors: list[BaseException] = []

    def embed() -> None:
        try:
            engine.embed([EngineInput("red")])
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=embed)
    thread.start()
    assert asked.wait(120)
    engine.close()
    engine.close()
    thread.join(25)  # less than the 30 s that the server asks for
    assert [type(error) for error in errors] == [EngineError]


@pytest.mark.parametrize("name", ["e5-v", "vlm2vec", "qwen3-vl-embedding-2b"])
def test_the_chat_template_keeps_prompts_exactly(name: str) -> None:
    """The chat template renders our prompt exactly, from a string or a list of parts."""
    jinja2 = pytest.importorskip("jinja2", reason="jinja2 comes with vLLM")
    spec = MODELS[name]
    prompts = [make_document_prompt(spec)]
    if "text+image" in spec.modalities:
        prompts.append(make_query_prompt(spec, "text+image", 'a {{ boat }} {% in %} <b>\n"it\'s"'))
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(
        RAW_CHAT_TEMPLATE
    )
    for prompt in prompts:
        parts = [{"type": "image"}, {"type": "text", "text": prompt}]
        for content in (prompt, parts):
            assert template.render(messages=[{"role": "user", "content": content}]) == prompt


def test_the_command_that_serves_a_model() -> None:
    """The command is complete for every family: revision, pooling, code, request options."""
    assert build_serve_command(MODELS["clip-vit-b-32"]).startswith(
        "vllm serve openai/clip-vit-base-patch32 --runner pooling "
    )
    assert "--revision 3d74acf9" in build_serve_command(MODELS["clip-vit-b-32"])
    command = build_serve_command(MODELS["vlm2vec"])
    for part in (
        "--trust-remote-code",
        "--trust-request-chat-template",
        "--max-model-len 4096",
        "--trust-request-mm-kwargs",
        """--pooler-config '{"seq_pooling_type": "LAST"}'""",
    ):
        assert part in command  # fmt: skip


def test_importing_it_is_cheap() -> None:
    """The import loads neither httpx nor Pillow nor larger libraries."""
    code = (
        "import sys, searchapp.engines.remote; "
        "print([m for m in ('httpx', 'PIL', 'torch', 'vllm', 'faiss') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
