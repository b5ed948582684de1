"""--precision fp8 needs a GPU for FP8, has its own collection, and can be searched anywhere."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.library import FakeEngines

from searchapp.bench.index import IndexBenchOptions, measure_indexing
from searchapp.engines import vllm_settings
from searchapp.engines.remote import build_serve_command
from searchapp.engines.start_vllm import prepare_start
from searchapp.errors import ModelError
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.models import MODELS, check_precision, computes_fp8, gpu, resolve_model, spec
from searchapp.models import select_collection as selection
from searchapp.types import IndexOptions, ModelOptions, Query

FP8 = ModelOptions(precision="fp8")


@pytest.fixture
def has_fp8(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets whether this machine computes FP8."""

    def set_answer(answer: bool) -> None:
        monkeypatch.setattr(spec, "computes_fp8", lambda: answer)
        monkeypatch.setattr(selection.models, "computes_fp8", lambda: answer)

    return set_answer


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("9.0", True), ("8.9\n9.0", True), ("12.0", True), ("8.6", False), ("9.0\n8.0", False),
     ("", False), ("[N/A]", False)],
)  # fmt: skip
def test_gpus_that_compute_fp8(
    printed: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All GPUs must, because engines run on all of them."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{printed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(gpu, "is_cpu_build", lambda: False)
    computes_fp8.cache_clear()
    assert computes_fp8() is expected
    monkeypatch.setattr(gpu, "is_cpu_build", lambda: True)
    computes_fp8.cache_clear()
    assert computes_fp8() is False
    computes_fp8.cache_clear()


def test_vllm_gets_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets none by default; vLLM then takes that of the checkpoint."""
    monkeypatch.setattr(vllm_settings, "has_gpu", lambda: True)
    default, fp8 = (
        vllm_settings.make_device_arguments(resolve_model("clip-vit-l-14", options), bulk=True)
        for options in (ModelOptions(), FP8)
    )
    assert fp8 == default | {"quantization": "fp8_per_channel"}
    command = build_serve_command(resolve_model("clip-vit-l-14", FP8))
    assert "--quantization fp8_per_channel" in command
    assert "--quantization" not in build_serve_command(MODELS["clip-vit-l-14"])


def test_a_machine_without_fp8_embeds_no_pictures_with_it(model: Path, has_fp8: Any) -> None:
    has_fp8(False)
    chosen = resolve_model(str(model), FP8)
    with pytest.raises(ModelError, match=r"FP8 .* this machine has none\. Leave out --precision"):
        check_precision(chosen)
    with pytest.raises(ModelError, match="FP8"):  # before it writes and embeds pictures
        next(measure_indexing(IndexBenchOptions(str(model), 64, 64, 64, precision="fp8")))
    with pytest.raises(ModelError, match="FP8"):
        prepare_start(chosen, verbose=False)
    with pytest.raises(ModelError, match="FP8"):
        EngineChoice().start_many(EmbeddingJob(chosen), 10_000, None)
    job = EmbeddingJob.from_json(EmbeddingJob(chosen).to_json())
    assert job.spec.precision == "fp8"
    check_precision(replace(chosen, precision=None))
    has_fp8(True)
    check_precision(chosen)


def test_a_collection_of_fp8_can_be_searched_anywhere(
    tmp_path: Path, photos: Path, model: Path, fake_engines: FakeEngines, has_fp8: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Its vectors are not mixed with others; a later run continues with the same precision."""
    has_fp8(True)
    with Library.open(tmp_path / "library", create=True, start=fake_engines) as library:
        list(library.index([photos], IndexOptions(model=str(model))))
        list(library.index([photos], IndexOptions(model=str(model), model_options=FP8)))
        assert len({c.name for c in library.info().collections}) == 2
        assert fake_engines.started_engines[-1].spec.precision == "fp8"
        list(library.index([photos]))
        assert len(library.info().collections) == 2
    has_fp8(False)
    with (
        Library.open(tmp_path / "library", start=fake_engines) as library,
        caplog.at_level(logging.INFO, "searchapp"),
    ):
        assert library.search(Query("red"))
        assert (
            "Embedding queries in the usual precision: no GPU here computes fp8" in caplog.messages
        )
        assert fake_engines.started_engines[-1].spec.precision is None
