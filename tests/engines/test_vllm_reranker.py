"""The real vLLM on the CPU with a tiny reranker of random weights, compared with transformers."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.effort import needs_effort
from support.real_vllm import VLLM_MARKS, make_exact
from support.tiny_vlm_checkpoints import make_qwen3_vl
from support.vllm_process import serve_vllm

from searchapp.engines.local import LocalEngine
from searchapp.engines.local_reranker import LocalReranker
from searchapp.engines.remote import encode_picture_url
from searchapp.engines.remote_reranker import build_rerank_command
from searchapp.engines.reranker import RerankQuestion
from searchapp.engines.start_reranker import start_reranker
from searchapp.errors import ModelError
from searchapp.models import EngineInput, resolve_model
from searchapp.models.qwen3_vl_reranker import (
    CHAT_TEMPLATE,
    make_rerank_prompt,
    resolve_reranker,
)

pytestmark = VLLM_MARKS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_qwen3_vl(tmp_path_factory.mktemp("models") / "reranker", words=("yes", "no"))


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that is started with the documented command."""
    command = shlex.split(build_rerank_command(resolve_reranker(str(folder))))
    assert command[:2] == ["vllm", "serve"]
    with serve_vllm(tmp_path_factory.mktemp("served"), command[2:]) as server:
        server.wait_until_up()
        yield server.url


@pytest.fixture(scope="module")
def reranker(folder: Path) -> LocalReranker:
    """The tiny reranker with transformers' number format, float32."""
    return LocalReranker(make_exact(resolve_reranker(str(folder))))


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    """Return a function that computes transformers' softmax over the answers no and yes."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    answers = processor.tokenizer.convert_tokens_to_ids(["no", "yes"])
    options = resolve_reranker(str(folder)).engine_arguments["mm_processor_kwargs"]

    @torch.inference_mode()
    def compute(question: RerankQuestion, picture: Image.Image) -> float:
        prompt = make_rerank_prompt(question.text, has_picture=question.image is not None)
        images = [each for each in (question.image, picture) if each is not None]
        inputs = processor(text=[prompt], images=images, images_kwargs=options, return_tensors="pt")
        return float(model(**inputs).logits[0, -1, answers].softmax(0)[1])

    return compute


def noise(width: int, height: int, seed: int) -> Image.Image:
    """Return a picture with structure at every scale."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


QUESTIONS = {
    "text": RerankQuestion("a red boat"),
    "image": RerankQuestion(None, noise(100, 60, 7)),
    "text+image": RerankQuestion("a red boat", noise(64, 64, 8)),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_scores_equal_transformers(
    reranker: LocalReranker, reference: Any, question: RerankQuestion
) -> None:
    """Every kind of question, with pictures of several sizes in one call."""
    pictures = [noise(40, 30, 0), noise(200, 150, 1), noise(96, 160, 2)]
    scores = reranker.score(question, pictures)
    expected = [reference(question, picture) for picture in pictures]
    assert scores == pytest.approx(expected, abs=1e-3)
    assert max(expected) - min(expected) > 0.01  # else the comparison shows nothing


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_the_prompt_equals_the_rendered_chat_template(
    reranker: LocalReranker, question: RerankQuestion
) -> None:
    """The score() of vLLM with our chat template has the same tokens and result."""
    picture = noise(80, 60, 3)
    (score,) = reranker.score(question, [picture])
    images = [each for each in (question.image,) if each is not None]
    content: list[dict[str, Any]] = [_make_part(image) for image in images]
    content += [{"type": "text", "text": question.text}] if question.text else []
    llm = reranker._engine.llm
    (output,) = llm.score(
        {"content": content}, {"content": [_make_part(picture)]}, chat_template=CHAT_TEMPLATE,
        use_tqdm=False,
    )  # fmt: skip
    assert output.outputs.score == pytest.approx(score, abs=1e-4)
    prompt = make_rerank_prompt(question.text, has_picture=bool(images))
    item = EngineInput(prompt, picture, question.image)
    rendered = reranker._engine.prepare(item).rendered
    assert list(rendered["prompt_token_ids"]) == list(output.prompt_token_ids)


def _make_part(image: Image.Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": encode_picture_url(image)}}


def test_an_embedder_and_a_reranker_share_a_process(
    reranker: LocalReranker, reference: Any, folder: Path
) -> None:
    """Both answer in turn, and the reranker still does when the embedder is closed."""
    question, picture = QUESTIONS["text"], noise(40, 30, 4)
    expected = reference(question, picture)
    embedder = LocalEngine(resolve_model(str(folder)))
    prompt = embedder.spec.prompts.document.format(instruction="")
    for _ in range(2):
        (vector,) = embedder.embed([EngineInput(prompt, picture)])
        assert isinstance(vector, np.ndarray)
        assert reranker.score(question, [picture]) == pytest.approx([expected], abs=1e-3)
    embedder.close()
    assert reranker.score(question, [picture]) == pytest.approx([expected], abs=1e-3)


@needs_effort
def test_the_real_server_returns_the_same_scores(
    reranker: LocalReranker, served: str, folder: Path
) -> None:
    """Every kind of question; the server runs our chat template, and must have this model."""
    remote = start_reranker(str(folder), url=served)
    pictures = [noise(40, 30, 0), noise(200, 150, 1), noise(96, 160, 2)]
    for question in QUESTIONS.values():
        expected = reranker.score(question, pictures)
        assert remote.score(question, pictures) == pytest.approx(expected, abs=1e-3)
    remote.close()
    with pytest.raises(ModelError, match="not qwen3-vl-reranker-2b"):
        start_reranker(url=served)
