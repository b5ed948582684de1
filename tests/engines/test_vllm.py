"""The real vLLM on the CPU, with tiny models of random weights; the tests share an engine."""

import gc
import io
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.fake_llm import FakeLLM
from support.real_vllm import VLLM_MARKS, make_exact, start_exact_engine
from support.tiny_checkpoints import IMAGE_SIDE_PX, MAX_TEXT_TOKENS, make_clip, make_siglip

from searchapp.engines import EngineInput, Refusal, Vector, image_tower
from searchapp.engines.image_tower import ImageTower
from searchapp.engines.local import MAX_SLICE_INPUTS, LocalEngine
from searchapp.engines.pixels import replace_pixels
from searchapp.engines.resize import resize_picture
from searchapp.engines.unclosed import UnclosedEngine
from searchapp.errors import EngineError, ModelError
from searchapp.library import Library
from searchapp.models import ModelSpec, resolve_model
from searchapp.pictures import decode
from searchapp.types import IndexOptions, Query, RunFinished

pytestmark = VLLM_MARKS
TEXTS = ["dog", "a red boat", "two white sheep on a green tree at the house with three cats in it"]


FAMILIES = {"clip": make_clip, "siglip": make_siglip}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of each architecture."""
    make = FAMILIES[request.param]
    return make(tmp_path_factory.mktemp("models") / f"tiny-{request.param}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture(scope="module")
def spec(model: Path) -> ModelSpec:
    """The model's spec with transformers' number format, float32."""
    return make_exact(resolve_model(str(model)))


@pytest.fixture(scope="module")
def engine(spec: ModelSpec) -> LocalEngine:
    return start_exact_engine(spec)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a picture with structure at every scale."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def reference(model: Path) -> Any:
    """Return a function that embeds with transformers, to vectors of length one."""
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    loaded = AutoModel.from_pretrained(model).eval()
    processor = AutoImageProcessor.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    padding = "max_length" if loaded.config.model_type == "siglip" else False

    @torch.inference_mode()
    def embed(item: str | Image.Image) -> Vector:
        if isinstance(item, str):
            inputs = tokenizer(item, padding=padding, return_tensors="pt")
            output = loaded.get_text_features(input_ids=inputs["input_ids"])
        else:
            output = loaded.get_image_features(**processor(item, return_tensors="pt"))
        vector = getattr(output, "pooler_output", output)[0].numpy()
        return vector / np.linalg.norm(vector)  # type: ignore[no-any-return]

    return embed


def vector_of(output: Vector | Refusal) -> Vector:
    assert not isinstance(output, Refusal), output.reason
    return output


@pytest.mark.parametrize("size", [(64, 64), (640, 480), (333, 500), (40, 30), (799, 400)])
def test_a_picture_equals_transformers(
    engine: LocalEngine, spec: ModelSpec, reference: Any, size: tuple[int, int]
) -> None:
    """Our preparation and vLLM give the vector of the model's processor and transformers."""
    picture = noise(*size)
    prepared = decode.prepare_picture(png(picture), spec.image)
    (output,) = engine.embed([EngineInput("", prepared.image)])
    assert 1 - float(vector_of(output) @ reference(picture)) < 1e-4


def test_a_jpeg_in_draft_mode_has_nearly_the_same_vector(
    engine: LocalEngine, spec: ModelSpec, reference: Any
) -> None:
    """JPEG draft mode hardly changes the vector's direction."""
    buffer = io.BytesIO()
    noise(2400, 1800).save(buffer, "JPEG", quality=92)
    prepared = decode.prepare_picture(buffer.getvalue(), spec.image)
    (output,) = engine.embed([EngineInput("", prepared.image)])
    assert 1 - float(vector_of(output) @ reference(Image.open(buffer))) < 1e-3


def test_texts_equal_transformers_in_mixed_batches(
    engine: LocalEngine, spec: ModelSpec, reference: Any
) -> None:
    """Texts and pictures in one call do not affect each other."""
    pictures = [noise(90, 70, seed=seed) for seed in range(3)]
    inputs: list[EngineInput] = []
    for text, picture in zip(TEXTS, pictures, strict=True):
        inputs += [
            EngineInput(text),
            EngineInput("", decode.prepare_picture(png(picture), spec.image).image),
        ]
    outputs = [vector_of(output) for output in engine.embed(inputs)]
    for index, (text, picture) in enumerate(zip(TEXTS, pictures, strict=True)):
        assert 1 - float(outputs[2 * index] @ reference(text)) < 1e-4
        assert 1 - float(outputs[2 * index + 1] @ reference(picture)) < 1e-4


@pytest.mark.parametrize("model", ["clip"], indirect=True, scope="module")
def test_bfloat16_gives_nearly_the_same_vectors(engine: LocalEngine, model: Path) -> None:
    """bfloat16, vLLM's choice, hardly changes the direction of float32's vector."""
    item = EngineInput("", noise(64, 64))
    half = LocalEngine(resolve_model(str(model)))
    (output,) = half.embed([item])
    (exact,) = engine.embed([item])
    assert 1 - float(vector_of(output) @ vector_of(exact)) < 1e-3


def test_texts_of_every_length(engine: LocalEngine, reference: Any) -> None:
    """Texts from one word to the limit get the same vectors, alone and together."""
    texts = [" ".join(["dog", "boat", "red"][i % 3] for i in range(n + 1)) for n in range(12)]
    together = engine.embed([EngineInput(text) for text in texts])
    for text, output in zip(texts, together, strict=True):
        (alone,) = engine.embed([EngineInput(text)])
        assert 1 - float(vector_of(output) @ reference(text)) < 1e-4
        assert 1 - float(vector_of(alone) @ reference(text)) < 1e-4


def test_one_bad_input_costs_no_other(engine: LocalEngine, spec: ModelSpec) -> None:
    """A too long text, and a text with a picture, are refused alone, with the reason."""
    picture = decode.prepare_picture(png(noise(80, 60)), spec.image).image
    good = [EngineInput("", picture), EngineInput("dog")]
    alone = [vector_of(output) for output in engine.embed(good)]
    inputs = [good[0], EngineInput("dog " * 100), good[1], EngineInput("dog", picture), good[0]]
    first, long, second, both, third = engine.embed(inputs)
    for output, expected in ((first, alone[0]), (second, alone[1]), (third, alone[0])):
        assert float(vector_of(output) @ expected) > 0.9999
    assert isinstance(long, Refusal)
    assert f"maximum context length is {MAX_TEXT_TOKENS} tokens" in long.reason
    assert isinstance(both, Refusal)
    assert "not both" in both.reason


def test_more_inputs_than_a_slice(engine: LocalEngine) -> None:
    """A large call is cut into slices, and the order is kept."""
    inputs = [EngineInput(TEXTS[number % 3]) for number in range(150)]
    outputs = [vector_of(output) for output in engine.embed(inputs)]
    assert len(outputs) == 150
    for number in range(3, 150):
        assert float(outputs[number] @ outputs[number % 3]) > 0.9999


@pytest.mark.parametrize("size", [(0, 0), (37, 0), (0, 3), (11, 0), (0, 10)])
def test_the_image_tower_gives_the_pixels_and_vectors_of_vllm(
    engine: LocalEngine, size: tuple[int, int]
) -> None:
    """The tower is in use; its pixels and vectors are those of vLLM's own renderer and engine."""
    tower = engine._image_tower
    assert tower is not None
    side, fit = engine.spec.image.side, engine.spec.image.fit
    picture = noise(side + size[0], side + size[1], seed=5)
    assert tower.can_embed(picture) == (fit == "crop" or size == (0, 0))
    others = [noise(side, side, seed=seed) for seed in range(3)]
    rendered = engine._render_with_vllm(EngineInput("", picture))
    if tower.can_embed(picture):
        theirs = rendered["mm_kwargs"]["image"][0]["pixel_values"].data
        ours = tower._scale_channels(tower.prepare(picture).channels[None])[0]
        assert float((ours - theirs).abs().max()) < 0.02
        assert ours.std() > 0.2
    inputs = [EngineInput("", each) for each in (*others, picture)]
    found = [vector_of(output) for output in engine.embed(inputs)]
    expected = engine._run_requests({0: rendered})[0]
    assert isinstance(expected, np.ndarray)
    assert float(found[3] @ expected) / np.linalg.norm(expected) > 0.9999
    if tower.can_embed(picture):
        alone = engine.embed(inputs[3:])
        assert float(found[3] @ vector_of(alone[0])) > 0.9999


class EagerGraph:
    """Stands in for TowerGraph, which needs a GPU: it computes a batch of the recorded size."""

    def __init__(self, run: Callable[[Any], Any], channels: Any) -> None:
        self.run, self.channels, self.count = run, channels.clone(), 0

    def __call__(self, channels: Any) -> Any:
        self.count += 1
        self.channels[: len(channels)] = channels
        return self.run(self.channels)[: len(channels)]


class MixingGraph(EagerGraph):
    """Returns the vectors in another order."""

    def __call__(self, channels: Any) -> Any:
        return super().__call__(channels).roll(1, 0)


class FailingGraph(EagerGraph):
    """Cannot be recorded."""

    def __init__(self, run: Callable[[Any], Any], channels: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("kind", [EagerGraph, MixingGraph, FailingGraph])
def test_a_graph_of_the_image_tower_gives_the_same_vectors(
    engine: LocalEngine, kind: type[EagerGraph], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """A recorded batch is used for batches that fill more than half of it, if it is right."""
    tower = engine._image_tower
    assert tower is not None
    side, size = engine.spec.image.side, tower._batch_size
    pictures = [tower.prepare(noise(side, side, seed=seed)) for seed in range(size + 3)]
    expected = tower.embed(pictures)
    monkeypatch.setattr(image_tower, "TowerGraph", kind)
    monkeypatch.setattr(tower, "_graph", None)
    with caplog.at_level(logging.INFO, image_tower.__name__):
        tower.record_graph()
    if kind is not EagerGraph:
        assert tower._graph is None
        assert "runs without a CUDA graph" in caplog.text
        return
    graph: Any = tower._graph
    assert (graph.count, caplog.text) == (1, "")
    for count, used in ((size, 1), (size // 2 + 1, 1), (size // 2, 0), (1, 0), (size + 3, 1)):
        before = graph.count
        made = tower.embed(pictures[:count])
        assert graph.count - before == used
        assert np.abs(made - expected[:count]).max() < 1e-3 * np.abs(expected).max()
    monkeypatch.setattr(tower, "_graph", None)


def test_a_tower_with_other_vectors_is_not_used(engine: LocalEngine) -> None:
    """No tower, if its vectors or pixels differ from vLLM's, or for another kind of model."""
    import torch

    def start(**changes: Any) -> ImageTower | None:
        arguments: dict[str, Any] = {
            "llm": engine.llm,
            "target": engine.spec.image,
            "batch_size": 8,
            "render": lambda image: engine._render_with_vllm(EngineInput("", image)),
            "embed": lambda rendered: engine._run_requests({0: rendered})[0],
        }
        return ImageTower.start(**(arguments | changes))

    assert start() is not None
    wrong = np.random.default_rng(0).standard_normal(engine.spec.dimensions).astype(np.float32)
    assert start(embed=lambda _: wrong) is None

    class OtherModel:
        """Returns several vectors for each picture."""

        def parameters(self) -> Iterator[torch.Tensor]:
            yield torch.zeros(1)

        def embed_multimodal(self, pixel_values: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(pixel_values), 5, engine.spec.dimensions)

    class OtherLLM:
        """Runs functions on the other model."""

        def apply_model(self, function: Callable[[OtherModel], Any]) -> list[Any]:
            return [function(OtherModel())]

    assert start(llm=OtherLLM()) is None
    count = itertools.count()

    def render_otherwise(image: Image.Image) -> Any:
        rendered = engine._render_with_vllm(EngineInput("", image))
        if next(count) == 0:
            return rendered
        values = rendered["mm_kwargs"]["image"][0]["pixel_values"].data
        return replace_pixels(rendered, values.flip(-1))

    assert start(render=render_otherwise) is None


def test_torch_resizes_as_pillow_does() -> None:
    """Resizing by torch and by Pillow differs by at most one level of 255."""
    picture = noise(120, 90)
    for resample in (2, 3):
        for size in ((64, 48), (48, 64), (200, 150)):
            expected = np.asarray(picture.resize(size, Image.Resampling(resample)), dtype=int)
            made = np.asarray(resize_picture(picture, size, resample), dtype=int)
            assert abs(made - expected).max() <= 1


def test_a_dead_engine_restarts(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inputs of a dead engine are embedded again; a deadly input is refused alone."""
    from vllm.v1.engine.exceptions import EngineDeadError

    starts: list[object] = []

    class Deadly(FakeLLM):
        """Fails on the word poison, and once without a reason."""

        def __init__(self) -> None:
            super().__init__(spec.dimensions)
            self.poisoned = not starts
            starts.append(self)

        def add_request(self, name: str, prompt: Any, parameters: object) -> None:
            super().add_request(name, prompt, parameters)
            self.poisoned |= "poison" in prompt["prompt"]

        def step(self) -> list[Any]:
            if self.poisoned:
                raise EngineDeadError()
            return super().step()

    engine = LocalEngine.__new__(LocalEngine)
    monkeypatch.setattr(LocalEngine, "_start", lambda self: setattr(self, "_llm", Deadly()))
    engine.__init__(spec)  # type: ignore[misc]
    outputs = engine.embed([EngineInput("dog"), EngineInput("poison"), EngineInput("cat")])
    assert [isinstance(output, Refusal) for output in outputs] == [False, True, False]
    assert "the engine failed on this input" in outputs[1].reason  # type: ignore[union-attr]
    assert len(starts) == 3


def test_garbage_collection_is_on_after_the_start(engine: LocalEngine) -> None:
    """The garbage collector is enabled again after the start."""
    assert gc.isenabled()


def test_vllm_sends_no_statistics(engine: LocalEngine) -> None:
    """The usage statistics of vLLM are off by default."""
    from vllm.usage.usage_lib import is_usage_stats_enabled

    assert not is_usage_stats_enabled()


@pytest.mark.parametrize("most", [40, 1])
def test_a_batch_that_exceeds_the_memory_is_halved(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """If a batch exceeds the memory, smaller batches give all vectors, in order."""
    import torch

    expected = [vector_of(output) for output in engine.embed([EngineInput(t) for t in TEXTS])]
    executor = engine.llm.llm_engine.engine_core.engine_core.model_executor
    real, sizes, llm = executor.execute_model, list[int](), engine.llm

    def execute(scheduled: Any, *arguments: Any, **more: Any) -> Any:
        sizes.append(len(scheduled.num_scheduled_tokens))
        if sizes[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(scheduled, *arguments, **more)

    monkeypatch.setattr(executor, "execute_model", execute)
    outputs = engine.embed([EngineInput(TEXTS[number % 3]) for number in range(48)])
    assert len(outputs) == 48
    for number, output in enumerate(outputs):
        assert float(vector_of(output) @ expected[number % 3]) > 0.9999
    assert max(sizes) > most
    halved = engine._slice_inputs
    engine._slice_inputs = MAX_SLICE_INPUTS
    assert halved <= most
    assert engine.llm is llm, "it was not started again"
    print(f"{sum(size > most for size in sizes)} times out of memory, 48 vectors, lost 0")


def test_one_input_that_exceeds_the_memory_is_refused(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too large input is refused alone; if all are too large, the error has a remedy."""
    starts: list[object] = []

    class Small(FakeLLM):
        """Runs out of memory on the word huge."""

        def __init__(self) -> None:
            super().__init__(spec.dimensions)
            starts.append(self)
            self.huge = False

        def add_request(self, name: str, prompt: Any, parameters: object) -> None:
            super().add_request(name, prompt, parameters)
            self.huge |= "huge" in prompt["prompt"]

        def abort_request(self, names: list[str]) -> None:
            self._pending = [name for name in self._pending if name not in names]
            self.huge = False

        def step(self) -> list[Any]:
            if self.huge:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
            return super().step()

    engine = LocalEngine.__new__(LocalEngine)
    monkeypatch.setattr(LocalEngine, "_start", lambda self: setattr(self, "_llm", Small()))
    engine.__init__(spec)  # type: ignore[misc]
    outputs = engine.embed([EngineInput(word) for word in ("dog", "huge", "cat", "tree")])
    assert [isinstance(output, Refusal) for output in outputs] == [False, True, False, False]
    assert "can't allocate memory" in outputs[1].reason  # type: ignore[union-attr]
    with pytest.raises(EngineError, match=r"exceeds the memory with a single input .* --replicas"):
        engine.embed([EngineInput("huge")] * 9)


def test_the_library_end_to_end(engine: LocalEngine, model: Path, tmp_path: Path) -> None:
    """Indexed through the library, each picture finds itself first."""
    for number in range(12):
        noise(120, 90, seed=number).save(tmp_path / f"{number}.png")

    class Lent(UnclosedEngine):
        spec = resolve_model(str(model))

    lent = Lent(engine)
    with Library.open(tmp_path / "library", create=True, start=lambda spec: lent) as library:
        *_, last = library.index([tmp_path], IndexOptions(model=str(model)))
        assert isinstance(last, RunFinished)
        assert last.summary.added == 12
        for number in range(12):
            (first, *_) = library.search(Query(image=tmp_path / f"{number}.png"))
            assert first.path == str(tmp_path / f"{number}.png")
            assert first.score > 0.999
        assert len(library.search(Query("a red boat"))) == 10


def test_a_folder_that_vllm_cannot_load(clip: Path, tmp_path: Path) -> None:
    """Invalid weights give one clear error, and no output on stdout."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in clip.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"broken: vLLM cannot start the model: "):
        LocalEngine(resolve_model(str(broken)))
    assert gc.isenabled(), "garbage is collected again"


def test_a_model_folder_is_recognized_by_its_config(spec: ModelSpec) -> None:
    """A model folder is recognized by its config.json, and has its own limits."""
    assert spec.image.side == IMAGE_SIDE_PX
    assert spec.text_limit == MAX_TEXT_TOKENS
    assert spec.modalities == ("text", "image")


@pytest.mark.parametrize("model", ["clip"], indirect=True, scope="module")
def test_a_restart_confuses_no_pictures(
    engine: LocalEngine, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restarted engine gives every later picture its own vector, whoever rendered it."""
    inputs = [
        EngineInput("", decode.prepare_picture(png(noise(64, 64, seed)), spec.image).image)
        for seed in range(24)
    ]
    expected = [vector_of(output) for output in engine.embed(inputs)]

    def prepare(items: list[EngineInput]) -> list[EngineInput]:
        """Render half of the pictures with our renderer, half with vLLM's."""
        ours = [engine.prepare(item) for item in items[::2]]
        with monkeypatch.context() as patch:
            patch.setattr(engine, "_image_tower", None)
            theirs = [engine.prepare(item) for item in items[1::2]]
        return [item for pair in zip(ours, theirs, strict=True) for item in pair]

    def fail() -> None:
        raise RuntimeError("a broken step")

    before = prepare(inputs[:12])
    first = engine.llm
    first.llm_engine.step = fail
    outputs = engine.embed(before)
    assert engine.llm is not first
    outputs += engine.embed(prepare(inputs[12:]))
    for output, vector in zip(outputs, expected, strict=True):
        assert 1 - float(vector_of(output) @ vector) < 1e-4
    waiting = [engine.prepare(item) for item in inputs]
    monkeypatch.setattr(engine, "_image_tower", None)  # as if the restarted engine had none
    for output, vector in zip(engine.embed(waiting), expected, strict=True):
        assert 1 - float(vector_of(output) @ vector) < 1e-4
