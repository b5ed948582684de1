"""The remote engine: against a server that plays vLLM, and against `vllm serve` itself."""

from __future__ import annotations

import base64
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from checkpoints import make_clip, make_siglip
from conftest import Run
from PIL import Image

from searchapp.engines import EngineInput, Refusal
from searchapp.engines.remote import RemoteEngine
from searchapp.errors import EngineError, ModelError
from searchapp.models import ModelSpec, resolve

Answer = tuple[int, dict[str, str], bytes]


class Player:
    """Plays vLLM: a text's vector tells its number, a picture's its red."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.script: list[Callable[[], Answer | None]] = []  # what to do instead, once each
        self.requests: list[dict[str, Any]] = []
        self.flying = self.most = 0
        self.lock = threading.Lock()
        self.models = [{"id": spec.source, "root": spec.source}]

    def answer(self, path: str, body: dict[str, Any]) -> Answer | None:
        with self.lock:
            self.requests.append(body)
            special = self.script.pop(0) if self.script else None
        if special:
            return special()
        if path == "/v1/models":
            return ok({"data": self.models})
        if path == "/tokenize":
            return ok({"count": len(body["prompt"].split()) + 2})
        if "bad" in str(body.get("input")):
            return 400, {}, json.dumps({"error": {"message": "a bad text"}}).encode()
        if "messages" in body:
            uri = body["messages"][0]["content"][0]["image_url"]["url"]
            data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
            import io

            numbers = [Image.open(io.BytesIO(data)).getpixel((0, 0))[0]]  # type: ignore[index]
        else:
            numbers = [int(text) for text in body["input"]]
        with self.lock:
            self.flying += 1
            self.most = max(self.most, self.flying)
        time.sleep(0.02)
        with self.lock:
            self.flying -= 1
        return ok(embeddings([self.vector(number) for number in numbers]))

    def vector(self, number: int) -> np.ndarray:
        vector = np.zeros(self.spec.dimensions, dtype=np.float32)
        vector[:2] = np.cos(number / 100), np.sin(number / 100)
        return vector


def ok(body: Any) -> Answer:
    return 200, {}, json.dumps(body).encode()


def embeddings(vectors: list[np.ndarray]) -> dict[str, Any]:
    data = [
        {"index": i, "embedding": base64.b64encode(v.astype("<f4").tobytes()).decode()}
        for i, v in enumerate(vectors)
    ]
    return {"data": data[::-1], "usage": {"prompt_tokens": 32}}


@pytest.fixture
def spec(model: Path) -> ModelSpec:
    return resolve(str(model))


@pytest.fixture
def player(spec: ModelSpec) -> Player:
    return Player(spec)


@pytest.fixture
def url(player: Player) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = player.answer(self.path, json.loads(body or b"{}"))
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def engine(spec: ModelSpec, url: str) -> Iterator[RemoteEngine]:
    engine = RemoteEngine(spec, url, patience=3)
    yield engine
    engine.close()


def shade(red: int) -> EngineInput:
    return EngineInput("", Image.new("RGB", (8, 8), (red, 0, 0)))


def test_order_is_kept_over_many_requests_at_once(engine: RemoteEngine, player: Player) -> None:
    """Texts in batches and pictures one by one, several under way: each gets its own vector."""
    inputs = [shade(n) if n % 3 == 0 else EngineInput(str(n)) for n in range(240)]
    for number, output in enumerate(engine.embed(inputs)):
        assert not isinstance(output, Refusal)
        assert np.allclose(output, player.vector(number), atol=1e-6)
    assert 2 < player.most <= 8


def test_one_bad_input_costs_no_other(engine: RemoteEngine) -> None:
    """A refused request is halved until the bad one stands alone, with the server's reason."""
    inputs = [EngineInput(text) for text in ("1", "2", "bad", "4")]
    outputs = engine.embed([*inputs, replace(shade(5), prompt="both")])
    assert [isinstance(output, Refusal) for output in outputs] == [False, False, True, False, True]
    assert outputs[2].reason == "a bad text"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "trouble",
    [
        lambda: (429, {"Retry-After": "0.2"}, b""),
        lambda: (503, {}, b"loading"),
        lambda: (500, {}, b"{}"),
        lambda: None,
    ],
)
def test_trouble_that_passes_is_waited_out(
    engine: RemoteEngine, player: Player, trouble: Callable[[], Answer | None]
) -> None:
    """Too many requests, a server that restarts, a connection that drops."""
    player.script = [trouble, trouble]
    (output,) = engine.embed([EngineInput("7")])
    assert np.allclose(output, player.vector(7), atol=1e-6)  # type: ignore[arg-type]


def test_trouble_that_stays_ends_the_work(engine: RemoteEngine, player: Player) -> None:
    """After a bounded time, with what was seen."""
    player.script = [lambda: (503, {}, b"loading")] * 50
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"answers 503: loading, for 3 s now; is `vllm serve`"):
        engine.embed([EngineInput("7")])
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "garbage",
    [b"<html>", b"[]", b"{}", b'{"data": [{"index": 0, "embedding": "!"}]}',
     b'{"data": [{"index": 1, "embedding": "AAAA"}]}', b'{"data": 3}'],
)  # fmt: skip
def test_garbage_never_becomes_a_vector(
    engine: RemoteEngine, player: Player, garbage: bytes
) -> None:
    """What no vLLM server answers ends the work."""
    player.script = [lambda: (200, {}, garbage)]
    with pytest.raises(EngineError, match="answers"):
        engine.embed([EngineInput("7")])


@pytest.mark.parametrize("numbers", [[np.nan] * 48, [0.0] * 48, [1.0] * 47, [np.inf] * 48])
def test_useless_vectors_are_refused(
    engine: RemoteEngine, player: Player, numbers: list[float]
) -> None:
    """Not a number, nothing, too short: refused with the reason."""
    player.script = [lambda: ok(embeddings([np.array(numbers)]))]
    (output,) = engine.embed([EngineInput("7")])
    assert isinstance(output, Refusal)


def test_tokens_are_counted_by_the_server(engine: RemoteEngine) -> None:
    """So that a text that is too long is told before it is sent."""
    assert engine.count_tokens("one two three") == 5


def test_the_servers_model_must_be_ours(spec: ModelSpec, url: str, player: Player) -> None:
    """Its id, its root or its folder's name says so; otherwise both are named."""
    for served in ({"id": "any", "root": spec.source}, {"id": "/elsewhere/fake-clip"}):
        player.models = [served]
        RemoteEngine(spec, url).close()
    player.models = [{"id": "llama"}]
    with pytest.raises(ModelError, match=r"serves llama, not .*fake-clip; start it with `vllm ser"):
        RemoteEngine(spec, url)


def test_a_server_that_cannot_pad_is_refused(spec: ModelSpec, url: str, player: Player) -> None:
    """An unpadded SigLIP text would give a wrong vector, silently."""
    padding = replace(spec, pad_text=True)
    with pytest.raises(ModelError, match="does not pad texts"):
        player.script = [lambda: ok({"data": player.models}), lambda: ok({"usage": {
            "prompt_tokens": 3}})]  # fmt: skip
        RemoteEngine(padding, url)
    player.script = [lambda: ok({"data": player.models}), lambda: ok({"usage": {
        "prompt_tokens": 32}})]  # fmt: skip
    engine = RemoteEngine(padding, url)
    engine.embed([EngineInput("7")])
    assert player.requests[-1]["padding"] == "max_length"


def test_mistakes_are_told(spec: ModelSpec, url: str, player: Player) -> None:
    """A wrong key, a wrong address, nobody there, a model that cannot be used so."""
    player.script = [lambda: (401, {}, b"")]
    with pytest.raises(EngineError, match="wants another --api-key"):
        RemoteEngine(spec, url, api_key="wrong")
    player.script = [lambda: (404, {}, b"")]
    with pytest.raises(EngineError, match="is it a vLLM server"):
        RemoteEngine(spec, url)
    with pytest.raises(EngineError, match=r"cannot be reached .*is `vllm serve` running there"):
        RemoteEngine(spec, "http://127.0.0.1:9", patience=0.5)
    with pytest.raises(ModelError, match="e5-v cannot be used by --engine"):
        RemoteEngine(resolve("e5-v"), url)


def server_of(folder: Path, tmp: Path) -> Iterator[str]:
    """Run `vllm serve`, whose CPU build wants to know its own version."""
    known = tmp / "site" / "vllm-0.32.0.dist-info"
    known.mkdir(parents=True)
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(tmp / "site"),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
    }
    # In every process of the server, before it imports torchvision: see mend.
    (tmp / "site" / "sitecustomize.py").write_text(
        "from searchapp.engines.mend import mend_torchvision\nmend_torchvision()\n"
    )
    with (tmp / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(folder),
             "--runner", "pooling", "--port", str(port), "--dtype", "float32",
             "--enforce-eager", "--limit-mm-per-prompt", '{"image": 1}'],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        for _ in range(1500):
            if process.poll() is not None:
                pytest.fail((tmp / "log").read_text()[-3000:])
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture(scope="module", params=[make_clip, make_siglip], ids=["clip", "siglip"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """A tiny checkpoint and the URL of a real vLLM server of it."""
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'searchapp[cpu]'")
    from searchapp.engines.mend import mend_torchvision

    mend_torchvision()
    tmp = tmp_path_factory.mktemp("served")
    folder = request.param(tmp / "tiny-model")
    for url in server_of(folder, tmp):
        yield folder, url


@pytest.mark.vllm
def test_a_real_server_equals_the_local_engine(served: tuple[Path, str]) -> None:
    """The same vectors by HTTP as in this process, texts and pictures; and by OpenAI's client."""
    from openai import OpenAI

    from searchapp.engines.local import LocalEngine

    folder, url = served
    spec = replace(resolve(str(folder)), engine_arguments={"dtype": "float32"})
    rng = np.random.default_rng(0)
    inputs = [EngineInput(text) for text in ("dog", "a red boat", "two white sheep on a tree")]
    for size in ((64, 64), (85, 64), (64, 96)):
        pixels = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        inputs.append(EngineInput("", Image.fromarray(pixels)))
    if spec.image.fit == "squash":
        inputs[3:] = [EngineInput("", i.image.resize((64, 64))) for i in inputs[3:] if i.image]
    remote, local = RemoteEngine(spec, url), LocalEngine(spec)
    outputs, expected = remote.embed([*inputs, EngineInput("dog " * 99)]), local.embed(inputs)
    local.close()
    for output, other in zip(outputs, expected, strict=False):
        assert not isinstance(output, Refusal) and not isinstance(other, Refusal)
        assert 1 - float(output @ other) < 1e-3
    assert isinstance(outputs[-1], Refusal)
    assert "maximum context length" in outputs[-1].reason
    assert remote.count_tokens("a red boat") == len(
        __import__("transformers").AutoTokenizer.from_pretrained(folder)("a red boat")["input_ids"]
    )
    client = OpenAI(base_url=f"{url}/v1", api_key="none")
    extra = {"padding": "max_length"} if spec.pad_text else {}
    answer = client.embeddings.create(model=str(folder), input="a red boat", extra_body=extra)
    vector = np.array(answer.data[0].embedding)
    assert 1 - float(vector @ outputs[1] / np.linalg.norm(vector)) < 1e-3
    remote.close()


@pytest.mark.vllm
def test_the_command_line_uses_a_real_server(
    served: tuple[Path, str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Index and query with --engine, and neither starts an engine here."""
    from searchapp import engines

    folder, url = served
    monkeypatch.setattr(engines, "start_engine", START)
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    result = run("index", tmp_path, "--model", folder, "--engine", url)
    assert "5 added" in result.stderr
    result = run("query", "--image", tmp_path / "3.png", "--engine", url, "--json", "-k", 1)
    (hit,) = json.loads(result.stdout)
    assert hit["path"] == str(tmp_path / "3.png")
    assert hit["score"] > 0.999


from searchapp.engines import start_engine as START  # noqa: E402 (before any test patches it)
