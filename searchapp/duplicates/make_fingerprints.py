"""Make what pictures are compared by: each is decoded once, on several threads, and kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import TypeVar

from searchapp.catalog import Filed, Fingerprints
from searchapp.duplicates import fingerprint as prints
from searchapp.engines.machine import cores
from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.pictures import decode
from searchapp.pictures.decoder_threads import Readers, Reading
from searchapp.types import Failed, Failure, KnownFile, Progress
from searchapp.vectors import Ids

SECONDS = 30.0  # that a picture may take to decode
AHEAD = 64  # pictures given to the threads
SAVE_EVERY = 2.0  # seconds

Made = TypeVar("Made")
Print = tuple[int, bytes]  # hash, small copy
Outcome = tuple[int, Made | Failure]


def make(store: Fingerprints, image_ids: Ids) -> Iterator[Progress | Failed]:
    """Make the fingerprints of images, and keep them as they come; the caller holds the lock."""
    yield from _each(store, image_ids, _fingerprint, _save_prints)


def make_pixels(store: Fingerprints, image_ids: Ids) -> Iterator[Progress | Failed]:
    """Make the hashes of images' pixels, and keep them as they come."""
    yield from _each(store, image_ids, _pixels, Fingerprints.save_pixels)


def _save_prints(store: Fingerprints, made: list[tuple[int, Print]]) -> None:
    store.save((image_id, *each) for image_id, each in made)


def _each(
    store: Fingerprints,
    image_ids: Ids,
    of: Callable[[KnownFile, float, Reading[Outcome[Made]]], Made],
    save: Callable[[Fingerprints, list[tuple[int, Made]]], None],
) -> Iterator[Progress | Failed]:
    """Do something with a file of every image; save it now and then, and when interrupted."""
    readers = Readers[Outcome[Made]](len(cores()))
    begun = saved = time.monotonic()
    done, made = 0, list[tuple[int, Made]]()
    rest = store.describe(image_ids)
    ahead: deque[tuple[Filed, Reading[Outcome[Made]]]] = deque()
    try:
        while True:
            for image in islice(rest, AHEAD - len(ahead)):
                ahead.append((image, readers.submit(partial(_try, image, of))))
            if not ahead:
                break
            image, reading = ahead.popleft()
            image_id, result = readers.result(reading, SECONDS, partial(_late, image))
            done += 1
            if isinstance(result, Failure):
                yield Failed(result)
            else:
                made.append((image_id, result))
            if time.monotonic() - saved > SAVE_EVERY:
                save(store, made)
                made, saved = [], time.monotonic()
            yield Progress(done, len(image_ids), done / (time.monotonic() - begun))
    finally:
        readers.close()
        save(store, made)


def _late(image: Filed) -> Outcome[Made]:
    message = f"takes longer than {SECONDS:.0f} s to decode"
    return image.image_id, Failure(image.files[0].path, "decode", message)


def _try(
    image: Filed,
    of: Callable[[KnownFile, float, Reading[Outcome[Made]]], Made],
    reading: Reading[Outcome[Made]],
) -> Outcome[Made]:
    """Take the first file of an image that is as it was."""
    failure = Failure(image.files[0].path, "read", "no file")
    megapixels = image.width * image.height / 1e6 + 1  # what was indexed may be decoded again
    for number, file in enumerate(image.files):
        try:
            return image.image_id, of(file, megapixels, reading)
        except PictureError as error:
            if number == 0:
                failure = Failure(file.path, error.stage, str(error))
    return image.image_id, failure


def _read(file: KnownFile) -> bytes:
    data, state = storage.read(file.path)
    if state != storage.State(file.size, file.mtime_ns):
        raise PictureError("changed since it was indexed; `searchapp index` again", stage="read")
    return data


def _fingerprint(file: KnownFile, megapixels: float, reading: Reading[Outcome[Print]]) -> Print:
    data = _read(file)
    with reading.limited():
        enough = (prints.ENOUGH, prints.ENOUGH)
        copy = prints.fingerprint(decode.decode(data, lambda *_: enough, megapixels)[0])
    luma, _ = prints.unpack([copy])
    return int(prints.hashes(prints.coefficients(luma))[0]), copy


def _pixels(file: KnownFile, megapixels: float, reading: Reading[Outcome[str]]) -> str:
    data = _read(file)
    with reading.limited():
        image, _ = decode.decode(data, lambda width, height: (width, height), megapixels)
        return prints.pixel_hash(image)
