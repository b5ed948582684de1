"""Models: prompts, options, trust in code, and users' model files."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_llm import FakeLLM
from support.library import FakeEngines, RunCommand, write_fake_clip
from support.sample_pictures import save_picture

from searchapp import engines, models
from searchapp.engines.local import LocalEngine
from searchapp.engines.torchvision_stub import patch_torchvision
from searchapp.errors import ModelError, QueryError, UnsupportedModality
from searchapp.library import Library
from searchapp.models import (
    MODELS,
    ModelSpec,
    make_document_prompt,
    make_query_prompt,
    resolve_model,
)
from searchapp.search import query_vector
from searchapp.types import IndexOptions, ModelOptions, Query, SearchOptions

# Byte for byte the prompts of vLLM's vision-language embedding example.
E5_V = (
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n \n"
)
EXAMPLE = {
    ("e5_v", "text"): E5_V.format(
        "A dog sitting in the grass\nSummary above sentence in one word: "
    ),
    ("e5_v", "image"): E5_V.format("<image>\nSummary above image in one word: "),
    ("vlm2vec", "text"): (
        "Find me an everyday image that matches the given caption: A dog sitting in the grass"
    ),
    ("vlm2vec", "image"): (
        "<|image_1|> Find a day-to-day image that looks similar to the provided image."
    ),
    ("vlm2vec", "text+image"): (
        "<|image_1|> Represent the given image with the following question: "
        "A cat standing in the snow."
    ),
    ("vlm2vec_qwen2vl", "text"): (
        "Find me an everyday image that matches the given caption: A dog sitting in the grass"
    ),
    ("vlm2vec_qwen2vl", "image"): (
        "<|image_pad|> Find a day-to-day image that looks similar to the provided image."
    ),
    ("vlm2vec_qwen2vl", "text+image"): (
        "<|image_pad|> Represent the given image with the following question: "
        "A cat standing in the snow."
    ),
}
DIMENSIONS = {"e5_v": 4096, "vlm2vec": 3072, "vlm2vec_qwen2vl": 1536}


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[FakeLLM]:
    """LocalEngine, with vLLM replaced by objects that record the prompts."""
    made: list[FakeLLM] = []

    def start(self: LocalEngine) -> None:
        models.check_trust(self._spec)
        patch_torchvision()  # As the real start does, because rendering a prompt imports vLLM.
        made.append(FakeLLM(self._spec.dimensions))
        self._llm = made[-1]

    monkeypatch.setattr(LocalEngine, "_start", start)
    return made


@pytest.mark.parametrize(("name", "modality"), EXAMPLE)
def test_prompts_equal_those_of_vllms_example(
    run: RunCommand,
    recorders: list[FakeLLM],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    modality: str,
) -> None:
    """`searchapp embed` gives vLLM the same bytes as the example does."""
    fetched: list[str] = []
    picture = save_picture(tmp_path / "sample.jpg").read_bytes()
    monkeypatch.setattr(
        "searchapp.files.fetch_url.download", lambda url: fetched.append(url) or picture
    )
    monkeypatch.setattr(engines, "start_engine", lambda spec, **_: LocalEngine(spec))
    options = ["--trust-remote-code"] if name == "vlm2vec" else []
    result = run("embed", "--model", name, "--modality", modality, *options)
    assert len(json.loads(result.stdout)) == DIMENSIONS[name]
    (sent,) = recorders[0].prompts
    assert sent["prompt"] == EXAMPLE[name, modality]
    if modality != "text":
        # Qwen2-VL's tokens are squares of 28 x 28 pixels, and Phi-3-vision's tiles of 336 x 336.
        sizes = {"vlm2vec_qwen2vl": (84, 56), "vlm2vec": (672, 504)}
        assert sent["multi_modal_data"]["image"].size == sizes.get(name, (80, 60))
        assert fetched[0].startswith("https://upload.wikimedia.org/wikipedia/commons/thumb/")


def test_embed_defaults_to_vlm2vec(run: RunCommand) -> None:
    """Without options, embed uses vlm2vec, whose code the user must allow first."""
    result = run("embed")
    assert result.exit_code == 1
    message = str(result.exception)
    assert message.startswith("vlm2vec runs code of its own: configuration_phi3_v.py")
    assert MODELS["vlm2vec"].revision in message
    assert "If you trust it, give --trust-remote-code once" in message


def test_e5_v_refuses_text_and_picture_together() -> None:
    """The message is the example's, and names the models that can do it."""
    with pytest.raises(
        UnsupportedModality,
        match=r"^Unsupported query modality: 'text\+image'; the model e5-v supports text or",
    ) as caught:
        make_query_prompt(resolve_model("e5-v"), "text+image", "a cat")
    assert "Models that support 'text+image': vlm2vec, qwen3-vl-embedding-2b" in str(caught.value)
    assert str(caught.value).endswith("`searchapp query --text TEXT --image FILE`")


def test_qwen_prompts_contain_the_instruction() -> None:
    """The default one or the user's, in document and query prompts."""
    spec = resolve_model("qwen3-vl-embedding-2b")
    assert make_query_prompt(spec, "text+image", " a cat ") == (
        "<|im_start|>system\nRepresent the user's input.<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>a cat<|im_end|>\n<|im_start|>assistant\n"
    )
    own = resolve_model("qwen3-vl-embedding-2b", ModelOptions(instruction="Find {text} logos."))
    assert "system\nFind {text} logos.<|im_end|>" in make_document_prompt(own)
    with pytest.raises(ModelError, match="the model clip-vit-b-32 takes no --instruction"):
        resolve_model("clip-vit-b-32", ModelOptions(instruction="Find logos."))


def test_dimensions_are_cut_if_the_model_allows_it() -> None:
    """The first numbers are kept and normalized; other models refuse."""
    spec = resolve_model("qwen3-vl-embedding-2b", ModelOptions(dimensions=3))
    assert (spec.dimensions, spec.cut_from) == (3, 2048)
    raw = np.arange(1, 2049, dtype=np.float32)
    vector = engines.base.normalize_vector(raw, spec)
    expected = np.array([1, 2, 3]) / np.sqrt(14)
    assert np.allclose(vector, expected, atol=1e-6)  # type: ignore[arg-type]
    for dimensions in (0, 2049):
        with pytest.raises(ModelError, match="must be from 1 to 2048"):
            resolve_model("qwen3-vl-embedding-2b", ModelOptions(dimensions=dimensions))
    with pytest.raises(
        ModelError, match="clip-vit-b-32 always has 512 dimensions; leave out --dim"
    ):
        resolve_model("clip-vit-b-32", ModelOptions(dimensions=64))


def test_picture_limits_match_the_processor() -> None:
    """The processor's setting and the resizing agree."""
    spec = resolve_model("qwen3-vl-embedding-8b", ModelOptions(max_pixels=100_000))
    processor = spec.engine_arguments["mm_processor_kwargs"]
    assert processor["size"] == {"shortest_edge": 4096, "longest_edge": 100_000}
    width, height = spec.image.compute_size(4000, 3000)
    assert (width, height) == (352, 256)  # multiples of 32
    assert spec.image.compute_size(200, 100) == (192, 96)
    crops = resolve_model("vlm2vec", ModelOptions(num_crops=16))
    assert crops.engine_arguments["mm_processor_kwargs"] == {"num_crops": 16}
    assert crops.image.compute_size(4000, 3000) == (4 * 336, 3 * 336)
    for name, options in (
        ("vlm2vec", ModelOptions(max_pixels=9)),
        ("qwen3-vl-embedding-2b", ModelOptions(num_crops=4)),
        ("clip-vit-b-32", ModelOptions(num_crops=4)),
    ):
        with pytest.raises(ModelError, match="has no option --"):
            resolve_model(name, options)


def test_siglip_2_texts_are_lower_cased() -> None:
    """As in the training of the model."""
    assert make_query_prompt(resolve_model("siglip2-base"), "text", "A Red Boat") == "a red boat"
    assert make_query_prompt(resolve_model("clip-vit-b-32"), "text", "A Red Boat") == "A Red Boat"


@pytest.mark.parametrize(
    ("name", "mark"), [("e5-v", "<image>"), ("vlm2vec", "<|image_1|>"),
                       ("qwen3-vl-embedding-2b", "<|image_pad|>")]
)  # fmt: skip
def test_a_text_cannot_contain_the_placeholder(name: str, mark: str) -> None:
    """A placeholder without its picture would silently give a wrong vector."""
    with pytest.raises(QueryError, match="which stands for a picture"):
        make_query_prompt(resolve_model(name), "text", f"a {mark} cat")


@pytest.mark.parametrize("spec", MODELS.values(), ids=list(MODELS))
def test_every_spec_is_complete(spec: ModelSpec) -> None:
    """Pinned to a commit if it is downloaded, with a picture prompt and a known architecture."""
    assert len(spec.revision) == 40 or spec.is_adapter
    assert spec.architecture in models.FAMILY_BY_ARCHITECTURE
    assert {"text", "image"} <= set(spec.modalities)
    assert spec.placeholder is None or spec.placeholder in spec.prompts.document
    assert bool(spec.code) == ("*.py" in spec.download)


def test_a_text_that_is_too_long_is_refused_or_cut(
    opened: Library, photos: Path, model: Path
) -> None:
    """The message gives limit and length; --truncate cuts at a word."""
    list(opened.index([photos], IndexOptions(model=str(model))))
    text = " ".join(["red"] * 40)
    with pytest.raises(
        QueryError, match="the text has 40 tokens, but fake-clip accepts only 32; shorten"
    ):
        opened.search(Query(text))
    (hit, *_) = opened.search(Query(text), SearchOptions(truncate=True))
    assert Path(hit.path).name == "red.jpg"
    engine = opened._engines.engine
    assert engine is not None
    short = query_vector.shorten_query(engine, Query(text), truncate=True)
    assert short.text == " ".join(["red"] * 32)


def test_trust_is_stored_in_the_collection(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """It applies to the trusted revision; changed code is a different model."""
    (model / "modeling.py").write_text("print('hello')")
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "modeling.Config"}
    (model / "config.json").write_text(json.dumps(config))

    def start(spec: ModelSpec) -> Any:
        models.check_trust(spec)
        return fake_engines(spec)

    # CLIP models have no Python code of their own; a VLM2Vec model has.
    vlm = resolve_model(str(_change_to_phi3(model)))
    assert vlm.code == ("modeling.py",)
    with Library.open(tmp_path / "library", create=True, start=start) as library:
        with pytest.raises(ModelError, match=r"runs code of its own: modeling\.py"):
            list(library.index([photos], IndexOptions(model=str(model))))
        trusting = ModelOptions(trust_remote_code=True)
        list(library.index([photos], IndexOptions(model=str(model), model_options=trusting)))
        assert library.search(Query("red"))
    with Library.open(tmp_path / "library", start=start) as library:
        assert library.search(Query("red"))
        (model / "modeling.py").write_text("print('something else')")
        with pytest.raises(ModelError, match="another revision"):
            library.search(Query("red"))


def _change_to_phi3(folder: Path) -> Path:
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["Phi3VForCausalLM"], "hidden_size": 48}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_collection_stores_its_model_options(
    tmp_path: Path, photos: Path, fake_engines: FakeEngines, run: RunCommand
) -> None:
    """Instruction and dimensions are reused; others create another collection."""
    model = write_fake_clip(tmp_path / "models" / "qwen")
    config = {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "text_config": {"hidden_size": 48},
    }
    (model / "config.json").write_text(json.dumps(config))
    (model / "preprocessor_config.json").write_text("{}")
    options = IndexOptions(
        model=str(model), model_options=ModelOptions(dimensions=24, instruction="Find colors.")
    )
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        list(library.index([photos], options))
    with Library.open(tmp_path / "library", start=fake_engines) as library:
        list(library.index([photos]))
        list(library.index([photos], IndexOptions(model=str(model))))
        (info,) = library.info().collections
        assert (info.name, info.dimensions) == ("qwen", 24)
        library.search(Query("red"))
        assert "Find colors." in fake_engines.started_engines[-1].prompts[-1]
        list(library.index([photos], IndexOptions(model=str(model), model_options=ModelOptions(
            dimensions=12))))  # fmt: skip
        assert {(c.name, c.dimensions) for c in library.info().collections} == {
            ("qwen", 24), ("qwen-2", 12),
        }  # fmt: skip
    shown = run("info").output
    assert "  options    --dimensions 24 --instruction 'Find colors.'\n" in shown
    assert "  options    --dimensions 12\n" in shown


def test_the_family_of_a_model_folder_is_logged(
    model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A user sees with -v how a folder was recognized."""
    with caplog.at_level(logging.INFO, "searchapp"):
        resolve_model(str(model))
    message = f"The model folder {model} has the architecture CLIPModel and 48 dimensions."
    assert message in caplog.messages


TOML = """
source = "./fake-clip"
architecture = "CLIPModel"
dimensions = 48
text_limit = 32
[prompts]
document = ""
text = "a picture of {text}"
[image]
fit = "squash"
side = 32
"""


def test_a_toml_file_defines_a_model(
    run: RunCommand, photos: Path, model: Path, fake_engines: FakeEngines
) -> None:
    """A TOML file works like a model name, also for later queries."""
    file = model.parent / "mine.toml"
    file.write_text(TOML)
    assert "3 added" in run("index", photos, "--model", file).stderr
    assert run("query", "red", "-k", 1, "--paths").stdout == f"{photos}/red.jpg\n"
    assert fake_engines.started_engines[-1].prompts[-1] == "a picture of red"
    assert "collection   mine" in run("info").stdout
    result = run("query", "--image", photos / "red.jpg")
    message = "Unsupported query modality: 'image'; the model mine.toml supports text"
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dimensions = 48", "", "dimensions is missing"),
        (
            "dimensions = 48",
            "dimension = 48",
            "dimension is unknown; the known fields are name, source",
        ),
        (
            "dimensions = 48",
            'dimensions = "48"',
            "dimensions has the value '48'; use a value of the type int",
        ),
        (
            "dimensions = 48",
            "dimensions = true",
            "dimensions has the value True; use a value of the type int",
        ),
        ('fit = "squash"', 'fit = "stretch"', "image: fit must be one of crop, squash, bound"),
        ("side = 32", "", "image: fit squash needs side"),
        ('document = ""', "", r"prompts\.document is missing"),
        ("[prompts]", "[prompt]", r"the field prompt is unknown|the table \[prompts\] is missing"),
        ('source = "./fake-clip"', 'source = "./nowhere"', r"folder ./nowhere \(source\) does not"),
        ("[image]", "[image", "cannot be read"),
        ("text_limit = 32", "text_limit = 32\ntrusted = true", "the field trusted is unknown"),
    ],
)
def test_an_error_in_a_model_file_names_the_field(
    model: Path, old: str, new: str, message: str
) -> None:
    """The message names the file, the field, and its expected type."""
    file = model.parent / "mine.toml"
    assert old in TOML
    file.write_text(TOML.replace(old, new))
    with pytest.raises(ModelError, match=rf"mine\.toml: .*({message})"):
        resolve_model(str(file))


def test_embed_writes_npy(run: RunCommand, photos: Path, model: Path, tmp_path: Path) -> None:
    """--npy FILE contains the same numbers as the printed vector."""
    arguments = ["embed", "--model", model, "--image", photos / "red.jpg"]
    printed = json.loads(run(*arguments).stdout)
    result = run(*arguments, "--npy", tmp_path / "vector.npy")
    assert result.stdout == ""
    assert np.load(tmp_path / "vector.npy").tolist() == pytest.approx(printed)
    failed = run(*arguments, "--npy", tmp_path / "nowhere" / "vector.npy")
    assert "vector.npy cannot be written: No such file or directory" in str(failed.exception)
