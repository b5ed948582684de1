"""The real vLLM on the CPU, with tiny vision-language models; one engine for each case."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import tiny_embedding_gemma2, tiny_qwen2_vl
from support.real_vllm import VLLM_MARKS, start_exact_engine
from support.tiny_embedding_gemma2 import EMBEDDING_SIZE, make_embedding_gemma2
from support.tiny_qwen2_vl import make_qwen2_vl
from support.tiny_vlm_checkpoints import (
    HIDDEN_SIZE,
    LLAVA_MAX_TOKENS,
    PHI_MAX_TOKENS,
    QWEN_MAX_TOKENS,
    make_llava_next,
    make_phi3_v,
    make_qwen3_vl,
)

from searchapp.engines import EngineInput, Refusal, Vector
from searchapp.engines.local import LocalEngine
from searchapp.errors import ModelError, QueryError, UnsupportedModality
from searchapp.models import (
    MODELS,
    ModelSpec,
    make_document_prompt,
    make_query_prompt,
    resolve_model,
)
from searchapp.pictures import decode
from searchapp.search import query_vector
from searchapp.types import Modality, ModelOptions, Query

pytestmark = VLLM_MARKS
TEXTS = [
    "dog",
    "a red boat",
    "Two white SHEEP, on a green tree at the house: with three cats in it.",
]
SIZES = {"landscape": (600, 400), "portrait": (333, 500), "square": (448, 448), "small": (40, 30)}
IMAGE_TOKEN = 32044  # Phi-3-vision's, for each part of a picture
Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Use:
    """A model family with a user's options."""

    make: Make
    options: ModelOptions = ModelOptions()
    limit: int = 0
    size: int = HIDDEN_SIZE  # dimensions of the model's own vectors
    toml: str = ""  # a model file; {folder} is the model's folder


# The fields of a real GME, but for the length of vectors and prompts of the tiny model.
GME_FILE = f"""
source = "{{folder}}"
like = "gme-qwen2-vl-2b"
dimensions = {HIDDEN_SIZE}
text_limit = {tiny_qwen2_vl.MAX_TOKENS}
engine_arguments = {{{{max_model_len = {tiny_qwen2_vl.MAX_TOKENS}}}}}
"""

USES = {
    "llava": Use(make_llava_next, limit=LLAVA_MAX_TOKENS),
    "qwen": Use(make_qwen3_vl, limit=QWEN_MAX_TOKENS),
    "qwen with options": Use(
        make_qwen3_vl,
        ModelOptions(instruction="Find the same animal.", dimensions=16, max_pixels=100_000),
        limit=QWEN_MAX_TOKENS,
    ),
    "qwen2": Use(make_qwen2_vl, limit=tiny_qwen2_vl.MAX_TOKENS, toml=GME_FILE),
    "gemma": Use(
        make_embedding_gemma2,
        ModelOptions(dimensions=32),
        limit=tiny_embedding_gemma2.MAX_TOKENS,
        size=EMBEDDING_SIZE,
    ),
    "phi, 4 crops": Use(make_phi3_v, ModelOptions(trust_remote_code=True), limit=PHI_MAX_TOKENS),
    "phi, 1 crop": Use(
        make_phi3_v, ModelOptions(trust_remote_code=True, num_crops=1), limit=PHI_MAX_TOKENS
    ),
}


@dataclass(frozen=True)
class Running:
    """A case with its engine."""

    use: Use
    spec: ModelSpec
    engine: LocalEngine

    @property
    def folder(self) -> Path:
        return Path(self.spec.source)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Make], Path]]:
    """Each family's folder, made once; transformers copies a folder's code to a place of ours."""
    from transformers import dynamic_module_utils

    parent, made = tmp_path_factory.mktemp("models"), {}

    def folder(make: Make) -> Path:
        if make not in made:
            made[make] = make(parent / make.__name__.removeprefix("make_"))
        return made[make]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(parent / "code"))
        yield folder


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, models: Callable[[Make], Path]) -> Running:
    """The engine of a case with transformers' number format, float32."""
    use = USES[request.param]
    spec = resolve_model(str(_write_model_file(use, models(use.make))), use.options)
    engine = start_exact_engine(spec)
    return Running(use, engine.spec, engine)


def _write_model_file(use: Use, folder: Path) -> Path:
    """Return the model file of a case, or the model's folder if it has none."""
    if not use.toml:
        return folder
    file = folder.with_suffix(".toml")
    file.write_text(use.toml.format(folder=folder))
    return file


def for_uses(*names: str) -> Any:
    return pytest.mark.parametrize("running", names, indirect=True, scope="module")


Reference = Callable[[EngineInput], Vector]


@pytest.fixture(scope="module")
def reference(running: Running) -> Reference:
    """Return a function that embeds with transformers: the pooled state, cut and normalized."""
    import torch

    pooled_state = _phi3(running) if running.use.make is make_phi3_v else _transformers(running)

    @torch.inference_mode()
    def embed(item: EngineInput) -> Vector:
        vector = pooled_state(item).numpy()
        assert vector.shape == (running.use.size,)
        vector = vector[: running.spec.dimensions]
        return vector / np.linalg.norm(vector)  # type: ignore[no-any-return]

    return embed


def _transformers(running: Running) -> Callable[[EngineInput], Any]:
    from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor

    if running.spec.pooling == "MEAN":  # an encoder
        loaded = AutoModel.from_pretrained(running.folder).eval()
    else:
        loaded = AutoModelForImageTextToText.from_pretrained(running.folder).eval().model
    processor = AutoProcessor.from_pretrained(running.folder)
    if hasattr(processor, "patch_size"):  # E5-V's folder lacks it.
        processor.patch_size = loaded.config.vision_config.patch_size
    options = running.spec.engine_arguments.get("mm_processor_kwargs", {})

    def pooled_state(item: EngineInput) -> Any:
        pictures = {} if item.image is None else {"images": [item.image], "images_kwargs": options}
        inputs = processor(text=[item.prompt], return_tensors="pt", **pictures)
        states = loaded(**inputs).last_hidden_state[0]
        return states.mean(dim=0) if running.spec.pooling == "MEAN" else states[-1]

    return pooled_state


def _phi3(running: Running) -> Callable[[EngineInput], Any]:
    """Phi-3-vision from transformers' Phi-3 and CLIP, with the folder's own picture processor."""
    import torch
    from safetensors.torch import load_file
    from transformers import (
        AutoImageProcessor,
        AutoTokenizer,
        CLIPVisionConfig,
        CLIPVisionModel,
        Phi3Config,
        Phi3Model,
    )

    weights = {k: v.float() for k, v in load_file(running.folder / "model.safetensors").items()}

    def part(prefix: str) -> dict[str, Any]:
        found = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        return {k: v for k, v in found.items() if not k.startswith("vision_embed_tokens.")}

    config = Phi3Config.from_pretrained(running.folder)
    language = Phi3Model(config).eval()
    language.load_state_dict(part("model."))
    vision = part("model.vision_embed_tokens.")
    tower = CLIPVisionModel(CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_attention_heads=16, num_hidden_layers=1,
        image_size=336, patch_size=14)).eval()  # fmt: skip
    tower.load_state_dict(part("model.vision_embed_tokens.img_processor.vision_model."), False)
    tokenizer = AutoTokenizer.from_pretrained(running.folder)
    processor = AutoImageProcessor.from_pretrained(running.folder, trust_remote_code=True)
    crops = running.spec.engine_arguments["mm_processor_kwargs"]["num_crops"]

    def lines(features: Any, rows: int, columns: int) -> Any:
        """Put [tiles, 24 * 24, 1024] in place, four patches a token, a mark after each line."""
        grid = features.reshape(rows, columns, 12, 2, 12, 2, 1024)
        grid = grid.permute(0, 2, 1, 4, 3, 5, 6).reshape(rows * 12, columns * 12, 4096)
        ends = vision["sub_GN"][0].expand(rows * 12, 1, 4096)
        return torch.cat([grid, ends], dim=1).flatten(0, 1)

    def picture(image: Image.Image) -> Any:
        made = processor(image, num_crops=crops)
        rows, columns = (made["image_sizes"][0] // 336).tolist()
        pixels = made["pixel_values"][0, : 1 + rows * columns]
        output = tower(pixels, output_hidden_states=True)
        features = output.hidden_states[1][:, 1:]
        tokens = torch.cat(
            [lines(features[1:], rows, columns), vision["glb_GN"][0], lines(features[:1], 1, 1)]
        )
        for layer in (0, 2):
            name = f"img_projection.{layer}."
            tokens = torch.nn.functional.linear(
                tokens if layer == 0 else torch.nn.functional.gelu(tokens),
                vision[name + "weight"],
                vision[name + "bias"],
            )
        return tokens

    def last_state(item: EngineInput) -> Any:
        parts = []
        for number, chunk in enumerate(re.split(r"<\|image_1\|>", item.prompt)):
            if number:
                parts.append(picture(item.image))
            ids = tokenizer(chunk, return_tensors="pt")["input_ids"][0]
            parts.append(language.embed_tokens(ids))
        return language(inputs_embeds=torch.cat(parts)[None]).last_hidden_state[0, -1]

    return last_state


def noise(width: int, height: int, seed: int = 0) -> bytes:
    """Return a picture file with structure at every scale."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def make_input(spec: ModelSpec, modality: Modality, text: str, data: bytes = b"") -> EngineInput:
    """Return the engine input of a query."""
    name = Path("a.png")
    query = Query(text if "text" in modality else None, name if "image" in modality else None)
    return query_vector.make_engine_input(spec, query, data)


def document(spec: ModelSpec, data: bytes) -> EngineInput:
    """Return the engine input of an indexed picture."""
    return EngineInput(make_document_prompt(spec), decode.prepare_picture(data, spec.image).image)


def vector_of(output: Vector | Refusal) -> Vector:
    assert not isinstance(output, Refusal), output.reason
    return output


EXACT = ["llava", "qwen", "qwen with options", "qwen2", "gemma"]
PHI = ["phi, 4 crops", "phi, 1 crop"]


@for_uses(*EXACT)
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_every_modality_equals_transformers(
    running: Running, reference: Reference, size: tuple[int, int]
) -> None:
    """Each kind of query, and each indexed picture, gets transformers' vector."""
    spec, data = running.spec, noise(*size)
    inputs = [make_input(spec, kind, "a red boat", data) for kind in spec.modalities]
    for item in [document(spec, data), *inputs]:
        (output,) = running.engine.embed([item])
        assert float(vector_of(output) @ reference(item)) > 0.9999


@for_uses(*EXACT)
def test_mixed_batches_equal_transformers(running: Running, reference: Reference) -> None:
    """All kinds of inputs in one call do not affect each other."""
    inputs = []
    for seed, (size, text) in enumerate(zip(SIZES.values(), [*TEXTS, "cat"], strict=True)):
        data = noise(*size, seed=seed)
        inputs += [make_input(running.spec, kind, text, data) for kind in running.spec.modalities]
    outputs = np.stack([vector_of(output) for output in running.engine.embed(inputs)])
    expected = np.stack([reference(item) for item in inputs])
    cosines = outputs @ expected.T
    assert np.min(np.diag(cosines)) > 0.9999
    # Pictures of noise differ little in 32 dimensions of a mean, but more than equal inputs do.
    assert np.max(cosines[~np.eye(len(inputs), dtype=bool)]) < 0.9995


@for_uses("qwen2")
def test_all_qwen2_models_equal_transformers(running: Running, reference: Reference) -> None:
    """One engine with the prompts of each model; the texts of DSE have a black picture."""
    data = noise(*SIZES["small"])
    for name in ("dse-qwen2-2b", "ops-mm-v1-2b", "vlm2vec-qwen2vl-2b"):
        spec = MODELS[name]
        inputs = [make_input(spec, kind, "a red boat", data) for kind in spec.modalities]
        inputs.append(document(spec, data))
        assert (inputs[0].image is not None) == (name == "dse-qwen2-2b")
        for item, output in zip(inputs, running.engine.embed(inputs), strict=True):
            assert float(vector_of(output) @ reference(item)) > 0.9999


@for_uses("llava", "qwen", "qwen with options", "qwen2", *PHI)
def test_pictures_are_rendered_as_by_vllm(running: Running) -> None:
    """The values are equal, and nothing else differs but the name of the picture."""
    renderer = running.engine._sized_renderer
    assert renderer is not None
    for size in ((1200, 800), (333, 500), (90, 40), (301, 1000)):
        item = document(running.spec, noise(*size))
        assert item.image is not None
        renderer.render_picture(item.image)  # the first of its size
        made = renderer.render_picture(item.image)
        assert made is not None
        expected = running.engine._render_with_vllm(item)
        assert made["prompt_token_ids"] == expected["prompt_token_ids"]
        assert made["mm_placeholders"] == expected["mm_placeholders"]
        (ours,), (theirs,) = made["mm_kwargs"]["image"], expected["mm_kwargs"]["image"]
        assert set(ours) == set(theirs)
        for key in ours:
            assert ours[key].data.dtype == theirs[key].data.dtype
            difference = ours[key].data.double() - theirs[key].data.double()
            assert difference.abs().max() < 1e-3


@for_uses("qwen with options")
def test_qwen_follows_its_options(running: Running, models: Callable[[Make], Path]) -> None:
    """Instruction, dimensions and pixel limits change vectors and tokens as expected."""
    spec, engine = running.spec, running.engine
    assert (spec.dimensions, spec.cut_from) == (16, HIDDEN_SIZE)
    item = document(spec, noise(1200, 800))
    assert item.image is not None
    assert 90_000 < item.image.width * item.image.height <= 100_000
    sent = {"prompt": item.prompt, "multi_modal_data": {"image": item.image}}
    (output,) = engine._llm.embed([sent], use_tqdm=False)
    tokens = engine._llm.get_tokenizer().convert_ids_to_tokens(output.prompt_token_ids)
    assert 80 <= tokens.count("<|image_pad|>") <= 100_000 / 1024
    (cut,) = engine.embed([item])
    whole = np.asarray(output.outputs.embedding, dtype=np.float32)
    assert whole.shape == (HIDDEN_SIZE,)
    expected = whole[:16] / np.linalg.norm(whole[:16])
    assert np.allclose(vector_of(cut), expected, atol=1e-5)
    other = resolve_model(str(models(make_qwen3_vl)), ModelOptions(dimensions=16))
    (plain,) = engine.embed([make_input(other, "text", "a dog")])
    (instructed,) = engine.embed([make_input(spec, "text", "a dog")])
    assert float(vector_of(plain) @ vector_of(instructed)) < 0.999


@for_uses(*EXACT, *PHI)
def test_a_too_long_text_is_an_error(running: Running) -> None:
    """The error names limit and length; a text cut to the limit keeps its template."""
    engine, limit = running.engine, running.use.limit
    assert running.spec.text_limit == limit
    query = Query("sheep house " * (limit // 2))
    long = make_input(running.spec, "text", query.text or "")
    count = engine.count_tokens(long.prompt)
    with pytest.raises(
        QueryError, match=f"the text has {count} tokens, but .* accepts only {limit};"
    ):
        query_vector.shorten_query(engine, query, truncate=False)
    short = query_vector.shorten_query(engine, query, truncate=True)
    item = make_input(running.spec, "text", short.text or "")
    assert limit - 4 < engine.count_tokens(item.prompt) <= limit
    assert item.prompt.endswith((running.spec.prompts.text or "").split("{text}")[1])
    good, refused = engine.embed([item, long])
    assert abs(float(np.linalg.norm(vector_of(good))) - 1) < 1e-5
    assert isinstance(refused, Refusal)
    assert f"maximum context length is {limit} tokens" in refused.reason


@for_uses(*EXACT, *PHI)
def test_a_placeholder_in_a_text_is_refused(running: Running) -> None:
    """A text with the picture's placeholder is refused before vLLM gets it."""
    spec = running.spec
    for kind in set(spec.modalities) - {"image"}:
        with pytest.raises(QueryError, match="stands for a picture; remove it from the text"):
            make_input(spec, kind, f"a {spec.placeholder} dog", noise(40, 30))


@for_uses("llava")
def test_llava_takes_no_text_with_a_picture(running: Running) -> None:
    """E5-V refuses a text with a picture; vLLM itself would accept it."""
    assert running.spec.modalities == ("text", "image")
    with pytest.raises(UnsupportedModality, match=r"Unsupported query modality: 'text\+image'"):
        make_input(running.spec, "text+image", "dog", noise(40, 30))


@for_uses(*EXACT, *PHI)
def test_one_bad_input_costs_no_other(running: Running) -> None:
    """A picture without a prompt for it is refused alone."""
    good = document(running.spec, noise(40, 30))
    bad = EngineInput(make_query_prompt(running.spec, "text", "dog"), good.image)
    text = make_input(running.spec, "text", "dog")
    first, refused, second = running.engine.embed([good, bad, text])
    assert isinstance(refused, Refusal)
    for output in (first, second):
        assert abs(float(np.linalg.norm(vector_of(output))) - 1) < 1e-5


@for_uses("gemma")
def test_gemmas_window_equals_that_of_transformers(running: Running, reference: Reference) -> None:
    """A text is longer than the window of a layer: attention covers earlier and later tokens."""
    item = make_input(running.spec, "text", "a red boat and two white sheep " * 20)
    assert running.engine.count_tokens(item.prompt) > 3 * 32
    (output,) = running.engine.embed([item])
    assert float(vector_of(output) @ reference(item)) > 0.9999


def test_phis_own_code_needs_trust(models: Callable[[Make], Path]) -> None:
    """Without trust, nothing runs; the error names the files, the folder and the revision."""
    spec = resolve_model(str(models(make_phi3_v)))
    files = r"configuration_phi3_v\.py, processing_phi3_v\.py"
    message = f"phi3_v runs code of its own: {files} from {spec.source} at revision {spec.revision}"
    with pytest.raises(ModelError, match=message):
        LocalEngine(spec)


@for_uses(*PHI)
def test_phi_equals_transformers(running: Running, reference: Reference) -> None:
    """Text, picture and both in one call equal transformers' vectors."""
    spec, data = running.spec, noise(500, 333)
    inputs = [make_input(spec, kind, "a red boat", data) for kind in spec.modalities]
    inputs.append(document(spec, noise(40, 60)))
    assert spec.modalities == ("text", "image", "text+image")
    for item, output in zip(inputs, running.engine.embed(inputs), strict=True):
        vector = vector_of(output)
        assert vector.shape == (HIDDEN_SIZE,)
        assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5
        assert float(vector @ reference(item)) > 0.9999


@for_uses(*PHI)
def test_phis_pictures_have_the_expected_tokens(running: Running) -> None:
    """600 x 400 pixels are 757 tokens with four crops, 313 with one."""
    spec = running.spec
    crops = spec.engine_arguments["mm_processor_kwargs"]["num_crops"]
    item = document(spec, noise(600, 400))
    assert item.image is not None
    assert item.image.size == {4: (672, 448), 1: (336, 224)}[crops]
    sent = {"prompt": item.prompt, "multi_modal_data": {"image": item.image}}
    (output,) = running.engine._llm.embed([sent], use_tqdm=False)
    assert output.prompt_token_ids.count(IMAGE_TOKEN) == {4: 757, 1: 313}[crops]


@for_uses(*EXACT, *PHI)
def test_a_long_text_with_a_picture_is_cut_to_fit(running: Running) -> None:
    """A text is cut so that it fits together with the picture's tokens."""
    if "text+image" not in running.spec.modalities:
        pytest.skip("the model takes no picture beside a text")
    data = noise(600, 400)
    long = Query("a red boat and two white sheep " * 400, "the picture")
    with pytest.raises(QueryError, match="with a picture; shorten the text"):
        query_vector.shorten_query(running.engine, long, truncate=False)
    short = query_vector.shorten_query(running.engine, long, truncate=True)
    item = query_vector.make_engine_input(running.spec, short, data)
    (output,) = running.engine.embed([item])
    assert not isinstance(output, Refusal), output.reason
