"""Batches of JPEGs: what fails goes back to Pillow, and a broken device is given up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from support.jpeg_decoders import make_job

from searchapp.engines import batched_jpeg
from searchapp.engines.batched_jpeg import BatchedJpegDecoder, Pixels
from searchapp.pictures.jpeg_decoder import JpegJob

NORMAL_INTERVAL_S = 0.005
SHOWN = np.zeros((2, 2, 3), np.uint8)


@pytest.fixture(autouse=True)
def set_switch_interval() -> Iterator[None]:
    """A decoder changes it while it works."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(NORMAL_INTERVAL_S)
    yield
    sys.setswitchinterval(before)


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


def test_a_batch_waits_until_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the pictures come one by one: the hardware decodes them in one round."""
    monkeypatch.setattr(batched_jpeg, "FILL_TIMEOUT_S", 60.0)
    gate = Gate()
    decoder = BatchedJpegDecoder(gate.decode, is_preferred=True, min_pixels=1)
    with ThreadPoolExecutor(batched_jpeg.MAX_BATCH_JOBS) as pool:
        results = []
        for number in range(batched_jpeg.MAX_BATCH_JOBS):
            assert not gate.batches, number
            results.append(pool.submit(decoder.decode, 4, make_job))
            while decoder._queue.qsize():  # until the thread has taken it
                time.sleep(0.001)
        gate.passes.release()
        assert all(each.result() is SHOWN for each in results)
    assert list(map(len, gate.batches)) == [batched_jpeg.MAX_BATCH_JOBS]
    decoder.close()


def test_a_batch_that_does_not_fill_is_decoded_after_a_while() -> None:
    decoder = BatchedJpegDecoder(decode_good, is_preferred=True, min_pixels=1)
    assert decoder.decode(4, make_job) is SHOWN
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
    assert not decoder.is_working
    assert decoder.decode(4, make_job) is None


def fail() -> JpegJob:
    raise ValueError("broken")


def test_a_large_batch_is_cut() -> None:
    half = batched_jpeg.MAX_BATCH_PIXELS // 2
    entries = [(make_job(pixels=n), None) for n in (half, half, 1, 3 * half, half)]
    sizes = [
        [job.shape.pixel_count for job, _ in part] for part in batched_jpeg._cut_batches(entries)
    ]
    assert sizes == [[half, half], [1], [3 * half], [half]]


def test_exhausted_memory_stops_the_decoder_and_is_reported_once() -> None:
    def decode(jobs: Sequence[JpegJob]) -> list[Pixels]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    decoder = BatchedJpegDecoder(decode, is_preferred=True, min_pixels=1)
    assert decoder.decode(4, make_job) is None
    assert decoder.decode(4, fail) is None
    assert "too little memory" in str(decoder.take_problem())
    assert decoder.take_problem() is None
    assert sys.getswitchinterval() == pytest.approx(NORMAL_INTERVAL_S)


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


def test_a_decoder_that_loses_pictures_is_given_up() -> None:
    """Else their threads would wait forever."""
    decoder = BatchedJpegDecoder(lambda jobs: [], is_preferred=True, min_pixels=1)
    for _ in range(batched_jpeg.MAX_FAILURES_IN_A_ROW):
        assert decoder.decode(4, make_job) is None
    assert "0 of 1 pictures" in str(decoder.take_problem())
    assert not decoder.is_working


def test_a_closed_decoder_has_answered_all_and_restores_the_switch_interval() -> None:
    gate = Gate()
    decoder = BatchedJpegDecoder(gate.decode, is_preferred=True, min_pixels=1)
    waits: list[None] = []

    @contextmanager
    def count_wait() -> Iterator[None]:
        waits.append(None)
        yield

    decoder.wait_context = count_wait
    assert sys.getswitchinterval() < NORMAL_INTERVAL_S / 2
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(decoder.decode, 4, make_job) for _ in range(4)]
        gate.started.acquire()
        while len(waits) < 2 * len(waiting):  # each waits for a slot, and then for its picture
            time.sleep(0.001)
        for _ in waiting:
            gate.passes.release()
        decoder.close()
        assert all(each.result() is SHOWN for each in waiting)
    assert sys.getswitchinterval() == pytest.approx(NORMAL_INTERVAL_S)
    decoder.close()
