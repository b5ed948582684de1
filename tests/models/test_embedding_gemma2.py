"""EmbeddingGemma 2: prompts, dimensions and number formats."""

import pytest

from searchapp.engines import vllm_settings
from searchapp.engines.remote import build_serve_command
from searchapp.models import make_document_prompt, make_query_prompt, resolve_model
from searchapp.types import ModelOptions


def test_prompts_are_those_of_the_published_results() -> None:
    """A text has the prompt of a search; a picture has no prompt, alone or with a text."""
    spec = resolve_model("embeddinggemma-2")
    assert make_document_prompt(spec) == "<|image|>"
    assert {kind: make_query_prompt(spec, kind, " a red boat ") for kind in spec.modalities} == {
        "text": "task: search result | query: a red boat",
        "image": "<|image|>",
        "text+image": "<|image|>a red boat",
    }


@pytest.mark.parametrize("dimensions", [768, 512, 256, 128])
def test_vectors_can_be_cut_as_in_training(dimensions: int) -> None:
    spec = resolve_model("embeddinggemma-2", ModelOptions(dimensions=dimensions))
    assert (spec.dimensions, spec.pooling) == (dimensions, "MEAN")


def test_the_model_is_never_computed_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, vLLM would choose float16 for weights in float32, and on GPUs before Ampere."""
    spec = resolve_model("embeddinggemma-2")
    monkeypatch.setattr(vllm_settings, "has_gpu", lambda: True)
    assert vllm_settings.make_device_arguments(spec, bulk=False)["dtype"] == "bfloat16"
    assert "--dtype bfloat16" in build_serve_command(spec)
    other = resolve_model("qwen3-vl-embedding-2b")
    assert "dtype" not in vllm_settings.make_device_arguments(other, bulk=False)
    assert "--dtype" not in build_serve_command(other)
    monkeypatch.setattr(vllm_settings, "has_gpu", lambda: False)
    assert vllm_settings.make_device_arguments(spec, bulk=False)["dtype"] in ("bfloat16", "float32")
