"""An engine that fails in a run: what is saved is sound, and the next run completes it."""

import base64
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fakes import FakeEngine
from support.library import in_library, index
from support.paths import TESTS
from support.pictures import draw
from support.vllm_server import Server, drop, hang, status

from searchapp.engines import EngineInput, Refusal
from searchapp.engines.base import Vector
from searchapp.engines.http_requests import Patience
from searchapp.engines.remote import RemoteEngine
from searchapp.errors import EngineError
from searchapp.library import Library
from searchapp.search import good_match
from searchapp.types import Finished, IndexOptions

HASTY = Patience(total=0.4, first=0.02, longest=0.05, answer=1.5)
DIMENSIONS = FakeEngine.DIMENSIONS
FILES = 24
BAD = {
    "nan": [float("nan")] * DIMENSIONS,
    "one nan": [1.0] * (DIMENSIONS - 1) + [float("nan")],
    "infinite": [float("inf")] * DIMENSIONS,
    "zero": [0.0] * DIMENSIONS,
    "short": [1.0] * (DIMENSIONS - 1),
    "long": [1.0] * (DIMENSIONS + 1),
    "empty": [],
}


@pytest.fixture(autouse=True)
def no_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of sentences, each refused, are for other tests."""
    monkeypatch.setattr(good_match, "SENTENCES", ())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(FILES):
        draw(tmp_path / f"photos/{number:02}.png", f"#{number * 10:02x}80{255 - number * 9:02x}")
    return tmp_path / "photos"


def kept(library: Path) -> int:
    """Count the vectors in the catalogue, all of which must be sound, and all in the index."""
    with sqlite3.connect(library / "catalog.db") as db:
        stored = dict(db.execute("select id, vector from embeddings"))
    for blob in stored.values():
        vector = np.frombuffer(blob, "<f2").astype(np.float32)
        assert vector.shape == (DIMENSIONS,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=0.01)
    with Library.open(library, start=FakeEngine) as opened:
        (collection,) = opened._catalog.collections()
        assert sorted(opened._indexes.current(collection).ids.tolist()) == sorted(stored)
    return len(stored)


class Promising(FakeEngine):
    """Breaks the promise of every engine for some pictures: they get `bad`."""

    bad: Sequence[float] = ()

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        outputs = super().embed(inputs)
        outputs[::5] = [np.asarray(self.bad, dtype=np.float32)] * len(outputs[::5])
        return outputs


@pytest.mark.parametrize("bad", [*BAD.values(), [1.0] * DIMENSIONS], ids=[*BAD, "not of length 1"])
def test_no_engine_brings_a_bad_vector_in(
    tmp_path: Path, model: Path, many: Path, bad: list[float]
) -> None:
    """Whatever an engine gives: it is a failure with a reason, and its neighbours are saved."""
    engine = type("Bad", (Promising,), {"bad": bad})
    with Library.open(tmp_path / "library", create=True, start=engine) as library:
        *_, last = library.index([many], IndexOptions(str(model), batch_size=8))
        assert isinstance(last, Finished)
        assert (last.summary.added, last.summary.failed) == (FILES - 6, 6)
        reasons = {failure.message for failure in library.failures()}
        assert reasons == {"the engine gave no vector of length one"}
    assert kept(tmp_path / "library") == FILES - 6


def after(calls: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Change the server's answers after so many."""
    count = 0

    def answer(content: dict[str, Any]) -> Any:
        nonlocal count
        count += 1
        return content if count <= calls else change(content)

    return answer


def with_vector(values: list[float]) -> Callable[[dict[str, Any]], Any]:
    raw = base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()

    def change(answer: dict[str, Any]) -> Any:
        answer["data"][0]["embedding"] = raw
        return answer

    return change


TROUBLES: dict[str, Any] = {"gone": drop, "hangs": hang, "500": status(500), "busy": status(429)}
ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "html": lambda answer: b"<html>busy</html>",
    "fewer": lambda answer: answer | {"data": answer["data"][1:]},
    "nothing": lambda answer: {},
    **{name: with_vector(values) for name, values in BAD.items()},
}


@pytest.mark.parametrize("calls", [1, 4])
@pytest.mark.parametrize("trouble", [*TROUBLES, *ANSWERS])
def test_a_server_that_fails_in_a_run(
    server: Server, tmp_path: Path, model: Path, many: Path, trouble: str, calls: int
) -> None:
    """It stops, answers garbage, or vectors that are none: what was saved stays, and is sound."""

    def start(spec: Any) -> RemoteEngine:
        engine = RemoteEngine(spec, server.url, patience=HASTY)
        if trouble in TROUBLES:
            server.troubles.extend([None] * calls + [TROUBLES[trouble]] * 500)  # type: ignore[list-item]
        elif trouble in ANSWERS:
            server.change = after(calls, ANSWERS[trouble])
        return engine

    options = IndexOptions(str(model), batch_size=4)
    with Library.open(tmp_path / "library", create=True, start=start) as library:
        failed = 0
        try:
            *_, last = library.index([many], options)
            failed = last.summary.failed
        except EngineError as error:
            assert "\n" not in str(error)
            assert trouble not in BAD
        else:
            assert trouble in BAD
            assert failed > 0
    saved = kept(tmp_path / "library")
    assert saved == (FILES - failed if failed else 4 * calls)
    server.troubles.clear()
    server.change = lambda answer: answer
    server.seen.clear()
    options = IndexOptions(str(model), batch_size=4, retry_failed=True)
    well = RemoteEngine(server.fake.spec, server.url)
    with Library.open(tmp_path / "library", start=lambda spec: well) as library:
        *_, last = library.index([many], options)
        assert isinstance(last, Finished)
        assert (last.summary.added, last.summary.failed) == (FILES - saved, 0)
    assert kept(tmp_path / "library") == FILES
    print(f"{trouble} after {calls}: {saved} kept, then {FILES}; lost 0, wrong 0, hung 0")


HANGING = """
import sys, time
from support.fakes import FakeEngine
from searchapp import engines
from searchapp.cli import main, watchdog

class Hanging(FakeEngine):
    def embed(self, inputs):
        if self.embedded >= 8:
            time.sleep(1000)
        return super().embed(inputs)

engines.start_engine = lambda spec, **_: Hanging(spec)
watchdog.SECONDS = 1.5
main()
"""


def test_an_engine_of_this_process_that_hangs_ends_the_command(tmp_path: Path, model: Path) -> None:
    """In one line; what was embedded is saved, and the next run goes on from there."""
    for mark in range(16):
        draw(tmp_path / f"photos/{mark:02}.png", "red", mark=mark + 1)
    environment = os.environ | in_library(tmp_path) | {"PYTHONPATH": str(TESTS)}
    arguments = ["index", str(tmp_path / "photos"), "--model", str(model), "--batch-size", "4"]
    begun = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", HANGING, *arguments],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert time.monotonic() - begun < 30
    assert (ran.returncode, ran.stdout) == (1, "")
    assert (
        "searchapp: the engine has said nothing for 2 s; what was embedded is saved" in ran.stderr
    )
    assert "Traceback" not in ran.stderr
    with Library.open(tmp_path / "library", start=FakeEngine) as library:
        assert library.info().collections[0].images == 8
        assert index(library, tmp_path / "photos", model).added == 8
