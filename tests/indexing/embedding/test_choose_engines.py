"""The choice between one engine, several processes, a server and a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.fake_engine import FakeEngine

from searchapp import engines
from searchapp.engines import machine
from searchapp.engines.machine import Gpu
from searchapp.errors import EngineError, ModelError
from searchapp.indexing.embedding import choose_engines, count_engines
from searchapp.indexing.embedding.choose_engines import EngineChoice, EngineHolder
from searchapp.indexing.embedding.count_engines import FILES_PER_ENGINE, plan_processes
from searchapp.indexing.embedding.pipeline import Pipeline
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.models import ModelSpec, hub, resolve_model
from searchapp.pictures.model_size import ImageInput
from searchapp.types import DecodeDevice

MANY = 100 * FILES_PER_ENGINE
TWO_TOWERS, LANGUAGE = resolve_model("clip-vit-b-32"), resolve_model("vlm2vec")


@pytest.fixture
def job(model: Path) -> EmbeddingJob:
    return EmbeddingJob(resolve_model(str(model)))


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[Gpu]:
    gpus = [Gpu("0", 80_000), Gpu("1", 8_000)]
    monkeypatch.setattr(machine, "list_gpus", lambda: gpus)
    monkeypatch.setattr(machine, "list_cores", lambda: list(range(18)))
    return gpus


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "list_gpus", lambda: [])
    monkeypatch.setattr(machine, "list_cores", lambda: list(range(8)))
    monkeypatch.setattr(count_engines, "has_gpu", lambda: False)


def devices(spec: ModelSpec, files: int, replicas: int | None = None) -> list[str]:
    return [each["CUDA_VISIBLE_DEVICES"] for each in plan_processes(spec, files, replicas)]


def test_gpus_memory_and_files_limit_the_engines(two_gpus: list[Gpu]) -> None:
    """Each GPU gets its first engine before any gets its second; few files start no process."""
    assert devices(TWO_TOWERS, MANY) == ["0", "1"] * 2 + ["0"] * 6
    assert devices(TWO_TOWERS, 3 * FILES_PER_ENGINE) == ["0", "1", "0"]
    assert devices(TWO_TOWERS, FILES_PER_ENGINE - 1) == []
    assert devices(TWO_TOWERS, 1, replicas=2) == ["0", "1", "0", "1"]
    needed = LANGUAGE.weights_mib + count_engines.LANGUAGE_MODEL_MIB
    assert devices(LANGUAGE, MANY).count("0") == min(8, int(0.9 * 80_000) // needed)
    assert devices(LANGUAGE, MANY).count("1") == 1


def test_a_cpu_is_shared_by_the_engines_of_small_models(
    no_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "read_free_memory_mib", lambda: 1_000_000)
    small = replace(TWO_TOWERS, weights_mb=100)
    parts = [each["VLLM_CPU_OMP_THREADS_BIND"] for each in plan_processes(small, MANY, 3)]
    assert parts == ["0,1", "2,3", "4,5"]
    assert len(plan_processes(small, MANY)) == 8
    assert plan_processes(LANGUAGE, MANY) == []
    monkeypatch.setattr(machine, "read_free_memory_mib", lambda: None)
    assert plan_processes(small, MANY) == []


def test_a_url_starts_no_engine_here(job: EmbeddingJob, two_gpus: list[Gpu]) -> None:
    choice = EngineChoice("http://127.0.0.1:9", api_key="secret")
    assert choice.start_many(job, MANY, 4) is None
    assert "secret" not in repr(choice)


def test_a_choice_is_passed_to_the_engine(
    job: EmbeddingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(engines, "start_engine", lambda spec, **kept: asked.append((spec, kept)))
    EngineChoice("http://host", "key", verbose=True, seed=3).start(job.spec)
    kept = {"url": "http://host", "api_key": "key", "verbose": True, "seed": 3}
    assert asked == [(job.spec, kept)]


def test_untrusted_code_starts_nothing(
    job: EmbeddingJob, two_gpus: list[Gpu], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without trust, no process, no download and no cluster starts."""
    for name in ("plan_replicas", "connect_to_cluster"):
        monkeypatch.setattr(choose_engines, name, lambda *_: pytest.fail("it started"))
    foreign = replace(job, spec=replace(job.spec, code=("model.py",), trusted=False))
    for choice in (EngineChoice(), EngineChoice(cluster="local")):
        with pytest.raises(ModelError, match="runs code of its own"):
            choice.start_many(foreign, MANY, None)


@pytest.mark.parametrize(("model", "cores", "decodes_on_gpu", "first"), [
    ("clip-vit-l-14", 16, False, 4), ("clip-vit-l-14", 16, True, 8), ("clip-vit-l-14", 2, False, 1),
    ("clip-vit-l-14", 2, True, 1), ("qwen3-vl-embedding-2b", 16, False, 4),
    ("qwen3-vl-embedding-2b", 6, False, 1),
])  # fmt: skip
def test_a_run_starts_with_fewer_engines_than_fit(
    monkeypatch: pytest.MonkeyPatch, model: str, cores: int, decodes_on_gpu: bool, first: int
) -> None:
    """A few engines often keep a GPU busy; the scaler may add more."""
    monkeypatch.setattr(machine, "list_cores", lambda: list(range(cores)))
    monkeypatch.setattr(machine, "list_gpus", lambda: [Gpu("0", 140_000)])
    environments = plan_processes(resolve_model(model), MANY)
    scaler = count_engines.plan_scaling(environments, MANY, decodes_on_gpu=decodes_on_gpu)
    if scaler is None:
        assert len(environments) == first == 1
    else:
        assert (scaler.count, scaler.limit) == (first, len(environments))


def test_larger_pictures_need_more_memory_of_the_gpu() -> None:
    """A batch of SigLIP2 so400m has three times the patches of one of CLIP L/14."""
    card = Gpu("0", 24_000)
    counts = [
        count_engines.count_engines_on_gpu(resolve_model(name), card, 16)
        for name in ("clip-vit-b-32", "clip-vit-l-14", "siglip2-so400m")
    ]
    assert counts == [6, 4, 2]
    image = ImageInput("bound", max_pixels=448**2)  # in a model file of a user
    bound = replace(TWO_TOWERS, image=image)
    assert count_engines.count_engines_on_gpu(bound, card, 16) == 2


@pytest.mark.parametrize(
    ("cores", "engine_count", "threads"),
    [(16, 8, 2), (16, 10, 2), (16, 20, 1), (2, 2, 1), (2, 1, 2), (64, 8, 4)],
)
def test_reader_threads_are_not_fewer_than_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, engine_count: int, threads: int
) -> None:
    monkeypatch.setattr(machine, "list_cores", lambda: list(range(cores)))
    assert count_engines.count_threads_per_engine(engine_count) == threads


@pytest.mark.parametrize(("model", "decode", "gpus", "threads"), [
    ("clip-vit-l-14", "auto", 1, 3), ("clip-vit-l-14", "cpu", 1, 2), ("vlm2vec", "auto", 1, 2),
    ("vlm2vec", "gpu", 1, 3), ("starter", "auto", 0, 2),
])  # fmt: skip
def test_engines_whose_gpu_decodes_have_one_more_thread(
    monkeypatch: pytest.MonkeyPatch, model: str, decode: DecodeDevice, gpus: int, threads: int
) -> None:
    monkeypatch.setattr(machine, "list_cores", lambda: list(range(16)))
    monkeypatch.setattr(machine, "list_gpus", lambda: [Gpu("0", 140_000)] * gpus)
    monkeypatch.setattr(machine, "read_free_memory_mib", lambda: 100_000)
    job = EmbeddingJob(resolve_model(model), decode=decode)
    pool = choose_engines.plan_replicas(job, MANY, 8)
    assert pool is not None
    assert (len(pool._environments), pool._job.threads) == (8, threads)


def test_a_cluster_is_used_for_few_files_too(job: EmbeddingJob) -> None:
    pytest.importorskip("ray")
    with pytest.raises(EngineError, match="Ray Client is not supported"):
        EngineChoice(cluster="ray://127.0.0.1:10001").start_many(job, 1, None)


def test_weights_are_fetched_once_for_several_engines(
    job: EmbeddingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[ModelSpec] = []
    monkeypatch.setattr(hub, "fetch_model", fetched.append)
    several = SimpleNamespace()
    for started in (None, several):
        monkeypatch.setattr(choose_engines, "plan_replicas", lambda *_, it=started: it)
        assert EngineChoice().start_many(job, MANY, None) is started
    assert fetched == [job.spec]


def test_a_running_engine_embeds_the_files(job: EmbeddingJob) -> None:
    """Several additional engines would load the weights again."""
    running = EngineHolder(FakeEngine, lambda *_: pytest.fail("several were started"))
    running.get(job.spec)
    source = running.choose_source(job, MANY, None)
    assert isinstance(source, Pipeline)
    source.close()
    running.close()
