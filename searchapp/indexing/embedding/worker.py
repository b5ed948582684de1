"""A worker: a process that embeds the files it is told, with an engine of its own.

It is started by engines/replicas.py with a socket, on which come a Job and then batches of files,
and go outcomes: JSON, and the vectors as they are stored.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from searchapp.catalog import EmbeddedImageLookup, FileTask
from searchapp.engines.base import Engine, Refusal
from searchapp.errors import SearchAppError, error_to_dict
from searchapp.indexing.embedding.pipeline import (
    DECODE_TIMEOUT_S,
    EmbeddedFrame,
    EmbeddedPicture,
    KnownPicture,
    Outcome,
    Pipeline,
    StartedBatch,
)
from searchapp.models import ModelSpec, Prompts
from searchapp.pictures.model_size import ImageInput
from searchapp.types import MAX_MEGAPIXELS, Failure, PictureInfo

LOCAL_ENGINE_PATH = "searchapp.engines.local:LocalEngine"


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """What a worker does with every file: which model, which engine, and what is known already."""

    spec: ModelSpec
    catalog_file: str | None = None  # the catalogue's file; None: nothing is known
    collection_id: int = 0
    max_megapixels: float = MAX_MEGAPIXELS
    engine: str = LOCAL_ENGINE_PATH  # module:callable, which takes the spec and the arguments
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    decode_timeout_s: float = DECODE_TIMEOUT_S
    starts_early: bool = False  # start the engine at once, and not with the first picture

    def to_json(self) -> bytes:
        """Return the job as a worker reads it."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> EmbeddingJob:
        """Return the job that was written so."""
        values = json.loads(data)
        spec = values["spec"]
        spec["prompts"] = Prompts(**spec["prompts"])
        image = spec["image"]
        spec["image"] = ImageInput(**{**image, "fill": tuple(image["fill"])})
        for name in ("code", "download"):
            spec[name] = tuple(spec[name])
        return cls(**{**values, "spec": ModelSpec(**spec)})


def main() -> None:
    """Serve the parent whose socket is the first argument."""
    with Connection(int(sys.argv[1])) as connection:
        try:
            _serve_parent(connection)
        except SearchAppError as error:
            _send_message(connection, {"error": error_to_dict(error)})
        except (EOFError, OSError):  # the parent is gone
            pass
    sys.stderr.flush()
    os._exit(0)  # torch's own end takes seconds


def _serve_parent(connection: Connection) -> None:
    job = EmbeddingJob.from_json(connection.recv_bytes())
    _send_message(connection, {"up": True})  # from here on, a file can be to blame for its end
    lookup = EmbeddedImageLookup(job.catalog_file, job.collection_id) if job.catalog_file else None

    def start_engine() -> Engine:
        module, name = job.engine.split(":")
        make: Callable[..., Engine] = getattr(import_module(module), name)
        engine = make(job.spec, **job.arguments)
        _send_message(connection, {"ready": True})
        return engine

    pipeline = Pipeline(
        job.spec,
        start_engine,
        lookup,
        max_megapixels=job.max_megapixels,
        threads=job.threads,
        decode_timeout_s=job.decode_timeout_s,
    )
    if job.starts_early:
        pipeline.start_engine()
    started_batches: deque[StartedBatch] = deque()
    while True:  # mostly until the parent ends it, or is gone
        while not started_batches or connection.poll():
            message = connection.recv_bytes()
            started_batches.append(
                pipeline.start_batch(FileTask(*values) for values in json.loads(message))
            )
        batch = started_batches.popleft()
        if pipeline.needs_engine_start(batch):
            _send_message(connection, {"starting": True})
        outcomes = pipeline.embed_batch(batch)
        send_outcomes(connection, outcomes, pipeline.take_stage_seconds())
        if pipeline.is_stuck:
            return  # the parent starts another


def send_files(connection: Connection, works: list[FileTask]) -> None:
    """Tell a worker files to embed."""
    connection.send_bytes(json.dumps([dataclasses.astuple(work) for work in works]).encode())


def send_outcomes(
    connection: Connection, outcomes: list[Outcome], seconds: Mapping[str, float]
) -> None:
    """Tell the parent what became of a batch, in order, and what it took."""
    vectors: list[bytes] = []
    encoded_outcomes = []
    for outcome in outcomes:
        result: Any
        match outcome.result:
            case EmbeddedPicture(sha256, info, vector, at, frames):
                refused = vector.reason if isinstance(vector, Refusal) else None
                if not isinstance(vector, Refusal):
                    vectors.append(vector)
                vectors += [frame.vector for frame in frames]
                result = {
                    "sha256": sha256, "info": info.to_dict(), "refused": refused,
                    "seconds": at, "frames": [frame.seconds for frame in frames],
                }  # fmt: skip
            case KnownPicture(image_id):
                result = image_id
            case Failure() as failure:
                result = [failure.path, failure.stage, failure.message]
        encoded_outcomes.append([outcome.size, outcome.mtime_ns, result])
    size = len(vectors[0]) if vectors else 0
    _send_message(
        connection, {"outcomes": encoded_outcomes, "vector_bytes": size, "seconds": dict(seconds)}
    )
    if vectors:
        connection.send_bytes(b"".join(vectors))


def receive_outcomes(
    connection: Connection, message: dict[str, Any], works: list[FileTask]
) -> list[Outcome]:
    """Return the outcomes that a message tells; what becomes of works, in their order."""
    encoded_outcomes, size = message["outcomes"], message["vector_bytes"]
    vectors = connection.recv_bytes() if size else b""
    outcomes, offset = [], 0

    def take_vector() -> bytes:
        nonlocal offset
        offset += size
        return vectors[offset - size : offset]

    for work, (file_size, mtime_ns, values) in zip(works, encoded_outcomes, strict=True):
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
        outcomes.append(Outcome(work, result, file_size, mtime_ns))
    return outcomes


def receive_message(connection: Connection) -> dict[str, Any]:
    """Return a worker's next message; EOFError or OSError where it has died."""
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    return message


def _send_message(connection: Connection, message: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main()
