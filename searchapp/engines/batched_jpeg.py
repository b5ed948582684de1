"""Decode JPEGs of many threads in batches on another device; give back to Pillow what fails."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from queue import Empty, SimpleQueue
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchapp.engines.base import summarize_error
from searchapp.engines.vllm_settings import is_out_of_memory
from searchapp.pictures.jpeg_decoder import JpegJob

logger = logging.getLogger(__name__)

Pixels: TypeAlias = "NDArray[np.uint8]"
_Entry: TypeAlias = "tuple[JpegJob, Future[Pixels | None]]"
DecodeBatch: TypeAlias = "Callable[[Sequence[JpegJob]], Sequence[Pixels | None]]"

# The hardware decodes several pictures at once, an H100 or H200 seven: eight processes together
# decoded 1,206 pictures of 12 megapixels per second in batches of 7, and 1,184 in batches of 28.
# An incomplete round takes as long as a complete one. So a thread waits until its batch is full,
# up to FILL_TIMEOUT_S. Meanwhile, the other thread decodes.
DECODER_THREADS, MAX_BATCH_JOBS, FILL_TIMEOUT_S = 2, 7, 0.05
# Pictures that are being decoded, or that wait. Two batches wait, so that the hardware never waits
# for reader threads. With 28 and with 56, eight engines on an H200 were equally fast.
MAX_JOBS_IN_FLIGHT = 2 * DECODER_THREADS * MAX_BATCH_JOBS
MAX_PIXELS = 64_000_000  # A larger picture needs too much GPU memory: 9 bytes for each pixel.
MAX_BATCH_PIXELS = 100_000_000  # Batches are cut here; they need 3 bytes for each pixel.
# Decoding smaller pictures costs the cores less than what they do for each picture anyway.
MIN_PIXELS = 1_000_000
MAX_FAILURES_IN_A_ROW = 8  # of single pictures; then the cause is not the pictures
# With Python's default of 5 ms, a decoder thread mostly waits for Python's lock.
SWITCH_INTERVAL_S = 0.0005
CLOSE_TIMEOUT_S = 1.0  # how long close() waits for both threads together


class BatchedJpegDecoder:
    """Decodes JPEGs on threads of its own; see pictures.jpeg_decoder.JpegDecoder."""

    def __init__(
        self,
        decode_batch: DecodeBatch | None,
        *,
        is_preferred: bool,
        min_pixels: int = MIN_PIXELS,
        problem: str | None = None,
    ) -> None:
        """Start the threads.

        decode_batch: decodes several JPEGs, or raises an exception if any of them fails; it returns
        None for a JPEG that Pillow must decode. decode_batch is None if there is a problem from the
        start.
        is_preferred: whether a picture waits for this decoder if all its slots are taken; else
        Pillow decodes it. min_pixels: Pillow decodes pictures with fewer pixels. problem: why this
        decoder can decode nothing.
        """
        self.decoded_count = 0
        # Entered by a thread while it waits for its picture, so that another thread can run.
        self.wait_context: Callable[[], AbstractContextManager[None]] = nullcontext
        self._is_preferred, self._min_pixels = is_preferred, min_pixels
        self._slots = threading.Semaphore(MAX_JOBS_IN_FLIGHT)
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._taking = threading.Lock()  # held by the thread whose batch fills
        self._failures_in_a_row = 0
        self._problem = problem
        self._lock, self._is_closed = threading.Lock(), False
        self._has_reported_problem = False
        self._threads: list[threading.Thread] = []
        self._former_switch_interval_s: float | None = None
        if decode_batch is not None:
            self._former_switch_interval_s = sys.getswitchinterval()
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            for _ in range(DECODER_THREADS):
                thread = threading.Thread(
                    target=self._run, args=(decode_batch,), name="jpeg-decoder", daemon=True
                )
                thread.start()
                self._threads.append(thread)

    @property
    def is_working(self) -> bool:
        """Return whether this decoder can still decode pictures."""
        return self._problem is None and not self._is_closed

    def decode(self, pixel_count: int, make_job: Callable[[], JpegJob | None]) -> Pixels | None:
        """Decode a JPEG, or return None if Pillow must decode it: see JpegDecoder."""
        if self._problem is not None or not self._min_pixels <= pixel_count <= MAX_PIXELS:
            return None
        with self.wait_context() if self._is_preferred else nullcontext():
            if not self._slots.acquire(blocking=self._is_preferred):
                return None
        try:
            answer = self._submit(make_job)
        except BaseException:
            self._slots.release()
            raise
        if answer is None:
            self._slots.release()
            return None
        with self.wait_context():
            try:
                return answer.result()
            finally:
                self._slots.release()  # before this thread waits for a core

    def take_problem(self) -> str | None:
        """Return why this decoder has stopped for good; None if it works, or at a second call."""
        if self._problem is None or self._has_reported_problem:
            return None
        self._has_reported_problem = True
        return self._problem

    def close(self) -> None:
        """Stop the threads once all waiting pictures are decoded; wait up to CLOSE_TIMEOUT_S."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for _ in self._threads:
                self._queue.put(None)
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._restore_switch_interval()

    def _restore_switch_interval(self) -> None:
        if self._former_switch_interval_s is not None:
            sys.setswitchinterval(self._former_switch_interval_s)
            self._former_switch_interval_s = None

    def _submit(self, make_job: Callable[[], JpegJob | None]) -> Future[Pixels | None] | None:
        job = make_job()
        answer: Future[Pixels | None] = Future()
        with self._lock:
            if job is None or self._is_closed:
                return None
            self._queue.put((job, answer))
        return answer

    def _run(self, decode_batch: DecodeBatch) -> None:
        while entries := self._take_entries():
            for part in _cut_batches(entries):
                results = self._decode_jobs(decode_batch, [job for job, _ in part])
                for (_, answer), pixels in zip(part, results, strict=True):
                    answer.set_result(pixels)

    def _take_entries(self) -> list[_Entry]:
        """Wait for pictures; return a full batch, or what came within FILL_TIMEOUT_S.

        Return an empty list if the decoder was closed.
        """
        entries: list[_Entry] = []
        with self._taking, suppress(Empty):
            timeout_s: float | None = None  # for the first picture
            deadline = 0.0
            while len(entries) < MAX_BATCH_JOBS:
                if (entry := self._queue.get(timeout=timeout_s)) is None:
                    if entries:
                        self._queue.put(None)  # for this thread's next turn
                    break
                entries.append(entry)
                deadline = deadline or time.monotonic() + FILL_TIMEOUT_S
                timeout_s = max(0.0, deadline - time.monotonic())
        return entries

    def _decode_jobs(self, decode_batch: DecodeBatch, jobs: list[JpegJob]) -> list[Pixels | None]:
        """Decode a batch; if it fails, decode each picture alone, to find out which one fails."""
        if self._problem is not None:
            return [None] * len(jobs)
        try:
            decoded = decode_batch(jobs)
            if len(decoded) != len(jobs):
                raise RuntimeError(f"{len(decoded)} of {len(jobs)} pictures were decoded")
        except Exception as error:  # torch and nvJPEG raise many types.
            if is_out_of_memory(error):
                self._stop(f"the GPU has too little memory ({summarize_error(error)})")
                return [None] * len(jobs)
            if len(jobs) > 1:
                return [pixels for job in jobs for pixels in self._decode_jobs(decode_batch, [job])]
            self._failures_in_a_row += 1
            logger.debug("The GPU does not decode a JPEG: %s", summarize_error(error))
            if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                self._stop(summarize_error(error))
            return [None]
        self._failures_in_a_row = 0
        self.decoded_count += sum(pixels is not None for pixels in decoded)
        return list(decoded)

    def _stop(self, problem: str) -> None:
        self._problem = problem
        self._restore_switch_interval()
        logger.info("Decoding all pictures on the CPU from now on: %s", problem)


def _cut_batches(entries: list[_Entry]) -> list[list[_Entry]]:
    """Cut a list of jobs into batches of at most MAX_BATCH_PIXELS, or of a single picture."""
    batches: list[list[_Entry]] = []
    total = 0
    for entry in entries:
        total += entry[0].shape.pixel_count
        if not batches or total > MAX_BATCH_PIXELS:
            batches.append([])
            total = entry[0].shape.pixel_count
        batches[-1].append(entry)
    return batches
