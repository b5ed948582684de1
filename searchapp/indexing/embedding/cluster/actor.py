"""Run engines in Ray actors on cluster nodes; another actor looks up embedded images."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from searchapp.catalog import EmbeddedImageLookup
from searchapp.engines import machine
from searchapp.errors import EngineError, SearchAppError, error_to_dict
from searchapp.indexing.embedding import log_relay
from searchapp.indexing.embedding.batches import count_max_pictures, take_batch
from searchapp.indexing.embedding.cluster.spool import parse_line
from searchapp.indexing.embedding.count_engines import count_engines_on_gpu
from searchapp.indexing.embedding.log_relay import LogEntry
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.embedding.pipeline import Pipeline
from searchapp.indexing.embedding.replicas import ANSWER_TIMEOUT_S, TIMEOUT_PER_FILE_S
from searchapp.indexing.embedding.worker import EmbeddingJob, load_engine_class
from searchapp.indexing.embedding.worker_process import compute_answer_timeout
from searchapp.models import ModelSpec


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """An actor's answer for a batch of files: each file's number and outcome, or an error."""

    node: str
    process_id: int
    outcomes: list[tuple[int, Outcome]] = field(default_factory=list)
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)  # see StageTimer
    started_at: float | None = None  # when the engine ran and had the batch, by time.time
    error: Mapping[str, Any] | None = None  # from error_to_dict
    logs: Sequence[LogEntry] = ()  # log records since the last answer
    decoder_problem: str | None = None  # why the GPU decodes no more pictures


class Embedder:
    """A Ray actor with an engine and reader threads; Ray calls it from several threads.

    While one thread embeds a batch, the others read the next batches.
    """

    def __init__(self, job: EmbeddingJob, lookup_actor: Any | None) -> None:
        """Start no engine yet, unless `job.starts_early` is set.

        lookup_actor: the LookupActor, or None if the collection has no embeddings.
        """
        self._node = get_node_name()
        self._lock = threading.Lock()
        self._logs = log_relay.start_collecting(job.log_level)
        engine_class = load_engine_class(job)
        self._pipeline = Pipeline(
            job.spec,
            lambda: engine_class(job.spec, **job.arguments),
            _RemoteLookup(lookup_actor) if lookup_actor is not None else None,
            max_megapixels=job.max_megapixels,
            threads=job.threads,
            decode_timeout_s=job.decode_timeout_s,
            start_jpeg_decoder=job.start_jpeg_decoder,
        )
        if job.starts_early:
            self._pipeline.start_engine()

    def __call__(self, batch: Any) -> Any:
        """Embed the files in the column `line` of an Arrow table; return the column `answer`."""
        import pyarrow

        answer = self._embed_lines([line.as_py() for line in batch.column("line")])
        return pyarrow.table({"answer": [pickle.dumps(answer)]})

    def _embed_lines(self, lines: list[bytes]) -> BatchAnswer:
        if self._pipeline.is_stuck:
            os._exit(1)  # Ray starts another actor, and the next pass embeds this batch again.
        started_at = time.monotonic()
        numbers, tasks = zip(*map(parse_line, lines), strict=True)
        outcomes, remaining_tasks = list[Outcome](), iter(tasks)
        try:
            # Without videos, the first part contains all files.
            while part := take_batch(remaining_tasks, len(lines)):
                batch = self._pipeline.start_batch(part)
                pictures, is_ready = sum(map(count_max_pictures, part)), self._pipeline.ready_at
                with self._lock, _exit_on_timeout(pictures, is_ready=is_ready is not None):
                    outcomes += self._pipeline.embed_batch(batch)
        except SearchAppError as error:
            return self._make_error_answer(error)
        except Exception as error:  # Ray would drop the batch without any message.
            return self._make_error_answer(EngineError(f"{type(error).__name__}: {error}"))
        elapsed_s = time.monotonic() - max(started_at, self._pipeline.ready_at or 0.0)
        return BatchAnswer(
            self._node,
            os.getpid(),
            list(zip(numbers, outcomes, strict=True)),
            dict(self._pipeline.take_stage_seconds()),
            time.time() - elapsed_s,
            logs=self._logs.take_entries(),
            decoder_problem=self._pipeline.take_decoder_problem(),
        )

    def _make_error_answer(self, error: SearchAppError) -> BatchAnswer:
        return BatchAnswer(
            self._node, os.getpid(), error=error_to_dict(error), logs=self._logs.take_entries()
        )


@contextmanager
def _exit_on_timeout(picture_count: int, *, is_ready: bool) -> Iterator[None]:
    """End this process if the `with` block hangs while it embeds `picture_count` pictures.

    is_ready: whether the engine runs already. The next pass embeds the files again, in another
    process.
    """
    timeout_s = compute_answer_timeout(
        picture_count, ANSWER_TIMEOUT_S, TIMEOUT_PER_FILE_S, is_ready=is_ready
    )
    timer = threading.Timer(timeout_s, os._exit, [1])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class LookupActor:
    """A Ray actor on the catalog's node that finds embedded images for the other actors."""

    def __init__(self, catalog_file: str, collection_id: int, update_colors: bool) -> None:
        """Open the catalog, to find the embedded images of a collection."""
        self._lookup = EmbeddedImageLookup(catalog_file, collection_id, update_colors=update_colors)

    def find_embedded_image(self, sha256: str) -> int | None:
        """Return the id of the embedded image with this content, or None."""
        return self._lookup.find_embedded_image(sha256)


class _RemoteLookup:
    """A ContentLookup that calls the LookupActor."""

    def __init__(self, lookup_actor: Any) -> None:
        self._lookup_actor = lookup_actor

    def find_embedded_image(self, sha256: str) -> int | None:
        import ray

        image_id: int | None = ray.get(self._lookup_actor.find_embedded_image.remote(sha256))
        return image_id

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A cluster node: its name, its searchapp version, and how many engines fit on a GPU."""

    name: str
    version: str  # of searchapp
    engines_per_gpu: int  # 0: no GPU is visible


def inspect_node(spec: ModelSpec, cores_per_gpu: int) -> NodeInfo:
    """Return the NodeInfo of this node for a model. cores_per_gpu: CPU cores for each GPU."""
    gpus = machine.list_gpus()
    return NodeInfo(
        get_node_name(),
        get_searchapp_version(),
        count_engines_on_gpu(spec, gpus[0], cores_per_gpu) if gpus else 0,
    )


def get_searchapp_version() -> str:
    """Return the version of the installed searchapp."""
    return metadata.version("searchapp")


def get_node_name() -> str:
    """Return this node's name for messages: its IP address, and the start of its Ray id.

    Several nodes can share an IP address, for example in tests.
    """
    import ray

    return f"{ray.util.get_node_ip_address()}/{ray.get_runtime_context().get_node_id()[:4]}"
