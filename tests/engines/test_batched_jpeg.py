"""Batches of JPEGs: what fails goes back to Pillow, and a broken device is given up."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from searchapp.engines import batched_jpeg, gpu_jpeg
from searchapp.engines.batched_jpeg import BatchedJpegDecoder, Pixels
from searchapp.models import resolve_model
from searchapp.pictures.jpeg_decoder import JpegJob

SHOWN = np.zeros((2, 2, 3), np.uint8)


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
