"""Whether the GPU decodes JPEGs; any failure leads to the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from support.fake_gpu import FakeGpu, make_picture_job

from searchapp.engines import gpu_jpeg
from searchapp.engines.proven_jpeg import ProvenDecoder
from searchapp.models import resolve_model

SPEC = resolve_model("clip-vit-l-14")
MEGAPIXEL = 10**6


def make_fake_torch(capability: tuple[int, int] = (9, 0), is_initialized: bool = True) -> object:
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_initialized=lambda: is_initialized,
            get_device_capability=lambda: capability,
            get_device_name=lambda: "Tesla T4",
        )
    )


@pytest.fixture
def use_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], ProvenDecoder]], None]:
    """Return a function that sets how the decoder of a GPU starts."""

    def use(start: Callable[[], ProvenDecoder]) -> None:
        monkeypatch.setattr(gpu_jpeg, "has_gpu", lambda: True)
        monkeypatch.setitem(sys.modules, "torch", make_fake_torch())
        monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", start)

    return use


def fail() -> ProvenDecoder:
    raise ImportError("No module named 'torchvision'")


def test_a_proven_gpu_helps_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(gpu_jpeg, "_find_reason_for_cpu", lambda spec, is_preferred: None)
    monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", FakeGpu().start)
    helper = gpu_jpeg.start_jpeg_decoder(SPEC, "auto")
    assert helper is not None
    assert helper.decode(MEGAPIXEL, make_picture_job) is None  # the first of its shape
    assert helper.decode(MEGAPIXEL, make_picture_job) is not None
    assert helper.decode(MEGAPIXEL, lambda: make_picture_job(0.5)) is None
    assert helper.decode(1000, make_picture_job) is None
    assert helper.take_problem() is None
    helper.close()


@pytest.mark.parametrize("device", ["auto", "gpu"])
@pytest.mark.parametrize("fault", ["shows_noise", "shows_other_colors"])
def test_a_gpu_with_a_fault_is_never_used_and_this_is_reported(
    monkeypatch: pytest.MonkeyPatch, device: str, fault: str
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(gpu_jpeg, "_find_reason_for_cpu", lambda spec, is_preferred: None)
    monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", FakeGpu(**{fault: True}).start)
    decoder = gpu_jpeg.start_jpeg_decoder(SPEC, device)
    assert decoder is not None
    assert not decoder.is_working
    assert decoder.decode(MEGAPIXEL, make_picture_job) is None
    assert "nvJPEG does not work" in str(decoder.take_problem())
    assert decoder.take_problem() is None


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_missing_nvjpeg_is_reported(
    use_gpu: Callable[[Callable[[], ProvenDecoder]], None], device: str
) -> None:
    use_gpu(fail)
    decoder = gpu_jpeg.start_jpeg_decoder(SPEC, device)
    assert decoder is not None
    assert not decoder.is_working
    assert decoder.take_problem() == "nvJPEG does not work (No module named 'torchvision')"


def test_a_gpu_that_cannot_be_asked_is_reported(
    use_gpu: Callable[[Callable[[], ProvenDecoder]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_gpu(fail)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    decoder = gpu_jpeg.start_jpeg_decoder(SPEC, "auto")
    assert decoder is not None
    assert "has no attribute 'cuda'" in str(decoder.take_problem())


def test_without_a_gpu_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_jpeg, "has_gpu", lambda: False)
    monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", fail)
    assert gpu_jpeg.start_jpeg_decoder(SPEC, "cpu") is None
    assert gpu_jpeg.start_jpeg_decoder(SPEC, "auto") is None
    demanded = gpu_jpeg.start_jpeg_decoder(SPEC, "gpu")
    assert demanded is not None
    assert demanded.take_problem() == "there is no GPU"


@pytest.mark.parametrize(
    ("model", "torch", "reason"),
    [
        ("vlm2vec", make_fake_torch(), "vlm2vec keeps the GPU busy"),
        ("clip-vit-l-14", None, "does not use the GPU"),
        ("clip-vit-l-14", make_fake_torch(is_initialized=False), "does not use the GPU"),
        ("clip-vit-l-14", make_fake_torch((7, 5)), "Tesla T4 has no JPEG hardware"),
    ],
)
def test_a_gpu_that_would_not_help_is_silent(
    use_gpu: Callable[[Callable[[], ProvenDecoder]], None],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    torch: object,
    reason: str,
) -> None:
    use_gpu(fail)
    monkeypatch.setitem(sys.modules, "torch", torch)
    spec = resolve_model(model)
    assert gpu_jpeg.start_jpeg_decoder(spec, "auto") is None
    assert reason in str(gpu_jpeg._find_reason_for_cpu(spec, is_preferred=False))
    assert gpu_jpeg._find_reason_for_cpu(spec, is_preferred=True) is None
