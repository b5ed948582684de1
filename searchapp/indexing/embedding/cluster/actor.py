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

from searchapp.catalog import Lookup
from searchapp.engines import machine
from searchapp.engines.base import Engine
from searchapp.errors import EngineError, SearchAppError, error_to_dict
from searchapp.indexing.embedding.cluster.spool import numbered
from searchapp.indexing.embedding.count_engines import count_on_gpu
from searchapp.indexing.embedding.pipeline import Outcome, Pipeline, take, weight
from searchapp.indexing.embedding.replicas import A_FILE, A_START, QUIET
from searchapp.indexing.embedding.worker import Job
from searchapp.models import ModelSpec


@dataclass(frozen=True, slots=True)
class Answer:
    """What an actor tells of a batch of files: their outcomes by number, or why there are none."""

    node: str
    process: int
    outcomes: list[tuple[int, Outcome]] = field(default_factory=list)
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage: see Pipeline
    began: float | None = None  # when it ran and had the batch, by time.time
    error: Mapping[str, Any] | None = None  # from error_to_dict


class Embedder:
    """An engine, and the threads that read files for it. Ray calls it from several threads.

    While one batch is embedded, the threads read the next ones.
    """

    def __init__(self, job: Job, known: Any | None) -> None:
        """Start no engine yet. known: the actor Known, where the collection has anything."""
        self._node = node_name()
        self._lock = threading.Lock()
        module, name = job.engine.split(":")
        make: Callable[..., Engine] = getattr(import_module(module), name)
        self._pipeline = Pipeline(
            job.spec,
            lambda: make(job.spec, **job.arguments),
            _Asking(known) if known is not None else None,
            max_megapixels=job.max_megapixels,
            threads=job.threads,
            decode_seconds=job.decode_seconds,
        )
        if job.warm:
            self._pipeline.warm()

    def __call__(self, batch: Any) -> Any:
        """Embed the files of an Arrow table with the column `line`; the answer has `answer`."""
        import pyarrow

        answer = self._answer([line.as_py() for line in batch.column("line")])
        return pyarrow.table({"answer": [pickle.dumps(answer)]})

    def _answer(self, lines: list[bytes]) -> Answer:
        if self._pipeline.is_stuck:
            os._exit(1)  # Ray starts another, and the batch is embedded elsewhere
        begun = time.monotonic()
        numbers, works = zip(*map(numbered, lines), strict=True)
        outcomes, rest = list[Outcome](), iter(works)
        try:
            while part := take(rest, len(lines)):  # all of them, where none is a video
                batch = self._pipeline.begin(part)
                with self._lock, _bounded(sum(map(weight, part))):
                    outcomes += self._pipeline.end(batch)
        except SearchAppError as error:
            return Answer(self._node, os.getpid(), error=error_to_dict(error))
        except Exception as error:  # Ray would leave the batch out, without a word
            failed = EngineError(f"{type(error).__name__}: {error}")
            return Answer(self._node, os.getpid(), error=error_to_dict(failed))
        told = list(zip(numbers, outcomes, strict=True))
        since = time.monotonic() - max(begun, self._pipeline.ready_at or 0.0)
        seconds = dict(self._pipeline.take_seconds())
        return Answer(self._node, os.getpid(), told, seconds, time.time() - since)


@contextmanager
def _bounded(pictures: int) -> Iterator[None]:
    """End the process where the block hangs: then its files go elsewhere."""
    timer = threading.Timer((QUIET + A_FILE * pictures) * A_START, os._exit, [1])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Known:
    """Tells actors what the collection has already; it runs where the catalogue is."""

    def __init__(self, catalog: str, collection_id: int) -> None:
        """Open the catalogue."""
        self._lookup = Lookup(catalog, collection_id)

    def embedded(self, sha256: str) -> int | None:
        """Return an image's id: see Lookup."""
        return self._lookup.embedded(sha256)


class _Asking:
    """A Lookup, as Pipeline wants one, that asks Known."""

    def __init__(self, known: Any) -> None:
        self._known = known

    def embedded(self, sha256: str) -> int | None:
        import ray

        image_id: int | None = ray.get(self._known.embedded.remote(sha256))
        return image_id

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Node:
    """What a node tells of itself."""

    name: str
    version: str  # of searchapp
    engines: int  # that one of its GPUs takes; 0 where none was seen


def look(spec: ModelSpec, cores: int) -> Node:
    """Tell about the node this runs on. cores: that each of its GPUs has."""
    found = machine.gpus()
    return Node(
        node_name(),
        version(),
        count_on_gpu(spec, found[0], cores) if found else 0,
    )


def version() -> str:
    """Return which searchapp this is."""
    return metadata.version("searchapp")


def node_name() -> str:
    """Return a name for the node this runs on, for people: its address, and what tells it apart."""
    import ray

    return f"{ray.util.get_node_ip_address()}/{ray.get_runtime_context().get_node_id()[:4]}"
