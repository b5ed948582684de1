"""Make what pictures are compared by: each is decoded once, on several threads, and kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from searchapp.catalog import Fingerprints, ImageWithFiles
from searchapp.duplicates import fingerprint as prints
from searchapp.engines.machine import list_cores
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.pictures import decode
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask
from searchapp.types import CatalogedFile, Failure, FileFailed, Progress
from searchapp.vectors import Ids

DECODE_TIMEOUT_S = 30.0  # that a picture may take to decode
MAX_IMAGES_AHEAD = 64  # pictures given to the threads
SAVE_INTERVAL_S = 2.0  # seconds

Computed = TypeVar("Computed")
Fingerprint = tuple[int, bytes]  # hash, small copy
ComputeOutcome = tuple[int, Computed | Failure]


def make_fingerprints(store: Fingerprints, image_ids: Ids) -> Iterator[Progress | FileFailed]:
    """Make the fingerprints of images, and keep them as they come; the caller holds the lock."""
    yield from _compute_for_images(store, image_ids, _compute_fingerprint, _save_fingerprints)


def make_pixel_hashes(store: Fingerprints, image_ids: Ids) -> Iterator[Progress | FileFailed]:
    """Make the hashes of images' pixels, and keep them as they come."""
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
    """Do something with a file of every image; save it now and then, and when interrupted."""
    readers = ReaderPool[ComputeOutcome[Computed]](len(list_cores()))
    started_at = saved_at = time.monotonic()
    done_count, computed = 0, list[tuple[int, Computed]]()
    rest = store.load_images(image_ids)
    running_tasks: deque[tuple[ImageWithFiles, ReaderTask[ComputeOutcome[Computed]]]] = deque()
    try:
        while True:
            for image in islice(rest, MAX_IMAGES_AHEAD - len(running_tasks)):
                running_tasks.append(
                    (image, readers.submit(partial(_compute_from_first_file, image, compute)))
                )
            if not running_tasks:
                break
            image, reading = running_tasks.popleft()
            image_id, result = readers.wait_for_result(
                reading, DECODE_TIMEOUT_S, partial(_make_timeout_failure, image)
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
    message = f"takes longer than {DECODE_TIMEOUT_S:.0f} s to decode"
    return image.image_id, Failure(image.files[0].path, "decode", message)


def _compute_from_first_file(
    image: ImageWithFiles,
    compute: Callable[[CatalogedFile, float, ReaderTask[ComputeOutcome[Computed]]], Computed],
    reading: ReaderTask[ComputeOutcome[Computed]],
) -> ComputeOutcome[Computed]:
    """Take the first file of an image that is as it was."""
    failure = Failure(image.files[0].path, "read", "no file")
    megapixels = image.width * image.height / 1e6 + 1  # what was indexed may be decoded again
    for number, file in enumerate(image.files):
        try:
            return image.image_id, compute(file, megapixels, reading)
        except PictureError as error:
            if number == 0:
                failure = Failure(file.path, error.stage, str(error))
    return image.image_id, failure


def _read_unchanged_file(file: CatalogedFile) -> bytes:
    data, state = storage.read_file(file.path)
    if state != storage.FileState(file.size, file.mtime_ns):
        raise PictureError("changed since it was indexed; `searchapp index` again", stage="read")
    return data


def _compute_fingerprint(
    file: CatalogedFile, megapixels: float, reading: ReaderTask[ComputeOutcome[Fingerprint]]
) -> Fingerprint:
    data = _read_unchanged_file(file)
    with reading.limit_time():
        decode_size = (prints.MIN_DECODE_SIDE_PX, prints.MIN_DECODE_SIDE_PX)
        copy = prints.compute_fingerprint(
            decode.decode_picture(data, lambda *_: decode_size, megapixels)[0]
        )
    luma, _ = prints.unpack_copies([copy])
    return int(prints.compute_hashes(prints.compute_coefficients(luma))[0]), copy


def _compute_pixel_hash(
    file: CatalogedFile, megapixels: float, reading: ReaderTask[ComputeOutcome[str]]
) -> str:
    data = _read_unchanged_file(file)
    with reading.limit_time():
        image, _ = decode.decode_picture(data, lambda width, height: (width, height), megapixels)
        return prints.compute_pixel_hash(image)
