"""An engine fails during an index run: saved vectors are valid, and the next run completes."""

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_engine import FakeEngine
from support.library import index_folder, library_environment
from support.paths import TESTS
from support.sample_pictures import save_picture
from support.vllm_server import FakeVllmServer, drop_connection, hang_request, make_status_fault

from searchapp.engines import EngineInput, Refusal
from searchapp.engines.base import Vector
from searchapp.engines.http_requests import RetryPolicy
from searchapp.engines.remote import RemoteEngine
from searchapp.errors import EngineError
from searchapp.library import Library
from searchapp.search import good_match
from searchapp.types import IndexOptions, RunFinished

# A busy machine answers within the timeout; a server that hangs is given up earlier.
HASTY = RetryPolicy(total_s=0.4, first_pause_s=0.02, max_pause_s=0.05, answer_timeout_s=60.0)
HASTY_WITH_HANGS = replace(HASTY, answer_timeout_s=5.0)
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
    """Embed no calibration sentences: the fake engine would refuse hundreds of them."""
    monkeypatch.setattr(good_match, "CALIBRATION_SENTENCES", ())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for number in range(FILES):
        save_picture(
            tmp_path / f"photos/{number:02}.png", f"#{number * 10:02x}80{255 - number * 9:02x}"
        )
    return tmp_path / "photos"


def count_valid_vectors(library: Path) -> int:
    """Count the vectors in the catalog; check that all are valid and in the index."""
    with sqlite3.connect(library / "catalog.db") as db:
        stored = dict(db.execute("select id, vector from embeddings"))
    for blob in stored.values():
        vector = np.frombuffer(blob, "<f2").astype(np.float32)
        assert vector.shape == (DIMENSIONS,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=0.01)
    with Library.open(library, start=FakeEngine) as opened:
        (collection,) = opened._catalog.list_collections()
        assert sorted(opened._indexes.open_index(collection).ids.tolist()) == sorted(stored)
    return len(stored)


class Promising(FakeEngine):
    """Returns the invalid vector `bad` for some pictures."""

    bad: Sequence[float] = ()

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        outputs = super().embed(inputs)
        outputs[::5] = [np.asarray(self.bad, dtype=np.float32)] * len(outputs[::5])
        return outputs


@pytest.mark.parametrize("bad", [*BAD.values(), [1.0] * DIMENSIONS], ids=[*BAD, "not of length 1"])
def test_no_engine_can_save_a_bad_vector(
    tmp_path: Path, model: Path, many: Path, bad: list[float]
) -> None:
    """An invalid vector becomes a failure with a reason; the other pictures are saved."""
    engine = type("Bad", (Promising,), {"bad": bad})
    with Library.open(tmp_path / "library", create=True, start=engine) as library:
        *_, last = library.index([many], IndexOptions(str(model), batch_size=8))
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.failed) == (FILES - 6, 6)
        reasons = {failure.message for failure in library.failures()}
        assert reasons == {"the engine returned no vector of norm 1"}
    assert count_valid_vectors(tmp_path / "library") == FILES - 6


def after(calls: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Change the server's answers after a number of them."""
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


TROUBLES: dict[str, Any] = {
    "gone": drop_connection,
    "hangs": hang_request,
    "500": make_status_fault(500),
    "busy": make_status_fault(429),
}
ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "html": lambda answer: b"<html>busy</html>",
    "fewer": lambda answer: answer | {"data": answer["data"][1:]},
    "nothing": lambda answer: {},
    **{name: with_vector(values) for name, values in BAD.items()},
}


@pytest.mark.parametrize("calls", [1, 4])
@pytest.mark.parametrize("trouble", [*TROUBLES, *ANSWERS])
def test_a_server_that_fails_in_a_run(
    server: FakeVllmServer, tmp_path: Path, model: Path, many: Path, trouble: str, calls: int
) -> None:
    """A server stops, or answers garbage or invalid vectors: saved vectors stay valid."""

    def start(spec: Any) -> RemoteEngine:
        policy = HASTY_WITH_HANGS if trouble == "hangs" else HASTY
        engine = RemoteEngine(spec, server.url, retry_policy=policy)
        if trouble in TROUBLES:
            server.faults.extend([None] * calls + [TROUBLES[trouble]] * 500)  # type: ignore[list-item]
        elif trouble in ANSWERS:
            server.change_answer = after(calls, ANSWERS[trouble])
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
    saved = count_valid_vectors(tmp_path / "library")
    assert saved == (FILES - failed if failed else 4 * calls)
    server.faults.clear()
    server.change_answer = lambda answer: answer
    server.request_bodies.clear()
    options = IndexOptions(str(model), batch_size=4, retry_failed=True)
    well = RemoteEngine(server.fake_engine.spec, server.url)
    with Library.open(tmp_path / "library", start=lambda spec: well) as library:
        *_, last = library.index([many], options)
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.failed) == (FILES - saved, 0)
    assert count_valid_vectors(tmp_path / "library") == FILES
    print(f"{trouble} after {calls}: {saved} kept, then {FILES}; lost 0, wrong 0, hung 0")


HANGING = """
import sys, time
from support.fake_engine import FakeEngine
from searchapp import engines
from searchapp.cli import main, watchdog

class Hanging(FakeEngine):
    def embed(self, inputs):
        if self.embedded_count >= 8:
            watchdog.HANG_TIMEOUT_S = 1.5  # only from now on: a busy machine is slow, too
            time.sleep(1000)
        return super().embed(inputs)

engines.start_engine = lambda spec, **_: Hanging(spec)
main()
"""


def test_a_hanging_local_engine_ends_the_command(tmp_path: Path, model: Path) -> None:
    """The command ends with one line; embedded pictures are saved, and the next run continues."""
    for mark in range(16):
        save_picture(tmp_path / f"photos/{mark:02}.png", "red", mark=mark + 1)
    environment = os.environ | library_environment(tmp_path) | {"PYTHONPATH": str(TESTS)}
    arguments = ["index", str(tmp_path / "photos"), "--model", str(model), "--batch-size", "4"]
    ran = subprocess.run(
        [sys.executable, "-c", HANGING, *arguments],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (1, "")
    reason = "stopped, because the engine finished no picture for 2 s"
    assert f"searchapp: {reason}. Finished work is saved; run " in ran.stderr
    assert "Traceback" not in ran.stderr
    with Library.open(tmp_path / "library", start=FakeEngine) as library:
        assert library.info().collections[0].images == 8
        assert index_folder(library, tmp_path / "photos", model).added == 8
