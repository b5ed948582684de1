"""Rerankers without a model: prompts, names, memory, and a simulated vLLM server."""

import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.vllm_server import FakeVllmServer, make_status_fault

from searchapp.engines import Refusal, machine
from searchapp.engines.http_requests import RetryPolicy
from searchapp.engines.remote_reranker import RemoteReranker, build_rerank_command
from searchapp.engines.reranker import RerankQuestion
from searchapp.engines.start_reranker import start_reranker
from searchapp.errors import EngineError, ModelError, QueryError
from searchapp.models import resolve_model
from searchapp.models.qwen3_vl_reranker import (
    CHAT_TEMPLATE,
    DEFAULT_RERANKER,
    RERANKERS,
    make_rerank_prompt,
    resolve_reranker,
)

SPEC = RERANKERS[DEFAULT_RERANKER]
RED, GREEN, BLUE = (Image.new("RGB", (64, 48), color) for color in ("red", "green", "blue"))
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"


def test_the_prompt_is_the_one_of_the_model() -> None:
    """Compared with a prompt that was written from the script of the model's repository."""
    assert make_rerank_prompt(" a red boat ", has_picture=True) == (
        "<|im_start|>system\n"
        "Judge whether the Document meets the requirements based on the Query and the Instruct "
        'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
        "<|im_start|>user\n"
        "<Instruct>: Given a search query, retrieve relevant candidates that answer the query."
        f"<Query>:{PICTURE}a red boat\n<Document>:{PICTURE}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("text", ["a red boat", "{{ 7 * 7 }} {document} \\n 'x'"])
@pytest.mark.parametrize("has_picture", [False, True])
def test_the_chat_template_fills_the_same_prompt(text: str, has_picture: bool) -> None:
    """Rendered as transformers renders a chat template."""
    sandbox = pytest.importorskip("jinja2.sandbox", reason="Jinja comes with vLLM.")
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    question = (PICTURE if has_picture else "") + text
    messages = [{"role": "query", "content": question}, {"role": "document", "content": PICTURE}]
    rendered = environment.from_string(CHAT_TEMPLATE).render(messages=messages)
    assert rendered == make_rerank_prompt(text, has_picture=has_picture)


def test_names_and_repositories_of_rerankers() -> None:
    """A reranker has the names that an embedding model would have."""
    assert resolve_reranker("Qwen3_VL_Reranker_2B") is SPEC
    assert resolve_reranker("Qwen/Qwen3-VL-Reranker-8B").name == "qwen3-vl-reranker-8b"
    for name in ("clip-vit-b-32", "./nowhere"):
        with pytest.raises(ModelError, match=r"there is no .*use qwen3-vl-reranker-2b or"):
            resolve_reranker(name)


def test_an_embedding_model_is_no_reranker(model: Path) -> None:
    """The folder of a CLIP model is refused."""
    with pytest.raises(ModelError, match="CLIPModel is no reranker"):
        resolve_reranker(str(model))


@pytest.mark.parametrize("has_gpu", [False, True])
def test_too_little_memory_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, has_gpu: bool
) -> None:
    """Nothing is loaded or downloaded; the message says what would help."""
    gpus = [machine.Gpu("0", 5000)] if has_gpu else []
    monkeypatch.setattr(machine, "list_gpus", lambda: gpus)
    monkeypatch.setattr(machine, "read_free_memory_mib", lambda: 5000)
    monkeypatch.setattr("searchapp.engines.start_reranker.has_gpu", lambda: has_gpu)
    kind = "GPU memory" if has_gpu else "memory"
    with pytest.raises(EngineError, match=rf"MiB of {kind}, and 5,000 MiB are free\. Use a small"):
        start_reranker()


@pytest.mark.parametrize("name", ["qwen3-vl-reranker-2b", "Qwen/Qwen3-VL-Reranker-8B"])
def test_a_reranker_is_no_embedding_model(name: str) -> None:
    """`searchapp models` lists both, so the message says which option takes it."""
    with pytest.raises(ModelError, match=f"{name} is a reranker; .* with --reranker"):
        resolve_model(name)


@contextmanager
def serve(**attributes: Any) -> Iterator[FakeVllmServer]:
    """Run a simulated vLLM server with the reranker."""
    server = FakeVllmServer(SPEC)
    for name, value in attributes.items():
        setattr(server, name, value)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    "question", [RerankQuestion("blue"), RerankQuestion(None, BLUE), RerankQuestion("blue", RED)]
)
def test_a_server_scores_in_the_order_of_the_pictures(question: RerankQuestion) -> None:
    """The answer can have another order; the question reaches the server completely."""
    with serve() as server:
        remote = start_reranker(server.url)
        expected = server.fake_reranker.score(RerankQuestion("blue"), [RED, BLUE, GREEN])
        server.fake_reranker.questions.clear()
        assert remote.score(question, [RED, BLUE, GREEN]) == pytest.approx(expected)
        asked = server.fake_reranker.questions[0]
        assert asked.text == question.text
        assert (asked.image is None) == (question.image is None)
        with pytest.raises(QueryError, match="stands for a picture"):
            remote.score(RerankQuestion("<|image_pad|>"), [RED])
        remote.close()


def test_a_picture_that_the_server_refuses_costs_no_other() -> None:
    """Only this picture has no score."""
    with serve() as server:
        server.fake_reranker.refused_color = (0, 0, 255)
        remote = start_reranker(server.url)
        scores = remote.score(RerankQuestion("red"), [RED, BLUE, GREEN])
        assert [isinstance(score, Refusal) for score in scores] == [False, True, False]
        remote.close()


def test_a_server_without_the_chat_template_is_refused() -> None:
    """Its scores would be near 0.5; the message has the command that starts it right."""
    with serve(has_rerank_template=False) as server:
        with pytest.raises(ModelError, match="without its chat template") as raised:
            start_reranker(server.url)
        assert str(raised.value).endswith(build_rerank_command(SPEC))
    words = shlex.split(build_rerank_command(SPEC))
    assert words[words.index("--chat-template") + 1] == CHAT_TEMPLATE


def test_the_server_of_the_embedder_must_serve_the_reranker() -> None:
    """With --engine alone, another model is refused; a server of --reranker has any model."""
    models = [{"id": "clip", "root": "openai/clip"}]
    with serve(models=models) as server:
        with pytest.raises(ModelError, match=r"serves clip, not qwen3-vl-reranker-2b"):
            start_reranker(url=server.url)
        start_reranker(server.url).close()
    with serve(models=[]) as server, pytest.raises(ModelError, match="serves no model"):
        start_reranker(server.url)


def test_a_server_that_fails_is_an_error() -> None:
    """A status that does not pass, and an answer without scores."""
    policy = RetryPolicy(total_s=0.2, first_pause_s=0.01)
    with serve() as server:
        remote = RemoteReranker(SPEC, server.url, retry_policy=policy)
        server.permanent_fault = make_status_fault(503)
        with pytest.raises(EngineError, match="failed"):
            remote.score(RerankQuestion("red"), [RED])
        for answer in ({"data": []}, {"data": [{"index": 0, "score": 7}]}, []):
            server.permanent_fault = lambda handler, answer=answer: handler.send_answer(200, answer)  # type: ignore[misc]
            with pytest.raises(EngineError, match="returned no valid scores"):
                remote.score(RerankQuestion("red"), [RED])
        remote.close()
