"""A stuck decoder makes its picture fail; the index run and the process continue."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.decoders import STUCK_FILES, install_stuck_decoder
from support.fake_engine import FakeEngine
from support.paths import ROOT, TESTS
from support.replicas import list_works, make_environments, run_replicas
from support.sample_pictures import save_picture

from searchapp.errors import EngineError
from searchapp.indexing.embedding import pipeline
from searchapp.indexing.embedding.outcomes import EmbeddedPicture
from searchapp.indexing.embedding.pipeline import DECODE_TIMEOUT_S, Pipeline
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.models import resolve_model
from searchapp.pictures import decoder_threads
from searchapp.pictures.decoder_threads import ReaderPool, ReaderTask
from searchapp.types import Failure, IndexOptions, RunFinished


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a pool waits only briefly for threads that do not end."""
    monkeypatch.setattr(decoder_threads, "CLOSE_TIMEOUT_S", 0.1)


@pytest.fixture
def twenty(tmp_path: Path) -> Path:
    for number in range(20):
        save_picture(tmp_path / f"twenty/{number:02}.png", mark=number + 1)
    return tmp_path / "twenty"


def check(found: list[tuple[str, object]]) -> None:
    assert len(found) == 20
    failures = {name: result for name, result in found if isinstance(result, Failure)}
    assert set(failures) == set(STUCK_FILES)
    assert {(f.stage, f.message) for f in failures.values()} == {
        ("decode", "decoding took longer than 30 s")
    }
    assert sum(isinstance(result, EmbeddedPicture) for _, result in found) == 17


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stuck_decoder_costs_one_picture(
    twenty: Path, model: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Stuck pictures become failures, also one after another; the others are embedded."""
    install_stuck_decoder(twenty, monkeypatch.setattr)
    spec = resolve_model(str(model))
    embedder = Pipeline(spec, lambda: FakeEngine(spec), None, threads=threads)
    begun = time.monotonic()
    found = [
        o for event in embedder.run(list_works(twenty), 4) if isinstance(event, list) for o in event
    ]
    embedder.close()
    assert time.monotonic() - begun < 300, "nobody waited for the 600 s of a stuck decoder"
    check([(Path(o.task.path).name, o.result) for o in found])


def test_a_stuck_decoder_in_a_worker(twenty: Path, model: Path) -> None:
    """The worker's process continues, too."""
    job = EmbeddingJob(
        resolve_model(str(model)),
        engine="support.decoders:StuckDecoderEngine",
        arguments={"folder": str(twenty)},
    )
    replicas = ReplicaPool(job, make_environments(1))
    replicas.start_engines()
    first = replicas._replicas[0].process
    found = list(run_replicas(replicas, list_works(twenty)))
    check([(Path(o.task.path).name, o.result) for o in found])
    assert first.returncode == -9, "the worker lived until it was closed"


def test_a_worker_with_many_stuck_decoders_is_replaced(twenty: Path, model: Path) -> None:
    """Its process ends, which frees their memory; the next worker embeds the other pictures."""
    job = EmbeddingJob(
        resolve_model(str(model)),
        engine="support.decoders:ImpatientEngine",
        arguments={"folder": str(twenty)},
    )
    replicas = ReplicaPool(job, make_environments(1))
    replicas.start_engines()
    first = replicas._replicas[0].process
    found = list(run_replicas(replicas, list_works(twenty), 5))
    check([(Path(o.task.path).name, o.result) for o in found])
    assert first.returncode == 0, "the worker ended by itself"


def test_many_stuck_decoders_end_the_run(
    twenty: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in one process stops, which bounds the memory; the next run continues."""
    install_stuck_decoder(twenty, monkeypatch.setattr)
    monkeypatch.setattr(pipeline, "MAX_STUCK_DECODERS", 2)
    options = IndexOptions(str(model), batch_size=5)
    with Library.open(tmp_path / "library", create=True, start=FakeEngine) as library:
        with pytest.raises(EngineError, match="2 pictures are stuck in decoding"):
            list(library.index([twenty], options))
        assert len(library.failures()) == 2
        *_, last = library.index([twenty], options)
        assert isinstance(last, RunFinished)
        assert (last.summary.added + last.summary.unchanged, last.summary.failed) == (17, 1)


def test_the_process_ends_with_a_decoder_that_does_not(
    twenty: Path, model: Path, tmp_path: Path
) -> None:
    """The run completes, the failures are saved, and the program ends."""
    code = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from support.fake_engine import FakeEngine
        from support.decoders import install_stuck_decoder
        from searchapp.library import Library
        from searchapp.types import IndexOptions
        twenty, model, folder = sys.argv[2:]
        install_stuck_decoder(Path(twenty))
        with Library.open(folder, create=True, start=FakeEngine) as library:
            *_, last = library.index([twenty], IndexOptions(model))
            print(last.summary.added, last.summary.failed, len(library.failures()))
    """
    arguments = [str(TESTS), twenty, model, tmp_path / "library"]
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        text=True, capture_output=True, timeout=300, check=True,
    )  # fmt: skip
    assert (result.stdout, result.stderr) == ("17 3 3\n", "")


@pytest.fixture
def readers() -> Iterator[ReaderPool[str]]:
    pool = ReaderPool[str](1)
    yield pool
    pool.close()


def test_a_decoder_in_python_is_ended(readers: ReaderPool[str]) -> None:
    """An abandoned thread ends if it runs Python code, and another takes its place."""
    ended = threading.Event()

    def forever(reading: ReaderTask[str]) -> str:
        try:
            with reading.limit_time():
                while True:
                    time.sleep(0.001)
        finally:
            ended.set()

    reading = readers.submit(forever)
    following = readers.submit(lambda _: "read")
    assert readers.wait_for_result(reading, 0.2, lambda: "late") == "late"
    assert ended.wait(60)
    assert readers.wait_for_result(following, 0.2, lambda: "late") == "read"
    assert readers.wait_for_result(reading, 0.2, lambda: "asked again") == "late"


def test_only_decoding_is_limited(
    readers: ReaderPool[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk loses no picture: time outside a limited block does not count."""
    now = 0.0
    monkeypatch.setattr(decoder_threads, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(decoder_threads, "POLL_INTERVAL_S", 0.01)

    def read_slowly(reading: ReaderTask[str]) -> str:
        nonlocal now
        for _ in range(2):
            now += 1000
            time.sleep(0.1)  # The pool checks the time limit meanwhile.
            with reading.limit_time():
                time.sleep(0.1)
        return "read"

    assert readers.wait_for_result(readers.submit(read_slowly), 30, lambda: "late") == "read"


def test_a_limit_may_be_several_times_as_long(readers: ReaderPool[str]) -> None:
    """A video has a longer limit than a picture, and is abandoned after it."""

    def slow(reading: ReaderTask[str]) -> str:
        with reading.limit_time(1000):
            time.sleep(0.3)
        return "read"

    def slower(reading: ReaderTask[str]) -> str:
        with reading.limit_time(2):
            time.sleep(600)
        return "read"

    assert readers.wait_for_result(readers.submit(slow), 0.1, lambda: "late") == "read"
    assert readers.wait_for_result(readers.submit(slower), 0.1, lambda: "late") == "late"


def test_the_documentation_names_the_limit() -> None:
    """The documentation says 30 seconds, in one process and in workers."""
    assert DECODE_TIMEOUT_S == 30
    assert DECODE_TIMEOUT_S * pipeline.VIDEO_TIMEOUT_FACTOR == 120
    assert EmbeddingJob.__dataclass_fields__["decode_timeout_s"].default == DECODE_TIMEOUT_S
    topic = " ".join((ROOT / "searchapp/docs/indexing.md").read_text().split())
    assert "takes longer than 30 seconds to decode" in topic
    assert "two minutes" in topic


def test_a_call_that_fails_says_so(readers: ReaderPool[str]) -> None:
    """An exception of a call is raised to the caller that waits for its result."""

    def broken(reading: ReaderTask[str]) -> str:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        readers.wait_for_result(readers.submit(broken), 1, lambda: "late")
    assert readers.wait_for_result(readers.submit(lambda _: "read"), 1, lambda: "late") == "read"


def test_another_task_runs_while_one_waits_for_another_device() -> None:
    """A waiting task gives up its core, and continues only once a core is free again."""
    pool = ReaderPool[str](1)
    pool.add_waiting_threads(1)
    has_device_answered, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def use_device(_: ReaderTask[str]) -> str:
        with pool.release_core():
            has_device_answered.wait()
        order.append("device")
        return "device"

    def use_core(_: ReaderTask[str]) -> str:
        has_device_answered.set()
        may_end.wait()
        order.append("core")
        return "core"

    waiting, computing = pool.submit(use_device), pool.submit(use_core)
    assert has_device_answered.wait(60)
    may_end.set()
    assert [each.result() for each in (computing, waiting)] == ["core", "device"]
    assert order == ["core", "device"]
    pool.close()


def test_an_abandoned_task_gives_its_core_back() -> None:
    """Else the tasks after it would wait forever."""
    pool, is_over = ReaderPool[str](1), threading.Event()

    def get_stuck(task: ReaderTask[str]) -> str:
        with task.limit_time():
            task._started_at = 0.0
            is_over.wait()
        return "never"

    stuck = pool.submit(get_stuck)
    assert pool.wait_for_result(stuck, 1.0, lambda: "late") == "late"
    for number in range(3):
        assert pool.submit(lambda _, number=number: str(number)).result() == str(number)
    is_over.set()
    pool.close()


def test_a_task_that_is_abandoned_while_it_waits_gives_no_second_core() -> None:
    """Such as one that waits for a GPU that hangs."""
    pool, has_answer, is_waiting = ReaderPool[str](1), threading.Event(), threading.Event()
    pool.add_waiting_threads(1)

    def wait_for_device(task: ReaderTask[str]) -> str:
        with task.limit_time(), pool.release_core():
            task._started_at = 0.0
            is_waiting.set()
            has_answer.wait()
        return "never"

    waiting = pool.submit(wait_for_device)
    assert is_waiting.wait(60)
    assert pool.wait_for_result(waiting, 1.0, lambda: "late") == "late"
    has_answer.set()
    assert waiting._thread is not None
    waiting._thread.join(60)
    assert not waiting.is_running
    assert pool.submit(lambda _: "next").result() == "next"
    pool.close()
    for thread in pool._threads:
        thread.join(60)
    assert pool._cores._value == 1


def test_a_library_that_calls_exit_fails_its_file_only(readers: ReaderPool[str]) -> None:
    """Nothing waits forever, and the thread goes on."""

    def leave(task: ReaderTask[str]) -> str:
        sys.exit("no licence")

    for _ in range(3):
        task = readers.submit(leave)
        with pytest.raises(RuntimeError, match=r"SystemExit.*no licence"):
            readers.wait_for_result(task, 5.0, lambda: "late")
    assert readers.wait_for_result(readers.submit(lambda _: "read"), 5.0, lambda: "late") == "read"
