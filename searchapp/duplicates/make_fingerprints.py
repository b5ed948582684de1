"""Decode pictures on several threads, and save their fingerprints or pixel hashes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from searchapp.catalog import Fingerprints, ImageWithFiles
from searchapp.duplicates import fingerprint as prints
from searchapp.duplicates.read_file import read_unchanged_file
from searchapp.engines.machine import list_cores
from searchapp.errors import PictureError
from searchapp.pictures import frames
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask
from searchapp.types import CatalogedFile, Failure, FileFailed, Progress
from searchapp.vectors import Ids

DECODE_TIMEOUT_S = 30.0  # for one picture
MAX_IMAGES_AHEAD = 64  # pictures in the threads' queue
SAVE_INTERVAL_S = 2.0

Computed = TypeVar("Computed")
Fingerprint = tuple[int, int | None, bytes]  # hash, hash of the content, fingerprint
ComputeOutcome = tuple[int, Computed | Failure]


def make_fingerprints(store: Fingerprints, image_ids: Ids) -> Iterator[Progress | FileFailed]:
    """Compute and save the fingerprints of images; the caller holds the writer lock."""
    yield from _compute_for_images(store, image_ids, _compute_fingerprint, _save_fingerprints)


def make_pixel_hashes(store: Fingerprints, image_ids: Ids) -> Iterator[Progress | FileFailed]:
    """Compute and save the hashes of images' pixels; the caller holds the writer lock."""
    yield from _compute_for_images(
        store, image_ids, _compute_pixel_hash, Fingerprints.save_pixel_hashes
    )


def _save_fingerprints(store: Fingerprints, made: list[tuple[int, Fingerprint]]) -> None:
    store.save_fingerprints((image_id, *each) for image_id, each in made)


def _compute_for_images(
    store: Fingerprints,
    image_ids: Ids,
    compute: Callable[[CatalogedFile, float, ReaderTask[ComputeOutcome[Computed]]], Computed],
    save: Callable[[Fingerprints, list[tuple[int, Computed]]], None],
) -> Iterator[Progress | FileFailed]:
    """Compute a value for each image; save values every SAVE_INTERVAL_S and when interrupted."""
    readers = ReaderPool[ComputeOutcome[Computed]](len(list_cores()))
    started_at = saved_at = time.monotonic()
    done_count, computed = 0, list[tuple[int, Computed]]()
    images = store.load_images(image_ids)
    running_tasks: deque[tuple[ImageWithFiles, ReaderTask[ComputeOutcome[Computed]]]] = deque()
    try:
        while True:
            for image in islice(images, MAX_IMAGES_AHEAD - len(running_tasks)):
                running_tasks.append(
                    (image, readers.submit(partial(_compute_from_first_file, image, compute)))
                )
            if not running_tasks:
                break
            image, task = running_tasks.popleft()
            image_id, result = readers.wait_for_result(
                task, DECODE_TIMEOUT_S, partial(_make_timeout_failure, image)
            )
            done_count += 1
            if isinstance(result, Failure):
                yield FileFailed(result)
            else:
                computed.append((image_id, result))
            if time.monotonic() - saved_at > SAVE_INTERVAL_S:
                save(store, computed)
                computed, saved_at = [], time.monotonic()
            yield Progress(done_count, len(image_ids), done_count / (time.monotonic() - started_at))
    finally:
        readers.close()
        save(store, computed)


def _make_timeout_failure(image: ImageWithFiles) -> ComputeOutcome[Computed]:
    message = f"decoding took longer than {DECODE_TIMEOUT_S:.0f} s"
    return image.image_id, Failure(image.files[0].path, "decode", message)


def _compute_from_first_file(
    image: ImageWithFiles,
    compute: Callable[[CatalogedFile, float, ReaderTask[ComputeOutcome[Computed]]], Computed],
    task: ReaderTask[ComputeOutcome[Computed]],
) -> ComputeOutcome[Computed]:
    """Compute a value from the first file of an image that is readable and unchanged.

    If there is no such file, return the failure of the first file.
    """
    failure = Failure(image.files[0].path, "read", "no file")
    # The limit for large pictures must not refuse a picture that is already indexed.
    megapixels = image.width * image.height / 1e6 + 1
    for number, file in enumerate(image.files):
        try:
            return image.image_id, compute(file, megapixels, task)
        except PictureError as error:
            if number == 0:
                failure = Failure(file.path, error.stage, str(error))
    return image.image_id, failure


def _compute_fingerprint(
    file: CatalogedFile, megapixels: float, task: ReaderTask[ComputeOutcome[Fingerprint]]
) -> Fingerprint:
    data = read_unchanged_file(file)
    with task.limit_time():
        decode_size = (prints.MIN_DECODE_SIDE_PX, prints.MIN_DECODE_SIDE_PX)
        image = next(frames.decode_frames(data, lambda *_: decode_size, megapixels)).colors
        fingerprint = prints.compute_fingerprint(image, frames.count_frames(data, megapixels))
    content = prints.unpack_content(fingerprint)
    content_hash = None if content is None else _hash_small_copy(content[1])
    return _hash_small_copy(fingerprint), content_hash, fingerprint


def _hash_small_copy(copy: bytes) -> int:
    luma, _ = prints.unpack_copies([copy])
    return int(prints.compute_hashes(prints.compute_coefficients(luma))[0])


def _compute_pixel_hash(
    file: CatalogedFile, megapixels: float, task: ReaderTask[ComputeOutcome[str]]
) -> str:
    data = read_unchanged_file(file)
    with task.limit_time():
        return frames.hash_frames(data, megapixels)
