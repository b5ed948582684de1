"""The engine over HTTP with the real `vllm serve` on the CPU, in processes of their own.

A server takes 50 s of a core. test_vllm_requests.py checks the requests in this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.effort import needs_effort
from support.real_vllm import VLLM_MARKS, start_exact_engine
from support.tiny_checkpoints import make_clip, make_siglip
from support.vllm_process import serve_vllm

from searchapp.engines import EngineInput, Refusal
from searchapp.engines.remote import RemoteEngine
from searchapp.errors import EngineError, ModelError
from searchapp.models import ModelSpec, resolve_model
from searchapp.pictures import model_size

pytestmark = [*VLLM_MARKS, needs_effort]
KEY = "key-of-the-test"
OPTIONS = ["--runner", "pooling", "--api-key", KEY]
FAMILIES = {"siglip": make_siglip, "clip": make_clip}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[ModelSpec, str]]]:
    """Start a server for each family; return the spec and the address."""
    folder = tmp_path_factory.mktemp("served")
    models = {name: make(folder / f"tiny-{name}") for name, make in FAMILIES.items()}
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serve_vllm(folder / name, [str(model), *OPTIONS]))
            for name, model in models.items()
        }
        for server in servers.values():
            server.wait_until_up()
        yield {
            name: (resolve_model(str(models[name])), server.url) for name, server in servers.items()
        }
        for server in servers.values():  # they end side by side, too
            server.process.terminate()


def noise(width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_equal_the_local_engines(
    served: dict[str, tuple[ModelSpec, str]], family: str
) -> None:
    """Mixed inputs, some of them bad, get the same vectors from server and local engine."""
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
    local = start_exact_engine(spec)
    expected = local.embed(inputs)
    assert counts == [local.count_tokens(item.prompt) for item in inputs[:4]]
    assert [n for n, output in enumerate(outputs) if isinstance(output, Refusal)] == [5, 8]
    assert "maximum context length is 32 tokens" in outputs[5].reason  # type: ignore[union-attr]
    assert "not both" in outputs[8].reason  # type: ignore[union-attr]
    good = [n for n in range(len(inputs)) if n not in (5, 8)]
    for number in good:
        assert np.abs(np.subtract(outputs[number], expected[number])).max() < 1e-3
    # The vectors of different inputs differ more than this tolerance, so the test can fail.
    assert np.abs(np.subtract(outputs[1], outputs[3])).max() > 1e-2
    assert np.abs(np.subtract(outputs[0], outputs[2])).max() > 1e-2


def test_the_openai_client_gets_the_same_vector(
    served: dict[str, tuple[ModelSpec, str]],
) -> None:
    """The usual client of such a server reads the same vector."""
    openai = pytest.importorskip("openai", reason="the openai client comes with vLLM")
    spec, url = served["siglip"]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    answer = client.embeddings.create(
        model=spec.source, input=["a red boat"], extra_body={"padding": "max_length"}
    )
    theirs = np.asarray(answer.data[0].embedding, dtype=np.float32)
    engine = RemoteEngine(spec, url, api_key=KEY)
    (ours,) = engine.embed([EngineInput("a red boat")])
    engine.close()
    assert not isinstance(ours, Refusal)
    assert np.abs(theirs / np.linalg.norm(theirs) - ours).max() < 1e-6


def test_the_real_server_rejects_key_and_model(
    served: dict[str, tuple[ModelSpec, str]], tmp_path: Path
) -> None:
    """The real server rejects a missing key and another model as the simulated one does."""
    siglip, url = served["siglip"]
    with pytest.raises(EngineError, match=r"401 Unauthorized\. It requires a key"):
        RemoteEngine(siglip, url)
    other = resolve_model(str(make_clip(tmp_path / "tiny-clip")))
    with pytest.raises(ModelError, match=r"serves .*tiny-siglip, not .*tiny-clip"):
        RemoteEngine(other, url, api_key=KEY)


def test_index_and_query_over_the_command_line(
    served: dict[str, tuple[ModelSpec, str]], tmp_path: Path
) -> None:
    """`--engine URL --api-key KEY` indexes and searches without vLLM in these processes."""
    spec, url = served["siglip"]
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
