"""A decoder that gets stuck on some pictures, and whose time limit passes at once for them.

The other pictures have the usual limit of 30 seconds: no test depends on how busy the machine is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchapp.indexing.embedding import pipeline
from searchapp.indexing.embedding.pipeline import DECODE_TIMEOUT_S
from searchapp.models import ModelSpec
from searchapp.pictures import decode
from searchapp.pictures.decode import PreparedPicture
from searchapp.pictures.decoder_threads import ReaderTask
from searchapp.pictures.model_size import ImageInput
from support.fake_engine import FakeEngine

STUCK_FILES = ("03.png", "04.png", "11.png")
REAL_PREPARE = decode.prepare_picture
REAL_LIMIT_TIME = ReaderTask.limit_time

_current = threading.local()  # the task of each reader thread that decodes


def install_stuck_decoder(
    folder: Path, set_attribute: Callable[[Any, str, Any], None] = setattr
) -> None:
    """Replace the decoder by one that gets stuck on the STUCK_FILES of a folder."""
    set_attribute(decode, "prepare_picture", StuckDecoder(folder))
    set_attribute(ReaderTask, "limit_time", _limit_time)


@contextmanager
def _limit_time(task: ReaderTask[Any], timeout_factor: float = 1.0) -> Iterator[None]:
    with REAL_LIMIT_TIME(task, timeout_factor):
        _current.task = task
        yield


class StuckDecoder:
    """Does not return for some pictures, as a decoder in C with an endless loop."""

    def __init__(self, folder: Path) -> None:
        self._stuck_contents = [(folder / name).read_bytes() for name in STUCK_FILES]

    def __call__(self, data: bytes, target: ImageInput, *others: Any) -> PreparedPicture:
        if data in self._stuck_contents:
            _current.task._started_at -= 2 * DECODE_TIMEOUT_S
            time.sleep(600)
        return REAL_PREPARE(data, target, *others)


class StuckDecoderEngine(FakeEngine):
    """Installs the stuck decoder in a worker process."""

    def __init__(self, spec: ModelSpec, folder: str) -> None:
        super().__init__(spec)
        install_stuck_decoder(Path(folder))


class ImpatientEngine(StuckDecoderEngine):
    """Installs the stuck decoder in a worker process that ends when two decoders are stuck."""

    def __init__(self, spec: ModelSpec, folder: str) -> None:
        super().__init__(spec, folder)
        pipeline.MAX_STUCK_DECODERS = 2
