"""Engine thread: owns the engine, and embeds the inputs of waiting requests in one call."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import EngineError, SearchAppError
from searchapp.models import ModelSpec

logger = logging.getLogger(__name__)
MAX_INPUTS_PER_CALL = 64
ModelState = Literal["not_loaded", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class EngineJob:
    """Inputs to embed, or a function to call with the engine; future receives the result.

    spec: the model of the engine; None: the function ignores the engine, and needs none.
    """

    spec: ModelSpec | None
    inputs: Sequence[EngineInput]
    engine_call: Callable[[Any], Any] | None
    future: Future[Any]


class Batcher:
    """Queue of engine jobs: starts the engine that a job needs, and batches jobs of one model."""

    def __init__(self, start: Callable[[ModelSpec], Engine]) -> None:
        """Start the engine's thread; the first job starts the engine itself."""
        self._start = start
        self._jobs: queue.SimpleQueue[EngineJob | None] = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._ready_spec: ModelSpec | None = None
        self._model_state: ModelState = "not_loaded"
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def embed(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> Future[list[Vector | Refusal]]:
        """Embed inputs, possibly in one batch with the inputs of other requests."""
        return self._submit(EngineJob(spec, inputs, None, Future()))

    def call_engine(self, spec: ModelSpec, engine_call: Callable[[Engine], Any]) -> Future[Any]:
        """Call engine_call(engine) on the engine's thread."""
        return self._submit(EngineJob(spec, (), engine_call, Future()))

    def run_beside_engine(self, work: Callable[[], Any]) -> Future[Any]:
        """Call a function on the engine's thread, without starting the engine.

        vLLM runs models of one process on one thread, because they share state.
        """
        return self._submit(EngineJob(None, (), lambda engine: work(), Future()))

    def is_ready(self, spec: ModelSpec) -> bool:
        """Return whether the engine of a model runs."""
        return self._ready_spec == spec

    @property
    def model_state(self) -> ModelState:
        """Return whether a model is loaded; failed: its last start failed, the next job retries."""
        return self._model_state

    def count_jobs(self) -> int:
        """Return the number of jobs that wait for the engine."""
        return self._jobs.qsize()

    def close(self) -> None:
        """Stop the engine's thread after the queued jobs; the engine ends with the process."""
        self._jobs.put(None)

    def _submit(self, job: EngineJob) -> Future[Any]:
        self._jobs.put(job)
        return job.future

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            while sum(len(j.inputs) for j in jobs) < MAX_INPUTS_PER_CALL and not self._jobs.empty():
                next_job = self._jobs.get()
                if next_job is None:
                    self._jobs.put(None)
                    break
                jobs.append(next_job)
            # A running future cannot be cancelled, so set_result() cannot raise InvalidStateError.
            jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            while jobs:
                spec = jobs[0].spec
                self._run_jobs(spec, [job for job in jobs if job.spec == spec])
                jobs = [job for job in jobs if job.spec != spec]

    def _run_jobs(self, spec: ModelSpec | None, jobs: list[EngineJob]) -> None:
        engine, outputs = None, list[Vector | Refusal]()
        try:
            if spec is not None:
                engine = self._get_engine(spec)
                outputs = engine.embed([item for job in jobs for item in job.inputs])
        except BaseException as error:  # a panic of Rust code, too: the thread must survive it
            name = "" if spec is None else spec.name
            logger.info("The engine of the model %s failed (%s)", name, type(error).__name__)
            logger.debug("Traceback of the failed engine", exc_info=error)
            for job in jobs:
                job.future.set_exception(_explain_failure(error))
            return
        for job in jobs:
            job_outputs, outputs = outputs[: len(job.inputs)], outputs[len(job.inputs) :]
            if job.engine_call is None:
                job.future.set_result(job_outputs)
                continue
            try:
                job.future.set_result(job.engine_call(engine))
            except BaseException as error:
                logger.debug("Traceback of the failed call of the engine", exc_info=error)
                job.future.set_exception(_explain_failure(error))

    def _get_engine(self, spec: ModelSpec) -> Engine:
        if self._engine is None or self._engine.spec != spec:
            self._ready_spec = None
            if self._engine is not None:
                logger.info(
                    "Closing the engine of the model %s: a request needs another model",
                    self._engine.spec.name,
                )
                self._engine.close()
                self._engine = None
            self._model_state = "loading"
            try:
                self._engine = self._start(spec)
            except BaseException:
                self._model_state = "failed"
                raise
            logger.info("The engine of the model %s is ready", spec.name)
        self._ready_spec, self._model_state = spec, "ready"
        return self._engine


def _explain_failure(error: BaseException) -> SearchAppError:
    """Return an error for the request; errors without a message for the user become EngineError."""
    if isinstance(error, SearchAppError):
        return error
    return EngineError(
        f"the engine failed ({error!r}). Try again; if it fails again, run `searchapp stop`."
    )
