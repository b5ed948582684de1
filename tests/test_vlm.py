"""Vision-language models on the real vLLM, tiny and with random weights, against transformers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints_vlm import make_llava_next, make_qwen3_vl
from PIL import Image

from searchapp import images, querying
from searchapp.engines import EngineInput, Refusal, Vector
from searchapp.errors import QueryError
from searchapp.models import ModelSpec, document_prompt, prompt_for, resolve
from searchapp.types import ModelOptions, Query

pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'searchapp[cpu]'")
from searchapp.engines.local import LocalEngine
from searchapp.engines.mend import mend_torchvision

mend_torchvision()
pytestmark = pytest.mark.vllm
FAMILIES = {"qwen3_vl": make_qwen3_vl, "llava_next": make_llava_next}
SIZES = [(160, 120), (120, 170), (96, 96), (300, 90)]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FAMILIES[request.param](tmp_path_factory.mktemp("models") / request.param)


def spec_of(folder: Path, options: ModelOptions = ModelOptions()) -> ModelSpec:
    """The model, in the numbers that transformers computes with."""
    spec = resolve(str(folder), options)
    return replace(spec, engine_arguments={**spec.engine_arguments, "dtype": "float32"})


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(spec_of(folder))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def reference(folder: Path, engine: LocalEngine) -> Any:
    """The last token's last hidden state in plain transformers, of length one."""
    import torch
    from transformers import (
        AutoModelForImageTextToText,
        AutoProcessor,
        LlavaNextForConditionalGeneration,
    )

    if "llava" in folder.name:
        # As vLLM's names are, so transformers wants its own back.
        from safetensors.torch import load_file

        model: Any = LlavaNextForConditionalGeneration(
            LlavaNextForConditionalGeneration.config_class.from_pretrained(folder)
        )
        weights = {
            name.replace("vision_tower.vision_model.", "vision_tower."): value
            for name, value in load_file(folder / "model.safetensors").items()
        }
        known = model.state_dict()
        fitting = {_their_name(n, known): v for n, v in weights.items()}
        missing, unexpected = model.load_state_dict(fitting, strict=False)
        assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    else:
        model = AutoModelForImageTextToText.from_pretrained(folder)
    model = model.eval()
    processor = AutoProcessor.from_pretrained(folder)
    limits = engine.spec.engine_arguments.get("mm_processor_kwargs", {})

    @torch.inference_mode()
    def embed(item: EngineInput) -> Vector:
        pictures = None if item.image is None else [item.image]
        extra = {"images_kwargs": limits} if limits and pictures else {}
        inputs = processor(text=[item.prompt], images=pictures, return_tensors="pt", **extra)
        hidden = model(**inputs, output_hidden_states=True).hidden_states[-1][0, -1].numpy()
        return hidden / np.linalg.norm(hidden)  # type: ignore[no-any-return]

    return embed


def _their_name(name: str, known: dict[str, Any]) -> str:
    """Find a weight by its end among the names of a model in memory."""
    plain = name.removeprefix("model.")
    for candidate in (name, plain, f"model.{plain}"):
        if candidate in known:
            return candidate
    ends = [other for other in known if other.endswith(plain.removeprefix("language_model."))]
    return ends[0] if len(ends) == 1 else name


def picture(size: tuple[int, int], seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def inputs_of(spec: ModelSpec) -> list[EngineInput]:
    """Every kind of question the model takes, and documents of several shapes."""
    inputs = [
        EngineInput(document_prompt(spec), images.prepare(picture(size, seed), spec.image).image)
        for seed, size in enumerate(SIZES)
    ]
    for text in ("dog", "two white sheep on a red house"):
        inputs.append(EngineInput(prompt_for(spec, "text", text)))
        if "text+image" in spec.modalities:
            query = Query(text, "the picture")
            inputs.append(querying.engine_input(spec, query, picture((128, 96), 9)))
    inputs.append(querying.engine_input(spec, Query(image="it"), picture((90, 150), 7)))
    return inputs


def vector_of(output: Vector | Refusal) -> Vector:
    assert not isinstance(output, Refusal), output.reason
    return output


def test_every_modality_equals_transformers(engine: LocalEngine, reference: Any) -> None:
    """In one mixed batch and alone: documents, texts, pictures, and both where the model can."""
    inputs = inputs_of(engine.spec)
    together = [vector_of(output) for output in engine.embed(inputs)]
    for item, vector in zip(inputs, together, strict=True):
        (alone,) = engine.embed([item])
        assert float(vector_of(alone) @ vector) > 0.9999
        assert float(vector @ reference(item)) > 0.999, item.prompt
    alike = np.stack(together) @ np.stack(together).T
    assert (alike[np.triu_indices(len(inputs), 1)] < 0.9999).sum() > len(inputs)


def test_options_reach_the_model(folder: Path, engine: LocalEngine) -> None:
    """Another instruction is another vector; fewer dimensions are the first ones, at length one."""
    if not engine.spec.matryoshka:
        pytest.skip("the family has no such options")
    item = EngineInput(prompt_for(engine.spec, "text", "dog"))
    (whole,) = engine.embed([item])
    cut = spec_of(folder, ModelOptions(dimensions=16, instruction="Find dogs."))
    other = EngineInput(prompt_for(cut, "text", "dog"))
    assert "Find dogs." in other.prompt
    (different,) = engine.embed([other])
    assert float(vector_of(whole) @ vector_of(different)) < 0.9999
    short = engine.__class__.__new__(engine.__class__)
    short.__dict__ = {**engine.__dict__, "_spec": cut}
    (kept,) = short.embed([other])
    expected = vector_of(different)[:16]
    assert np.allclose(vector_of(kept), expected / np.linalg.norm(expected), atol=1e-6)


def test_a_text_that_is_too_long(engine: LocalEngine) -> None:
    """The limit and the length are told; cut, the model takes it, its template whole."""
    long = Query("a red boat and two white sheep " * 200)
    with pytest.raises(QueryError, match=rf"takes {engine.spec.text_limit}; shorten it"):
        querying.shortened(engine, long, truncate=False)
    short = querying.shortened(engine, long, truncate=True)
    item = querying.engine_input(engine.spec, short)
    (output,) = engine.embed([item])
    assert vector_of(output).shape == (engine.spec.dimensions,)
    _, end = (engine.spec.prompts.text or "").split("{text}")
    assert item.prompt.endswith(end)
