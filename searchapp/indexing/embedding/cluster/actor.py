"""What runs on the nodes of a Ray cluster: engines, each in an actor, and who they ask."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any

from searchapp.catalog import EmbeddedImageLookup
from searchapp.engines import machine
from searchapp.engines.base import Engine
from searchapp.errors import EngineError, SearchAppError, error_to_dict
from searchapp.indexing.embedding.cluster.spool import parse_line
from searchapp.indexing.embedding.count_engines import count_on_gpu
from searchapp.indexing.embedding.pipeline import Outcome, Pipeline, count_max_pictures, take_batch
from searchapp.indexing.embedding.replicas import (
    ANSWER_TIMEOUT_S,
    START_TIMEOUT_FACTOR,
    TIMEOUT_PER_FILE_S,
)
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.models import ModelSpec


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What an actor tells of a batch of files: their outcomes by number, or why there are none."""

    node: str
    process_id: int
    outcomes: list[tuple[int, Outcome]] = field(default_factory=list)
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)  # by stage: see Pipeline
    started_at: float | None = None  # when it ran and had the batch, by time.time
    error: Mapping[str, Any] | None = None  # from error_to_dict


class Embedder:
    """An engine, and the threads that read files for it. Ray calls it from several threads.

    While one batch is embedded, the threads read the next ones.
    """

    def __init__(self, job: EmbeddingJob, lookup_actor: Any | None) -> None:
        """Start no engine yet. known: the actor Known, where the collection has anything."""
        self._node = get_node_name()
        self._lock = threading.Lock()
        module, name = job.engine.split(":")
        make: Callable[..., Engine] = getattr(import_module(module), name)
        self._pipeline = Pipeline(
            job.spec,
            lambda: make(job.spec, **job.arguments),
            _RemoteLookup(lookup_actor) if lookup_actor is not None else None,
            max_megapixels=job.max_megapixels,
            threads=job.threads,
            decode_timeout_s=job.decode_timeout_s,
        )
        if job.starts_early:
            self._pipeline.start_engine()

    def __call__(self, batch: Any) -> Any:
        """Embed the files of an Arrow table with the column `line`; the answer has `answer`."""
        import pyarrow

        answer = self._embed_lines([line.as_py() for line in batch.column("line")])
        return pyarrow.table({"answer": [pickle.dumps(answer)]})

    def _embed_lines(self, lines: list[bytes]) -> BatchAnswer:
        if self._pipeline.is_stuck:
            os._exit(1)  # Ray starts another, and the batch is embedded elsewhere
        started_at = time.monotonic()
        numbers, works = zip(*map(parse_line, lines), strict=True)
        outcomes, remaining_works = list[Outcome](), iter(works)
        try:
            while part := take_batch(
                remaining_works, len(lines)
            ):  # all of them, where none is a video
                batch = self._pipeline.start_batch(part)
                with self._lock, _exit_on_timeout(sum(map(count_max_pictures, part))):
                    outcomes += self._pipeline.embed_batch(batch)
        except SearchAppError as error:
            return BatchAnswer(self._node, os.getpid(), error=error_to_dict(error))
        except Exception as error:  # Ray would leave the batch out, without a word
            failed = EngineError(f"{type(error).__name__}: {error}")
            return BatchAnswer(self._node, os.getpid(), error=error_to_dict(failed))
        numbered_outcomes = list(zip(numbers, outcomes, strict=True))
        elapsed_s = time.monotonic() - max(started_at, self._pipeline.ready_at or 0.0)
        seconds = dict(self._pipeline.take_stage_seconds())
        return BatchAnswer(
            self._node, os.getpid(), numbered_outcomes, seconds, time.time() - elapsed_s
        )


@contextmanager
def _exit_on_timeout(pictures: int) -> Iterator[None]:
    """End the process where the block hangs: then its files go elsewhere."""
    timer = threading.Timer(
        (ANSWER_TIMEOUT_S + TIMEOUT_PER_FILE_S * pictures) * START_TIMEOUT_FACTOR, os._exit, [1]
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class LookupActor:
    """Tells actors what the collection has already; it runs where the catalogue is."""

    def __init__(self, catalog: str, collection_id: int) -> None:
        """Open the catalogue."""
        self._lookup = EmbeddedImageLookup(catalog, collection_id)

    def find_embedded_image(self, sha256: str) -> int | None:
        """Return an image's id: see Lookup."""
        return self._lookup.find_embedded_image(sha256)


class _RemoteLookup:
    """A Lookup, as Pipeline wants one, that asks Known."""

    def __init__(self, known: Any) -> None:
        self._lookup_actor = known

    def find_embedded_image(self, sha256: str) -> int | None:
        import ray

        image_id: int | None = ray.get(self._lookup_actor.find_embedded_image.remote(sha256))
        return image_id

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node tells of itself."""

    name: str
    version: str  # of searchapp
    engines_per_gpu: int  # that one of its GPUs takes; 0 where none was seen


def inspect_node(spec: ModelSpec, cores_per_gpu: int) -> NodeInfo:
    """Tell about the node this runs on. cores: that each of its GPUs has."""
    gpus = machine.list_gpus()
    return NodeInfo(
        get_node_name(),
        get_searchapp_version(),
        count_on_gpu(spec, gpus[0], cores_per_gpu) if gpus else 0,
    )


def get_searchapp_version() -> str:
    """Return which searchapp this is."""
    return metadata.version("searchapp")


def get_node_name() -> str:
    """Return a name for the node this runs on, for people: its address, and what tells it apart."""
    import ray

    return f"{ray.util.get_node_ip_address()}/{ray.get_runtime_context().get_node_id()[:4]}"
