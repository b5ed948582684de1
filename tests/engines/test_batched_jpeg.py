"""Batches of JPEGs: what fails goes back to Pillow, and a broken device is given up."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.pixels import encode_picture

from searchapp.engines import batched_jpeg, gpu_jpeg
from searchapp.engines.batched_jpeg import BatchedJpegDecoder, Pixels
from searchapp.models import resolve_model
from searchapp.pictures.jpeg_decoder import JpegJob

SHOWN = np.zeros((2, 2, 3), np.uint8)
LIBJPEG_GRAY = 128


@pytest.fixture(autouse=True)
def keep_switch_interval() -> Iterator[None]:
    """A decoder that starts lets Python's threads take turns more often."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


def make_job(data: bytes = b"good", pixels: int = 4) -> JpegJob:
    return JpegJob(data, pixels, 2)


def decode_good(jobs: Sequence[JpegJob]) -> list[Pixels]:
    if any(job.data == b"bad" for job in jobs):
        raise RuntimeError("Failed to decode batch: 3")
    return [SHOWN for _ in jobs]


class Gate:
    """Decodes batches one by one, each once it is let through."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.started, self.passes = threading.Semaphore(0), threading.Semaphore(0)

    def decode(self, jobs: Sequence[JpegJob]) -> list[Pixels]:
        self.batches.append([job.data for job in jobs])
        self.started.release()
        self.passes.acquire()
        return decode_good(jobs)


def test_waiting_pictures_become_a_batch_and_a_bad_one_fails_alone() -> None:
    gate = Gate()
    decoder = BatchedJpegDecoder(gate.decode, is_preferred=True, min_pixels=1)
    with ThreadPoolExecutor(8) as pool:
        firsts = []
        for _ in range(batched_jpeg.DECODER_THREADS):  # Each thread waits with one picture.
            firsts.append(pool.submit(decoder.decode, 4, make_job))
            gate.started.acquire()
        others = [
            pool.submit(decoder.decode, 4, lambda data=data: make_job(data))
            for data in (b"good", b"bad", b"good")
        ]
        while decoder._queue.qsize() < 3:
            pass
        for _ in range(20):
            gate.passes.release()
        assert all(each.result() is SHOWN for each in firsts)
        assert [each.result() is SHOWN for each in others] == [True, False, True]
    assert sorted(map(len, gate.batches)) == [1, 1, 1, 1, 1, 3]
    assert decoder.decoded_count == 4
    assert decoder.take_problem() is None
    decoder.close()


def test_the_cores_decode_what_the_device_has_no_slot_for() -> None:
    gate = Gate()
    decoder = BatchedJpegDecoder(gate.decode, is_preferred=False, min_pixels=1)
    with ThreadPoolExecutor(batched_jpeg.MAX_JOBS_IN_FLIGHT) as pool:
        taken = [
            pool.submit(decoder.decode, 4, make_job) for _ in range(batched_jpeg.MAX_JOBS_IN_FLIGHT)
        ]
        gate.started.acquire()
        while decoder._slots.acquire(blocking=False):  # Not all threads have taken theirs yet.
            decoder._slots.release()
        assert decoder.decode(4, make_job) is None
        for _ in taken:
            gate.passes.release()
        assert all(each.result() is SHOWN for each in taken)
    gate.passes.release()
    assert decoder.decode(4, make_job) is SHOWN
    decoder.close()


def test_small_and_huge_pictures_and_unsuitable_ones_take_no_slot() -> None:
    decoder = BatchedJpegDecoder(decode_good, is_preferred=True, min_pixels=3)
    for _ in range(2 * batched_jpeg.MAX_JOBS_IN_FLIGHT):
        assert decoder.decode(4, lambda: None) is None
        with pytest.raises(ValueError, match="broken"):
            decoder.decode(4, fail)
    assert decoder.decode(2, fail) is None
    assert decoder.decode(batched_jpeg.MAX_PIXELS + 1, fail) is None
    assert decoder.decode(4, make_job) is SHOWN
    decoder.close()
    assert decoder.decode(4, make_job) is None


def fail() -> JpegJob:
    raise ValueError("broken")


def test_a_large_batch_is_cut() -> None:
    half = batched_jpeg.MAX_BATCH_PIXELS // 2
    entries = [(make_job(pixels=n), None) for n in (half, half, 1, 3 * half, half)]
    sizes = [[job.pixel_count for job, _ in part] for part in batched_jpeg._cut_batches(entries)]
    assert sizes == [[half, half], [1], [3 * half], [half]]


def test_exhausted_memory_stops_the_decoder_and_is_told_once() -> None:
    def decode(jobs: Sequence[JpegJob]) -> list[Pixels]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    decoder = BatchedJpegDecoder(decode, is_preferred=True, min_pixels=1)
    assert decoder.decode(4, make_job) is None
    assert decoder.decode(4, fail) is None
    assert "too little memory" in str(decoder.take_problem())
    assert decoder.take_problem() is None


def test_a_device_that_fails_with_every_picture_is_given_up() -> None:
    decoder = BatchedJpegDecoder(decode_good, is_preferred=True, min_pixels=1)
    bad = lambda: make_job(b"bad")  # noqa: E731
    for _ in range(batched_jpeg.MAX_FAILURES_IN_A_ROW - 1):
        assert decoder.decode(4, bad) is None
    assert decoder.decode(4, make_job) is SHOWN
    for _ in range(batched_jpeg.MAX_FAILURES_IN_A_ROW):
        assert decoder.decode(4, bad) is None
    assert decoder.decode(4, make_job) is None
    assert "Failed to decode batch" in str(decoder.take_problem())


def test_a_picture_that_the_device_gives_back_is_not_counted() -> None:
    def decode(jobs: Sequence[JpegJob]) -> list[Pixels | None]:
        return [None if job.data == b"cut" else SHOWN for job in jobs]

    decoder = BatchedJpegDecoder(decode, is_preferred=True, min_pixels=1)
    for _ in range(batched_jpeg.MAX_FAILURES_IN_A_ROW + 1):
        assert decoder.decode(4, lambda: make_job(b"cut")) is None
    assert decoder.decode(4, make_job) is SHOWN
    assert (decoder.decoded_count, decoder.take_problem()) == (1, None)
    decoder.close()


class FakeGpu:
    """Lends the same memory again, and leaves the end of a truncated JPEG as it was.

    has_inner_memory: the missing part shows another picture, whatever the lent memory had.
    """

    def __init__(self, *, has_inner_memory: bool = False, lends_other_memory: bool = False) -> None:
        self.has_inner_memory, self.lends_other_memory = has_inner_memory, lends_other_memory
        self.lent: list[Any] = []

    def mark_memory(self, jobs: Sequence[JpegJob]) -> list[int]:
        import torch

        sizes = [Image.open(io.BytesIO(job.data)).size for job in jobs]
        mark = torch.tensor(gpu_jpeg.MARK, dtype=torch.uint8)[:, None, None]
        self.lent = [mark.repeat(1, height, width) for width, height in sizes]
        return [each.data_ptr() for each in self.lent]

    def decode_files(self, jobs: Sequence[JpegJob]) -> list[Any]:
        import torch

        if not self.lent or self.lends_other_memory:
            self.mark_memory(jobs)
        for job, memory in zip(jobs, self.lent, strict=True):
            with Image.open(io.BytesIO(job.data)) as image:
                values = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            is_gray = (values == LIBJPEG_GRAY).all(0)  # what libjpeg shows for a missing part
            is_missing = is_gray & is_gray[-1, -1]
            if self.has_inner_memory:
                values[:, is_missing] = 77
                is_missing[:] = False
            memory[:, ~is_missing] = values[:, ~is_missing]
        lent, self.lent = self.lent, []
        return lent


def encode_noise(share: float = 1.0, side: int = 128) -> JpegJob:
    """Return a JPEG that is cut after a share of its bytes, but has an end marker."""
    noise = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    data = encode_picture(Image.fromarray(noise), "JPEG")
    if share < 1:
        data = data[: int(share * len(data))].rstrip(b"\xff") + b"\xff\xd9"
    return JpegJob(data, side**2, 2)


def test_a_truncated_jpeg_with_an_end_marker_is_given_back() -> None:
    pytest.importorskip("torch")
    gpu = FakeGpu()
    decoder = gpu_jpeg.NvjpegDecoder(gpu.decode_files, gpu.mark_memory)
    assert decoder.notices_truncation
    jobs = [encode_noise(share) for share in (1.0, 0.5, 0.9, 0.95, 1.0)]
    made = decoder.decode_batch(jobs)
    assert [each is not None for each in made] == [True, False, False, False, True]
    assert made[0] is not None
    assert made[0].shape == (64, 64, 3)


@pytest.mark.parametrize("fault", ["has_inner_memory", "lends_other_memory"])
def test_a_gpu_that_hides_truncation_is_only_used_on_demand(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    pytest.importorskip("torch")
    gpu = FakeGpu(**{fault: True})
    decoder = gpu_jpeg.NvjpegDecoder(gpu.decode_files, gpu.mark_memory)
    assert not decoder.notices_truncation
    (made,) = decoder.decode_batch([encode_noise()])
    assert made is not None
    spec = resolve_model("clip-vit-l-14")
    monkeypatch.setattr(gpu_jpeg, "_find_reason_for_cpu", lambda spec: None)
    monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", lambda: decoder)
    assert gpu_jpeg.start_jpeg_decoder(spec, "auto") is None
    demanded = gpu_jpeg.start_jpeg_decoder(spec, "gpu")
    assert demanded is not None
    assert demanded.decode(128**2, encode_noise) is not None
    demanded.close()


def test_a_gpu_that_notices_truncation_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    gpu = FakeGpu()
    decoder = gpu_jpeg.NvjpegDecoder(gpu.decode_files, gpu.mark_memory)
    monkeypatch.setattr(gpu_jpeg, "_find_reason_for_cpu", lambda spec: None)
    monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", lambda: decoder)
    helper = gpu_jpeg.start_jpeg_decoder(resolve_model("clip-vit-l-14"), "auto")
    assert helper is not None
    assert helper.decode(10**6, encode_noise) is not None
    assert helper.decode(10**6, lambda: encode_noise(0.5)) is None
    helper.close()


def test_a_decoder_that_shows_wrong_colors_is_refused() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match="a red picture is not red"):
        gpu_jpeg.NvjpegDecoder(
            lambda jobs: [torch.zeros((3, 512, 512), dtype=torch.uint8) for _ in jobs],
            lambda jobs: [0 for _ in jobs],
        )


def test_without_a_gpu_only_a_demanded_gpu_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    spec = resolve_model("clip-vit-l-14")
    assert gpu_jpeg.start_jpeg_decoder(spec, "cpu") is None
    monkeypatch.setattr(gpu_jpeg, "has_gpu", lambda: False)
    assert gpu_jpeg.start_jpeg_decoder(spec, "auto") is None
    monkeypatch.setattr(gpu_jpeg, "_start_nvjpeg", fail)
    demanded = gpu_jpeg.start_jpeg_decoder(spec, "gpu")
    assert demanded is not None
    assert demanded.decode(10**7, fail) is None
    assert demanded.take_problem() == "nvJPEG does not work (broken)"


def test_a_large_model_keeps_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_jpeg, "has_gpu", lambda: True)
    assert "busy" in str(gpu_jpeg._find_reason_for_cpu(resolve_model("vlm2vec")))


def test_pixels_are_reduced_to_the_mean_of_their_square() -> None:
    """Each picture of a batch by its own factor."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    sizes, factors = ((21, 34), (40, 8), (17, 17)), (2, 4, 8)
    pictures = [rng.integers(0, 256, (3, *size), dtype=np.uint8) for size in sizes]
    jobs = [JpegJob(b"", 4, factor) for factor in factors]
    made = gpu_jpeg.reduce_pictures([torch.from_numpy(each) for each in pictures], jobs)
    for reduced, values, (height, width), factor in zip(
        made, pictures, sizes, factors, strict=True
    ):
        assert reduced.shape == (-(-height // factor), -(-width // factor), 3)
        for row, column in ((0, 0), (reduced.shape[0] - 1, reduced.shape[1] - 1)):
            square = values[:, row * factor :, column * factor :][:, :factor, :factor]
            assert np.abs(reduced[row, column] - square.mean(axis=(1, 2))).max() <= 0.51
