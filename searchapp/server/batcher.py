"""One thread that owns the engine; what waits for it meanwhile is embedded in one call."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from searchapp.engines import Engine, EngineInput, Refusal, Vector
from searchapp.errors import EngineError, SearchAppError
from searchapp.models import ModelSpec

MOST = 64  # inputs a call


@dataclass(frozen=True, slots=True)
class Job:
    """Inputs to embed, or a question to the engine, and who waits for the answer."""

    spec: ModelSpec
    inputs: Sequence[EngineInput]
    ask: Callable[[Engine], Any] | None
    answer: Future[Any]


class Batcher:
    """Starts the engine that a job needs, and runs jobs for the same model together."""

    def __init__(self, start: Callable[[ModelSpec], Engine]) -> None:
        """Start no engine yet."""
        self._start = start
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._engine: Engine | None = None
        self._ready_for: ModelSpec | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def embed(
        self, spec: ModelSpec, inputs: Sequence[EngineInput]
    ) -> Future[list[Vector | Refusal]]:
        """Embed inputs, maybe together with others'."""
        return self._put(Job(spec, inputs, None, Future()))

    def ask(self, spec: ModelSpec, question: Callable[[Engine], Any]) -> Future[Any]:
        """Call question(engine) on the engine's thread."""
        return self._put(Job(spec, (), question, Future()))

    def is_ready(self, spec: ModelSpec) -> bool:
        """Tell whether the engine of a model runs."""
        return self._ready_for == spec

    def close(self) -> None:
        """Let no further job in; the engine ends with the process."""
        self._jobs.put(None)

    def _put(self, job: Job) -> Future[Any]:
        self._jobs.put(job)
        return job.answer

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            while sum(len(j.inputs) for j in jobs) < MOST and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    self._jobs.put(None)
                    break
                jobs.append(following)
            while jobs:
                spec = jobs[0].spec
                self._serve(spec, [job for job in jobs if job.spec == spec])
                jobs = [job for job in jobs if job.spec != spec]

    def _serve(self, spec: ModelSpec, jobs: list[Job]) -> None:
        try:
            engine = self._engine_of(spec)
            outputs = engine.embed([item for job in jobs for item in job.inputs])
        except Exception as error:
            if not isinstance(error, SearchAppError):
                error = EngineError(f"the engine failed: {error!r}")
            for job in jobs:
                job.answer.set_exception(error)
            return
        for job in jobs:
            mine, outputs = outputs[: len(job.inputs)], outputs[len(job.inputs) :]
            if job.ask is None:
                job.answer.set_result(mine)
                continue
            try:
                job.answer.set_result(job.ask(engine))
            except Exception as error:
                job.answer.set_exception(error)

    def _engine_of(self, spec: ModelSpec) -> Engine:
        if self._engine is None or self._engine.spec != spec:
            self._ready_for = None
            if self._engine is not None:
                self._engine.close()
                self._engine = None
            self._engine = self._start(spec)
        self._ready_for = spec
        return self._engine
