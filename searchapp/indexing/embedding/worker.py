"""Run one engine in a worker process: receive files from the parent, and send their outcomes.

The parent (replicas.py) starts the process with a socket. The socket carries the EmbeddingJob,
then batches of files to the worker, and messages to the parent. A message is JSON; vectors follow
it in the catalog's format.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any

from searchapp.catalog import EmbeddedImageLookup, FileTask
from searchapp.engines.base import Engine, Refusal
from searchapp.engines.batched_jpeg import BatchedJpegDecoder
from searchapp.errors import SearchAppError, error_to_dict
from searchapp.files.file_state import FileState
from searchapp.indexing.embedding import log_relay
from searchapp.indexing.embedding.log_relay import LogBuffer
from searchapp.indexing.embedding.outcomes import (
    EmbeddedFrame,
    EmbeddedPicture,
    KnownPicture,
    Outcome,
)
from searchapp.indexing.embedding.pipeline import DECODE_TIMEOUT_S, Pipeline, StartedBatch
from searchapp.models import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput
from searchapp.types import MAX_MEGAPIXELS, DecodeDevice, Failure, PictureInfo

LOCAL_ENGINE_PATH = "searchapp.engines.local:LocalEngine"
JPEG_DECODER_PATH = "searchapp.engines.gpu_jpeg:start_jpeg_decoder"

# The values of each field, for messages. dataclasses.astuple() takes ten times as long, because it
# copies each value; with thousands of files per second, the parent process is busy with that.
_read_task = attrgetter(*(each.name for each in fields(FileTask)))
_read_state = attrgetter(*(each.name for each in fields(FileState)))


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """What every worker of an index run needs: model, engine, and how to find embedded images."""

    spec: ModelSpec
    catalog_file: str | None = None  # with the embedded images; None: embed every file
    collection_id: int = 0
    max_megapixels: float = MAX_MEGAPIXELS
    engine: str = LOCAL_ENGINE_PATH  # MODULE:CALLABLE, called with the spec and the arguments
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of the engine
    decode: DecodeDevice = "auto"  # where JPEGs are decoded
    jpeg_decoder: str = JPEG_DECODER_PATH  # MODULE:CALLABLE, called with the spec and `decode`
    threads: int = 1  # that read and decode
    decode_timeout_s: float = DECODE_TIMEOUT_S
    update_colors: bool = False  # embed images again that have other colors now
    starts_early: bool = False  # start the engine at once, not with the first picture
    log_level: int = logging.WARNING  # Records of this level or above are sent to the parent.

    def open_lookup(self) -> EmbeddedImageLookup | None:
        """Open the lookup of embedded images that need no embedding; None: embed every file."""
        if self.catalog_file is None:
            return None
        return EmbeddedImageLookup(
            self.catalog_file, self.collection_id, update_colors=self.update_colors
        )

    def start_jpeg_decoder(self) -> BatchedJpegDecoder | None:
        """Start the decoder of JPEGs in a process with a running engine; None: use Pillow."""
        started: BatchedJpegDecoder | None = _import_callable(self.jpeg_decoder)(
            self.spec, self.decode
        )
        return started

    def to_json(self) -> bytes:
        """Return the job as JSON that a worker can read."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> EmbeddingJob:
        """Return the job from the JSON of `to_json`."""
        values = json.loads(data)
        spec = values["spec"]
        spec["prompts"] = Prompts(**spec["prompts"])
        image = spec["image"]
        spec["image"] = ImageInput(**{**image, "fill": tuple(image["fill"])})
        for name in ("code", "download"):
            spec[name] = tuple(spec[name])
        return cls(**{**values, "spec": ModelSpec(**spec)})


def load_engine_class(job: EmbeddingJob) -> Callable[..., Engine]:
    """Import the callable that creates the engine of a job."""
    engine_class: Callable[..., Engine] = _import_callable(job.engine)
    return engine_class


def _import_callable(path: str) -> Callable[..., Any]:
    module, name = path.split(":")
    imported: Callable[..., Any] = getattr(import_module(module), name)
    return imported


def main() -> None:
    """Run a worker; the first command line argument is the number of its socket to the parent."""
    connection = Connection(int(sys.argv[1]))
    try:
        job = EmbeddingJob.from_json(connection.recv_bytes())
        parent = _Parent(connection, log_relay.start_collecting(job.log_level))
        try:
            _serve_parent(job, parent)
        except SearchAppError as error:
            parent.send({"error": error_to_dict(error)})
    except (EOFError, OSError):  # The parent has ended.
        pass
    sys.stderr.flush()
    # A regular exit takes torch several seconds. The socket closes only with the process: the
    # parent ends a worker whose socket is closed, and would hide this exit code.
    os._exit(0)


class _Parent:
    """Sends messages to the parent process; adds the log records since the last message."""

    def __init__(self, connection: Connection, logs: LogBuffer) -> None:
        self.connection, self._logs = connection, logs

    def send(self, message: Mapping[str, Any]) -> None:
        logs = {"logs": entries} if (entries := self._logs.take_entries()) else {}
        self.connection.send_bytes(json.dumps({**message, **logs}).encode())


def _serve_parent(job: EmbeddingJob, parent: _Parent) -> None:
    """Embed the parent's batches until the parent ends, or until too many decoders are stuck."""
    # Before this message, the worker's end cannot be the fault of a file.
    parent.send({"up": True})
    lookup = job.open_lookup()

    def start_engine() -> Engine:
        engine = load_engine_class(job)(job.spec, **job.arguments)
        parent.send({"ready": True})
        return engine

    pipeline = Pipeline(
        job.spec,
        start_engine,
        lookup,
        max_megapixels=job.max_megapixels,
        threads=job.threads,
        decode_timeout_s=job.decode_timeout_s,
        start_jpeg_decoder=job.start_jpeg_decoder,
    )
    if job.starts_early:
        pipeline.start_engine()
    started_batches: deque[tuple[int, StartedBatch]] = deque()  # with the parent's numbers
    while not pipeline.is_stuck:
        while not started_batches or parent.connection.poll():
            message = json.loads(parent.connection.recv_bytes())
            tasks = [FileTask(*values) for values in message["files"]]
            started = pipeline.start_batch(tasks, is_cpu_only=message["is_cpu_only"])
            started_batches.append((message["batch"], started))
        number, batch = started_batches.popleft()
        if pipeline.needs_engine_start(batch):
            parent.send({"starting": True})
        outcomes = pipeline.embed_batch(batch)
        _send_outcomes(parent, number, outcomes, pipeline)


def send_files(
    connection: Connection, number: int, tasks: list[FileTask], *, is_cpu_only: bool
) -> None:
    """Send a batch of files and its number to a worker. is_cpu_only: the CPU decodes all."""
    files = [_read_task(task) for task in tasks]
    message = {"batch": number, "files": files, "is_cpu_only": is_cpu_only}
    connection.send_bytes(json.dumps(message).encode())


def _send_outcomes(
    parent: _Parent, number: int, outcomes: list[Outcome], pipeline: Pipeline
) -> None:
    """Send the outcomes of a batch and the state of the pipeline as JSON, then the vectors."""
    vectors: list[bytes] = []
    encoded_outcomes = []
    for outcome in outcomes:
        result: Any
        match outcome.result:
            case EmbeddedPicture(sha256, info, vector, frame_time_s, frames):
                refused = vector.reason if isinstance(vector, Refusal) else None
                if not isinstance(vector, Refusal):
                    vectors.append(vector)
                vectors += [frame.vector for frame in frames]
                result = {
                    "sha256": sha256, "info": info.to_dict(), "refused": refused,
                    "seconds": frame_time_s, "frames": [frame.seconds for frame in frames],
                }  # fmt: skip
            case KnownPicture(image_id):
                result = image_id
            case Failure() as failure:
                result = [failure.path, failure.stage, failure.message]
        encoded_outcomes.append([_read_state(outcome.state), result])
    size = len(vectors[0]) if vectors else 0
    parent.send(
        {
            "batch": number,
            "outcomes": encoded_outcomes,
            "vector_bytes": size,
            "seconds": dict(pipeline.take_stage_seconds()),
            "gpu_decoded": pipeline.gpu_decoded_count,
            "decoder_problem": pipeline.take_decoder_problem(),
        }
    )
    if vectors:
        parent.connection.send_bytes(b"".join(vectors))


def receive_outcomes(
    connection: Connection, message: dict[str, Any], tasks: list[FileTask]
) -> list[Outcome]:
    """Receive the vectors that follow a message; return the outcomes of its batch.

    tasks: the files of the batch, in the order in which they were sent.
    """
    encoded_outcomes, size = message["outcomes"], message["vector_bytes"]
    vectors = connection.recv_bytes() if size else b""
    outcomes, offset = [], 0

    def take_vector() -> bytes:
        nonlocal offset
        offset += size
        return vectors[offset - size : offset]

    for task, (state, values) in zip(tasks, encoded_outcomes, strict=True):
        result: EmbeddedPicture | KnownPicture | Failure
        if isinstance(values, int):
            result = KnownPicture(values)
        elif isinstance(values, list):
            result = Failure(*values)
        else:
            refused = values["refused"]
            vector = take_vector() if refused is None else Refusal(refused)
            frames = tuple(EmbeddedFrame(seconds, take_vector()) for seconds in values["frames"])
            info = PictureInfo.from_dict(values["info"])
            result = EmbeddedPicture(values["sha256"], info, vector, values["seconds"], frames)
        outcomes.append(Outcome(task, result, FileState(*state)))
    return outcomes


def receive_message(connection: Connection, source: str) -> dict[str, Any]:
    """Return the next message of a worker; log the records in this message.

    source: the worker's name in the log. Raises EOFError or OSError if the worker has ended.
    """
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    log_relay.relay_entries(message.pop("logs", ()), source)
    return message
