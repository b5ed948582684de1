"""Qwen2-VL models: prompts, names, the picture of a text, and LoRA weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.library import write_fake_clip

from searchapp.errors import ModelError
from searchapp.models import (
    MODELS,
    hub,
    make_document_prompt,
    make_query_prompt,
    make_text_input,
    resolve_model,
)
from searchapp.types import ModelOptions

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
ANSWER = "<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
USER = "<|im_start|>user\n"
PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
# The prompts as their sources make them: see the docstring of searchapp/models/qwen2_vl.py.
GME = {
    "document": SYSTEM + USER + PICTURE + ANSWER,
    "text": (
        "<|im_start|>system\nFind an image that matches the given text.<|im_end|>\n"
        + USER + "a red boat" + ANSWER
    ),
    "image": SYSTEM + USER + PICTURE + ANSWER,
    "text+image": SYSTEM + USER + PICTURE + "a red boat" + ANSWER,
}  # fmt: skip
OPS = GME | {"text": SYSTEM + USER + "a red boat" + ANSWER}
VLM2VEC = {
    "document": "<|image_pad|> Represent the given image.",
    "text": "Find me an everyday image that matches the given caption: a red boat",
    "image": "<|image_pad|> Find a day-to-day image that looks similar to the provided image.",
    "text+image": "<|image_pad|> Represent the given image with the following question: a red boat",
}
DSE = {
    "document": SYSTEM + USER + PICTURE + "What is shown in this image?" + ANSWER,
    "text": SYSTEM + USER + PICTURE + "Query: a red boat" + ANSWER,
    "image": SYSTEM + USER + PICTURE + "What is shown in this image?" + ANSWER,
}
PROMPTS = {
    "gme-qwen2-vl-2b": GME,
    "gme-qwen2-vl-7b": GME,
    "ops-mm-v1-2b": OPS,
    "ops-mm-v1-7b": OPS,
    "vlm2vec-qwen2vl-2b": VLM2VEC,
    "vlm2vec-v2": VLM2VEC,
    "dse-qwen2-2b": DSE,
}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_equal_those_of_their_sources(name: str) -> None:
    """Byte for byte, for an indexed picture and for every kind of query."""
    spec, expected = resolve_model(name), PROMPTS[name]
    assert make_document_prompt(spec) == expected["document"]
    made = {kind: make_query_prompt(spec, kind, " a red boat ") for kind in spec.modalities}
    assert made == {kind: prompt for kind, prompt in expected.items() if kind != "document"}


def test_the_instruction_of_gme_is_for_texts_only() -> None:
    """GME's documents always have the default instruction; those of Ops-MM have the user's."""
    options = ModelOptions(instruction="Find logos.")
    gme, ops = (resolve_model(name, options) for name in ("gme-qwen2-vl-2b", "ops-mm-v1-2b"))
    assert "system\nFind logos.<|im_end|>" in make_query_prompt(gme, "text", "cat")
    assert make_document_prompt(gme) == GME["document"]
    assert "system\nFind logos.<|im_end|>" in make_document_prompt(ops)


def test_a_text_for_dse_has_a_black_picture() -> None:
    """The smallest picture that the processor accepts: 56 x 56 pixels, which are 4 tokens."""
    spec = resolve_model("dse-qwen2-2b")
    item = make_text_input(spec, make_query_prompt(spec, "text", "a red boat"))
    assert item.image is not None
    assert (item.image.size, item.image.getextrema()) == ((56, 56), ((0, 0),) * 3)
    assert spec.text_limit == spec.engine_arguments["max_model_len"] - 4
    assert make_text_input(resolve_model("gme-qwen2-vl-2b"), "a red boat").image is None


def test_dse_and_gemma_can_be_cut() -> None:
    """They are trained for shorter vectors; the other Qwen2-VL models are not."""
    for name in ("dse-qwen2-2b", "embeddinggemma-2"):
        assert resolve_model(name, ModelOptions(dimensions=256)).cut_from is not None
    with pytest.raises(ModelError, match="gme-qwen2-vl-2b always has 1536 dimensions"):
        resolve_model("gme-qwen2-vl-2b", ModelOptions(dimensions=256))


def test_pixels_are_limited_in_tokens_of_28_pixels() -> None:
    """By default 512 tokens; --max-pixels changes processor, resizing and text limit."""
    spec = resolve_model("ops-mm-v1-2b")
    assert spec.image.max_pixels == 512 * 28 * 28
    spec = resolve_model("ops-mm-v1-2b", ModelOptions(max_pixels=1280 * 28 * 28))
    size = spec.engine_arguments["mm_processor_kwargs"]["size"]
    assert size == {"shortest_edge": 3136, "longest_edge": 1_003_520}
    assert (spec.image.max_pixels, spec.image_tokens) == (1_003_520, 1288)
    with pytest.raises(ModelError, match="needs --max-pixels 3136 or more"):
        resolve_model("ops-mm-v1-2b", ModelOptions(max_pixels=3135))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("vlm2vec_qwen2vl", "vlm2vec-qwen2vl-2b"),
        ("dse_qwen2_vl", "dse-qwen2-2b"),
        ("vlm2vec_phi3v", "vlm2vec"),
        ("qwen3_vl", "qwen3-vl-embedding-2b"),
        ("VLM2Vec-V2.0", "vlm2vec-v2"),
        ("Alibaba-NLP/gme-Qwen2-VL-7B-Instruct", "gme-qwen2-vl-7b"),
        ("google/embeddinggemma-2", "embeddinggemma-2"),
    ],
)
def test_names_of_the_example_and_the_hub_are_accepted(given: str, name: str) -> None:
    """Names in vLLM's examples, and repositories of the models that have a name."""
    assert resolve_model(given) is MODELS[name] or resolve_model(given) == resolve_model(name)


def test_lora_weights_must_be_merged(tmp_path: Path) -> None:
    """The error says so before any download, and for folders with such weights."""
    message = r"are LoRA weights; vLLM cannot .* Merge them .* `searchapp docs models` shows how"
    with pytest.raises(ModelError, match=rf"\(TIGER-Lab/VLM2Vec-Qwen2VL-2B\) {message}"):
        hub.fetch_model(resolve_model("vlm2vec-qwen2vl-2b"))
    folder = tmp_path / "lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").touch()
    for name in (str(folder), str(write_model_file(folder))):
        with pytest.raises(ModelError, match="lora: the folder has only LoRA weights; vLLM cannot"):
            hub.fetch_model(resolve_model(name))
    (folder / "model.safetensors").touch()
    assert hub.fetch_model(resolve_model(str(write_model_file(folder)))) == folder


def write_model_file(folder: Path, **more: str) -> Path:
    """Write the model file of a merged folder, as in `searchapp docs models`."""
    file = folder.with_suffix(".toml")
    lines = {"source": f'"{folder}"', "like": '"vlm2vec-qwen2vl-2b"'} | more
    file.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
    return file


def test_a_model_file_can_say_like_which_model_it_works(tmp_path: Path) -> None:
    """The file gives a source, and overrides single fields; the rest is as in the known model."""
    folder = tmp_path / "merged"
    folder.mkdir()
    spec = resolve_model(str(write_model_file(folder)))
    known = MODELS["vlm2vec-qwen2vl-2b"]
    assert spec.name == str(folder.with_suffix(".toml"))
    assert not spec.is_adapter
    assert replace(spec, name=known.name, source=known.source, is_adapter=True) == known
    spec = resolve_model(
        str(write_model_file(folder, dimensions="64", prompts='{text = "Find: {text}"}'))
    )
    assert (spec.dimensions, spec.prompts.text) == (64, "Find: {text}")
    assert spec.prompts.text_image == known.prompts.text_image
    for wrong in ('"nonsense"', "[1]"):
        with pytest.raises(
            ModelError, match=r"the field like has the value .*; use one of clip-vi"
        ):
            resolve_model(str(write_model_file(folder, like=wrong)))


def test_a_folder_of_an_unknown_model_needs_a_model_file(tmp_path: Path) -> None:
    """The error lists what the file must contain."""
    folder = write_fake_clip(tmp_path / "some-qwen2")
    for architecture, message in (
        ("Qwen2VLForConditionalGeneration", r'source = ".*some-qwen2" and like = NAME.*"gme-qwen2'),
        ("Idefics3Model", r"does not know the prompts .* Idefics3Model; .* needs source, archit"),
    ):
        (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
        with pytest.raises(ModelError, match=message):
            resolve_model(str(folder))
    with pytest.raises(ModelError, match=r"no model folder at vidore/colpali.* needs source"):
        resolve_model("vidore/colpali")
