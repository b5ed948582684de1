"""Engine thread: it survives cancelled requests and all errors of an engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_engine import FakeEngine

from searchapp import models
from searchapp.engines import EngineInput
from searchapp.errors import EngineError
from searchapp.models import ModelSpec
from searchapp.server.batcher import Batcher


class Panic(BaseException):
    """Error outside of Exception, as pyo3 raises if Rust code panics."""


class PanickingEngine(FakeEngine):
    """Fake engine that panics at the prompt "panic"."""

    def embed(self, inputs: Any) -> Any:
        if any(item.prompt == "panic" for item in inputs):
            raise Panic("index out of bounds")
        return super().embed(inputs)


@pytest.fixture
def spec(model: Path) -> ModelSpec:
    return models.resolve_model(str(model))


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    """Batcher of an engine that can panic."""
    batcher = Batcher(PanickingEngine)
    yield batcher
    batcher.close()


def occupy_thread(batcher: Batcher, spec: ModelSpec) -> Callable[[], None]:
    """Keep the engine's thread busy until the returned function is called."""
    is_busy, release = threading.Event(), threading.Event()

    def wait(engine: object) -> None:
        is_busy.set()
        release.wait(20)

    batcher.call_engine(spec, wait)
    assert is_busy.wait(20)
    return release.set


def test_cancelled_requests_do_not_stop_the_thread(batcher: Batcher, spec: ModelSpec) -> None:
    """A request that is cancelled while it waits is dropped; the next ones are answered."""
    release = occupy_thread(batcher, spec)
    cancelled = batcher.embed(spec, [EngineInput("red")])
    cancelled_call = batcher.call_engine(spec, lambda engine: pytest.fail("was cancelled"))
    assert cancelled.cancel() and cancelled_call.cancel()
    waiting = batcher.embed(spec, [EngineInput("blue")])
    release()
    assert len(waiting.result(20)) == 1
    assert batcher.call_engine(spec, lambda engine: engine.prompts).result(20) == ["blue"]


def test_running_requests_cannot_be_cancelled(batcher: Batcher, spec: ModelSpec) -> None:
    """cancel() returns False once the engine works, so the result always has a place."""
    is_running, release = threading.Event(), threading.Event()

    def work(engine: object) -> str:
        is_running.set()
        release.wait(20)
        return "done"

    running = batcher.call_engine(spec, work)
    assert is_running.wait(20)
    assert not running.cancel()
    release.set()
    assert running.result(20) == "done"


def test_panics_of_an_engine_do_not_stop_the_thread(batcher: Batcher, spec: ModelSpec) -> None:
    """An error outside of Exception becomes an EngineError of its request."""

    def panic(engine: object) -> None:
        raise Panic("index out of bounds")

    with pytest.raises(EngineError, match=r"the engine failed .*index out of bounds"):
        batcher.embed(spec, [EngineInput("panic")]).result(20)
    with pytest.raises(EngineError, match=r"the engine failed .*index out of bounds"):
        batcher.call_engine(spec, panic).result(20)
    assert len(batcher.embed(spec, [EngineInput("red")]).result(20)) == 1
