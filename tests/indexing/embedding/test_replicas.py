"""Worker processes: what they embed, and what happens if they die or hang."""

import hashlib
import logging
import os
import random
import signal
import sqlite3
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image
from support.effort import scale
from support.fake_engine import FakeEngine
from support.jpeg_decoders import DEADLY_COMMENT
from support.replicas import list_works, make_environments, run_replicas
from support.worker_engines import DEADLY

from searchapp.catalog import FileTask
from searchapp.catalog.writer import CatalogWriter
from searchapp.cli import watchdog
from searchapp.errors import EngineError, LibraryError, ModelError
from searchapp.indexing.embedding import replicas, worker
from searchapp.indexing.embedding.outcomes import EmbeddedPicture, Outcome
from searchapp.indexing.embedding.pipeline import StartEvent
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.indexing.embedding.scaling import EngineScaler
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.indexing.embedding.worker_process import WorkerProcess, compute_answer_timeout
from searchapp.library import Library
from searchapp.models import resolve_model
from searchapp.types import (
    Collection,
    DecodingOnCpu,
    EngineStarting,
    Failure,
    FileFailed,
    IndexOptions,
    Progress,
    RunFinished,
)
from searchapp.vectors import unpack_vectors

SEEDS = range(scale(2))
ANSWER_TIMEOUT_S, TIMEOUT_PER_FILE_S = 20.0, 20.0


@contextmanager
def expire_workers(pool: ReplicaPool, find_processes: Callable[[], set[int]]) -> Iterator[None]:
    """Let the answer timeout of hanging workers pass at once.

    The other workers keep a generous timeout: no test depends on how busy the machine is.
    """
    finished = threading.Event()

    def expire() -> None:
        while not finished.wait(0.02):
            hanging = find_processes()
            for replica in list(pool._replicas):
                if replica.process.pid in hanging:
                    replica.last_heard_at = time.monotonic() - 3600

    thread = threading.Thread(target=expire)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


@pytest.fixture
def job(model: Path) -> EmbeddingJob:
    return EmbeddingJob(resolve_model(str(model)), engine="support.fake_engine:FakeEngine")


@pytest.fixture
def many(tmp_path: Path) -> list[FileTask]:
    """Two hundred different pictures, and one file that is no picture."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        image = Image.new("RGB", (24, 24), (number, 255 - number, 50))
        image.save(folder / f"{number:03}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return list_works(folder)


def test_every_file_has_one_outcome(job: EmbeddingJob, many: list[FileTask]) -> None:
    """Vectors, hashes and failures equal those of one engine in this process."""
    found = list(run_replicas(ReplicaPool(job, make_environments(2)), many))
    assert Counter(o.task for o in found) == Counter(many)
    engine = FakeEngine(job.spec)
    for outcome in found:
        if outcome.task.path.endswith("broken.png"):
            assert isinstance(outcome.result, Failure)
            continue
        assert isinstance(outcome.result, EmbeddedPicture)
        (vector,) = unpack_vectors([outcome.result.vector], FakeEngine.DIMENSIONS)
        picture = Image.open(outcome.task.path)
        expected = engine._make_vector(type("Item", (), {"image": picture.resize((32, 32))}))
        assert vector @ expected / (expected @ expected) ** 0.5 > 0.999
    assert outcome.state.size > 1, "size and time are those of the file as it was read"


def test_batches_of_several_workers_come_together(job: EmbeddingJob, many: list[FileTask]) -> None:
    """The caller saves them at once; meanwhile, the workers have new files already."""
    pool = ReplicaPool(job, make_environments(3))
    pool.start_engines()
    run = pool.run(iter(many), 8)
    found = [next(run)]
    batch_counts = [len(found[0]) // 8]
    while len(found) < 4:
        assert wait([each.connection for each in pool._replicas], timeout=120)
        sent = [each for each in pool._replicas if each.connection.poll(5)]
        lengths = [len(each.batches) for each in sent]
        found.append(next(run))
        batch_counts.append(len(found[-1]) // 8)
        assert [len(each.batches) for each in sent] == lengths == [3] * len(sent)
    assert max(batch_counts) > 1, batch_counts
    found += run
    pool.close()
    assert Counter(o.task for part in found for o in part) == Counter(many)


def test_outcomes_that_were_received_before_an_error_are_kept(
    job: EmbeddingJob, many: list[FileTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ReplicaPool(job, make_environments(2))
    pool.start_engines()
    receive, received = pool._receive_message, list[FileTask]()

    def fail_after_the_first(replica: WorkerProcess) -> Iterator[list[Outcome] | StartEvent]:
        for event in receive(replica):
            received.extend(o.task for o in event if isinstance(event, list))
            yield event
        if received:
            raise EngineError("the engine failed")

    monkeypatch.setattr(pool, "_receive_message", fail_after_the_first)
    with pytest.raises(EngineError):
        list(pool.run(iter(many), 8))
    kept = [o.task for part in pool.stop_and_drain() for o in part]
    assert received
    assert set(received) <= set(kept)
    assert len(kept) == len(set(kept))


def test_ctrl_c_while_outcomes_are_decoded_mixes_no_files(
    job: EmbeddingJob, many: list[FileTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcomes that are still in the socket belong to their own files, not to earlier ones."""
    pool = ReplicaPool(job, make_environments(1))
    pool.start_engines()
    receive, interrupted = worker.receive_outcomes, list[FileTask]()

    def interrupt(
        connection: Connection, message: dict[str, Any], tasks: list[FileTask]
    ) -> list[Outcome]:
        outcomes = receive(connection, message, tasks)
        if not interrupted and len(pool._replicas[0].batches) == 3:
            interrupted.extend(tasks)
            assert connection.poll(120)
            time.sleep(0.2)  # until the next batch is sent completely
            raise KeyboardInterrupt
        return outcomes

    monkeypatch.setattr(worker, "receive_outcomes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(pool.run(iter(many), 8))
    kept = [outcome for part in pool.stop_and_drain() for outcome in part]
    assert kept
    assert not {outcome.task for outcome in kept} & set(interrupted)
    for outcome in kept:
        assert isinstance(outcome.result, EmbeddedPicture)
        content = Path(outcome.task.path).read_bytes()
        assert outcome.result.sha256 == hashlib.sha256(content).hexdigest()


def test_a_deadly_picture_costs_only_itself(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """A picture that ends its process becomes a failure; the pictures next to it are embedded."""
    Image.new("RGB", (24, 24), DEADLY).save(tmp_path / "many" / "100-deadly.png")
    files = list_works(tmp_path / "many")
    mortal = replace(job, engine="support.worker_engines:MortalEngine")
    found = list(run_replicas(ReplicaPool(mortal, make_environments(2)), files))
    assert Counter(o.task for o in found) == Counter(files)
    failures = {Path(o.task.path).name: o.result for o in found if isinstance(o.result, Failure)}
    assert set(failures) == {"100-deadly.png", "broken.png"}
    assert failures["100-deadly.png"].message == (
        "the engine's process ended 2 times while it processed this file (killed by SIGKILL)"
    )


def test_a_picture_that_hangs_costs_only_itself(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """A worker that sends nothing for too long is replaced, and the other pictures are embedded."""
    Image.new("RGB", (24, 24), DEADLY).save(tmp_path / "many" / "100-deadly.png")
    files = list_works(tmp_path / "many")
    processes = tmp_path / "processes"
    processes.mkdir()
    hanging = replace(
        job, engine="support.worker_engines:HangingEngine", arguments={"folder": str(processes)}
    )
    pool = ReplicaPool(hanging, make_environments(2), ANSWER_TIMEOUT_S, TIMEOUT_PER_FILE_S)
    with expire_workers(pool, lambda: {int(file.name) for file in processes.iterdir()}):
        found = list(run_replicas(pool, files))
    assert Counter(o.task for o in found) == Counter(files)
    failures = {Path(o.task.path).name: o.result for o in found if isinstance(o.result, Failure)}
    assert set(failures) == {"100-deadly.png", "broken.png"}
    assert (
        "ended 2 times while it processed this file (it sent nothing for "
        in failures["100-deadly.png"].message
    )


def test_an_unreadable_catalog_blames_no_picture(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """The run stops with the reason, and does not report a failure for every file."""
    (tmp_path / "catalog.db").write_bytes(b"no database" * 1000)
    damaged = replace(job, catalog_file=str(tmp_path / "catalog.db"), collection_id=1)
    with pytest.raises(LibraryError, match=r"not a database\. The file is damaged"):
        list(run_replicas(ReplicaPool(damaged, make_environments(2)), many))


def test_a_stopped_worker_is_replaced(job: EmbeddingJob, many: list[FileTask]) -> None:
    """The files of a stopped process are embedded by another one."""
    pool, found = ReplicaPool(job, make_environments(2), ANSWER_TIMEOUT_S, TIMEOUT_PER_FILE_S), []
    stopped: set[int] = set()
    with expire_workers(pool, lambda: stopped):
        for event in pool.run(many, 8):
            if isinstance(event, EngineStarting):
                continue
            found += event
            if len(found) > 40 * (len(stopped) + 1) and len(stopped) < 2:
                process = pool._replicas[0].process
                os.kill(process.pid, signal.SIGSTOP)
                stopped |= {process.pid}
    pool.close()
    assert len(stopped) == 2
    assert Counter(o.task for o in found) == Counter(many)
    failures = [o.task.path for o in found if isinstance(o.result, Failure)]
    assert [Path(path).name for path in failures] == ["broken.png"]
    print(f"{len(stopped)} workers stopped, {len(found)} files, 0 lost, 0 hung")


def test_a_worker_that_hangs_with_a_large_batch_is_replaced_before_the_command_ends() -> None:
    """The watchdog ended the command after an hour; a batch of 128 pictures had 8,280 s."""

    def compute(pictures: int, is_ready: bool) -> float:
        limits = (replicas.ANSWER_TIMEOUT_S, replicas.TIMEOUT_PER_FILE_S)
        return compute_answer_timeout(pictures, *limits, is_ready=is_ready)

    assert compute(128, is_ready=True) < watchdog.HANG_TIMEOUT_S
    assert compute(16, is_ready=True) == 600 + 16 * 60
    assert compute(16, is_ready=False) == 3 * (600 + 16 * 60)


def test_a_start_after_all_workers_ended_is_announced(
    job: EmbeddingJob, many: list[FileTask]
) -> None:
    """It takes as long as the first one, and says nothing about the rate."""
    pool, starts, killed_count = ReplicaPool(job, make_environments(2)), [], 0
    for event in pool.run(many, 8):
        if isinstance(event, EngineStarting):
            starts.append(event.is_restart)
        elif not killed_count:  # Most files have no outcome yet.
            killed_count = len(pool._replicas)
            for replica in pool._replicas:
                replica.process.kill()
    pool.close()
    assert killed_count
    # A killed worker that was still starting may have announced that, too.
    assert (starts[0], set(starts[1:])) == (False, {True})


@pytest.mark.parametrize("starts_early", [False, True])
def test_an_engine_that_never_starts_is_an_error(
    job: EmbeddingJob, many: list[FileTask], starts_early: bool
) -> None:
    """Three processes are started, each with a timeout, before the run stops."""
    never = replace(
        job, engine="support.worker_engines:NeverReadyEngine", starts_early=starts_early
    )
    with pytest.raises(EngineError, match=r"ended 3 times before .* \(it sent nothing for"):
        list(
            run_replicas(
                ReplicaPool(
                    never, make_environments(1), answer_timeout_s=0.3, timeout_per_file_s=0.0
                ),
                many,
            )
        )


def test_files_wait_for_engines_that_start_early(job: EmbeddingJob, many: list[FileTask]) -> None:
    """While all engines start, no worker has files; the run does not end."""
    pool = ReplicaPool(replace(job, starts_early=True), make_environments(2))
    outcomes = run_replicas(pool, many)
    assert Counter(outcome.task for outcome in outcomes) == Counter(many)


@pytest.mark.parametrize(
    ("engine", "error", "message"),
    [
        ("StillbornEngine", EngineError, "ended 3 times before the model ran (exit code 3)"),
        ("RefusingEngine", ModelError, "no such model here"),
    ],
)
def test_an_engine_that_does_not_start_is_an_error(
    job: EmbeddingJob, many: list[FileTask], engine: str, error: type[Exception], message: str
) -> None:
    """Three processes are started at most before the run stops."""
    with pytest.raises(error) as raised:
        list(
            run_replicas(
                ReplicaPool(
                    replace(job, engine=f"support.worker_engines:{engine}"), make_environments(2)
                ),
                many,
            )
        )
    assert message in str(raised.value)


def test_an_engine_that_dies_at_its_start_blames_no_file(
    job: EmbeddingJob, many: list[FileTask]
) -> None:
    """A broken GPU in addition to a good one costs speed, but no picture."""
    mixed = [*make_environments(1, STILLBORN="1"), *make_environments(1)]
    stillborn = replace(job, engine="support.worker_engines:StillbornInSomePlaces")
    found = list(run_replicas(ReplicaPool(stillborn, mixed), many))
    assert Counter(o.task for o in found) == Counter(many)
    failures = [o.task.path for o in found if isinstance(o.result, Failure)]
    assert [Path(path).name for path in failures] == ["broken.png"]


def test_a_late_engine_delays_no_file(job: EmbeddingJob, many: list[FileTask]) -> None:
    """Files that wait for a starting engine go to a running engine."""
    slow = [*make_environments(1, START_SECONDS="0"), *make_environments(1, START_SECONDS="3600")]
    begun = time.monotonic()
    replicas = ReplicaPool(replace(job, engine="support.worker_engines:SlowStart"), slow)
    found = list(run_replicas(replicas, many))
    assert Counter(o.task for o in found) == Counter(many)
    assert time.monotonic() - begun < 600, "nobody waited for the slow start"


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_at_any_moment(
    job: EmbeddingJob, tmp_path: Path, model: Path, seed: int, thousand: Path
) -> None:
    """Every picture is embedded exactly once, whenever workers are killed."""
    chance = random.Random(seed)
    replicas: list[ReplicaPool] = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        own = replace(job, engine="support.fake_engine:FakeEngine")
        replicas.append(ReplicaPool(own, make_environments(2)))
        return replicas[0]

    moments = sorted(
        chance.sample(range(900), 3)
    )  # numbers of pictures after which a worker is killed
    killed = 0
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        for event in library.index([thousand], IndexOptions(str(model), batch_size=16)):
            assert not isinstance(event, FileFailed), event
            if isinstance(event, Progress) and moments and event.done > moments[0]:
                moments.pop(0)
                time.sleep(chance.uniform(0, 0.02))
                chance.choice(replicas[0]._replicas).process.kill()
                killed += 1
        assert killed == 3
        assert isinstance(event, RunFinished)
        (collection,) = library.info().collections
        assert (event.summary.added, collection.images, collection.failures) == (1000, 1000, 0)
    print(f"seed {seed}: {killed} workers killed, 1000 pictures embedded, 0 lost")


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thousand")
    for number in range(1000):
        color = (number % 256, number // 256, 77)
        Image.new("RGB", (8, 8), color).save(folder / f"{number:04}.bmp")
    return folder


def test_an_interrupted_run_keeps_what_was_embedded(
    tmp_path: Path, model: Path, thousand: Path
) -> None:
    """All batches that workers have sent are saved, and the next run embeds the rest."""
    started: list[ReplicaPool] = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        started.append(
            ReplicaPool(replace(job, engine="support.fake_engine:FakeEngine"), make_environments(2))
        )
        return started[-1]

    options = IndexOptions(str(model), batch_size=16)
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        run = library.index([thousand], options)
        done = next(event.done for event in run if isinstance(event, Progress) if event.done > 200)
        ready = [replica for replica in started[0]._replicas if replica.is_ready]
        assert wait([replica.connection for replica in ready], timeout=120)
        time.sleep(0.5)  # until the batch is sent completely
        run.close()
        assert {replica.process.returncode for replica in ready} == {-signal.SIGKILL}
        kept = library.info().collections[0].images
        assert kept > done
        *_, last = library.index([thousand], options)
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.unchanged) == (1000 - kept, kept)


def test_a_full_disk_ends_the_workers(tmp_path: Path, model: Path, thousand: Path) -> None:
    """Saved batches are kept, the error names the reason, and no process stays."""
    started: list[ReplicaPool] = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        started.append(
            ReplicaPool(replace(job, engine="support.fake_engine:FakeEngine"), make_environments(2))
        )
        return started[-1]

    real, saved_counts = CatalogWriter.save_embeddings, list[int]()

    def save(self: CatalogWriter, collection: Collection, vectors: Mapping[int, bytes]) -> None:
        if len(saved_counts) == 4:
            raise sqlite3.OperationalError("database or disk is full")
        real(self, collection, vectors)
        saved_counts.append(len(vectors))

    options, processes = IndexOptions(str(model), batch_size=16), []
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        with (
            mock.patch.object(CatalogWriter, "save_embeddings", save),
            pytest.raises(LibraryError, match=r"full\. Free some space on the disk and run this"),
        ):
            for _ in library.index([thousand], options):
                processes = [r.process for r in started[0]._replicas] if started else []
        assert all(process.poll() is not None for process in processes)
        assert len(processes) == 2
        assert library.info().images == sum(saved_counts) >= 4 * 16
        *_, last = library.index([thousand], options)
        assert (last.summary.added, last.summary.failed) == (1000 - sum(saved_counts), 0)


def test_log_records_of_workers_reach_this_process(
    job: EmbeddingJob, many: list[FileTask], caplog: pytest.LogCaptureFixture
) -> None:
    """Records of the shown level arrive with their logger's name, and name the worker."""
    caplog.set_level(logging.INFO, "searchapp")
    pool = ReplicaPool(
        replace(job, engine="support.worker_engines:TalkingEngine"), make_environments(1)
    )
    pool.start_engines()
    (replica,) = pool._replicas
    relayed = [r for r in caplog.records if r.name == "searchapp.engines.local"]
    assert [(r.levelname, r.getMessage()) for r in relayed] == [
        ("INFO", f"worker {replica.process.pid}: Started with 3 cores")
    ]
    replica.process.kill()
    assert len(list(run_replicas(pool, many))) == len(many)
    assert f"Worker {replica.process.pid} ended (killed by SIGKILL) and was replaced" in caplog.text


def test_a_known_content_starts_no_engine(tmp_path: Path, model: Path, photos: Path) -> None:
    """Workers recognize copies of embedded pictures, too."""
    events = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        return ReplicaPool(
            replace(job, engine="support.fake_engine:FakeEngine"), make_environments(2)
        )

    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        list(library.index([photos], IndexOptions(str(model))))
        for file in list(photos.glob("*.*")):
            (photos / f"copy-{file.name}").write_bytes(file.read_bytes())
        events = list(library.index([photos], IndexOptions(str(model))))
    assert not any(isinstance(event, EngineStarting) for event in events)
    assert events[-1].summary.added == 2


def test_memory_does_not_grow_with_the_files(job: EmbeddingJob, tmp_path: Path) -> None:
    """The parent's memory is bounded. Missing files are the fastest to process."""

    def peak(count: int) -> int:
        files = (FileTask(f"{tmp_path}/{number:07}.png", 1, 1, None) for number in range(count))
        replicas, done = ReplicaPool(job, make_environments(2)), 0
        tracemalloc.start()
        for event in replicas.run(files, 128):
            done += 0 if isinstance(event, EngineStarting) else len(event)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        replicas.close()
        assert done == count
        return most

    assert peak(40_000) < 1.1 * peak(3_000) + 200_000  # a pointer more a file would show


def test_worker_processes_decode_on_another_device(job: EmbeddingJob, tmp_path: Path) -> None:
    """JPEGs are decoded there, everything else by Pillow, and the vectors are the same.

    A picture that ends the process there is decoded by Pillow in the end.
    """
    folder = tmp_path / "works"
    folder.mkdir()
    for number in range(40):
        picture = Image.new("RGB", (900, 700), (6 * number, 100, 0))
        options = {"comment": DEADLY_COMMENT} if number == 21 else {}
        picture.save(folder / f"{number:02}.{'png' if number % 4 == 0 else 'jpg'}", **options)
    files = list_works(folder)
    cpu_pool = ReplicaPool(job, make_environments(2))
    expected = {each.task.path: each.result for each in run_replicas(cpu_pool, files)}
    assert cpu_pool.gpu_decoded_count == 0
    elsewhere = replace(job, jpeg_decoder="support.jpeg_decoders:start_decoder", threads=2)
    pool = ReplicaPool(elsewhere, make_environments(2))
    pool.start_engines()  # Else Pillow decodes the files that are read before an engine runs.
    first_workers = {replica.process.pid for replica in pool._replicas}
    outcomes = [each for event in pool.run(files, 8) if isinstance(event, list) for each in event]
    assert len({replica.process.pid for replica in pool._replicas} & first_workers) == 1
    pool.close()
    assert Counter(outcome.task for outcome in outcomes) == Counter(files)
    for outcome in outcomes:
        theirs = expected[outcome.task.path]
        assert isinstance(outcome.result, EmbeddedPicture)
        assert isinstance(theirs, EmbeddedPicture)
        assert outcome.result.info == theirs.info
        ours, other = unpack_vectors([outcome.result.vector, theirs.vector], FakeEngine.DIMENSIONS)
        assert float(ours @ other) > 0.999
    # Pillow decodes the pictures of the batches that were lost.
    assert 0 < pool.gpu_decoded_count <= 29


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        ("start_exhausted_decoder", "too little memory"),
        ("start_missing_decoder", "nvJPEG does not work"),
    ],
)
def test_a_device_that_cannot_decode_is_reported_once(
    job: EmbeddingJob, tmp_path: Path, decoder: str, reason: str
) -> None:
    folder = tmp_path / "works"
    folder.mkdir()
    for number in range(48):
        Image.new("RGB", (900, 700), (5 * number, 100, 0)).save(folder / f"{number:03}.jpg")
    useless = replace(job, jpeg_decoder=f"support.jpeg_decoders:{decoder}")
    pool = ReplicaPool(useless, make_environments(2))
    pool.start_engines()
    events = list(pool.run(list_works(folder), 8))
    assert all(replica.answer_count for replica in pool._replicas)
    pool.close()
    problems = [event for event in events if isinstance(event, DecodingOnCpu)]
    assert len(problems) == 1
    assert reason in problems[0].reason
    results = [each.result for event in events if isinstance(event, list) for each in event]
    assert len(results) == 48
    assert all(isinstance(result, EmbeddedPicture) for result in results)
    assert pool.gpu_decoded_count == 0


class ScriptedScaler(EngineScaler):
    """Runs 2 engines, then 3, and 1 once all 3 embed."""

    def __init__(self) -> None:
        super().__init__(2, 3, 10**9)
        self.highest_ready = 0

    def observe(self, done: int, ready: int, batch_size: int) -> int:
        self.highest_ready = max(self.highest_ready, ready)
        if self.limit == 3:
            self.count = 3 if self.highest_ready < 3 else 1
        return self.count


def supply_works(folder: Path, is_enough: Callable[[], bool]) -> Iterator[FileTask]:
    """Yield the same files again and again until it is enough, and then some more."""
    for number in range(20):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    works = list_works(folder)
    while not is_enough():
        yield from works
        time.sleep(0.02)  # Leave the cores to the process that starts meanwhile.
    yield from 20 * works


def run_with_scaler(
    pool: ReplicaPool, folder: Path, is_enough: Callable[[], bool]
) -> tuple[int, int]:
    """Return how many files were supplied, and how many were embedded."""
    supplied_count = embedded_count = 0

    def count_supplied() -> Iterator[FileTask]:
        nonlocal supplied_count
        for task in supply_works(folder, is_enough):
            supplied_count += 1
            yield task

    for event in pool.run(count_supplied(), 8):
        assert isinstance(event, list)
        embedded_count += sum(isinstance(each.result, EmbeddedPicture) for each in event)
    return supplied_count, embedded_count


def test_workers_are_started_and_paused_as_the_scaler_decides(
    job: EmbeddingJob, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scaler = ScriptedScaler()
    pool = ReplicaPool(job, make_environments(3), scaler=scaler)
    assert len(pool.start_engines()) == 2
    supplied_count, embedded_count = run_with_scaler(
        pool, tmp_path_factory.mktemp("works"), lambda: scaler.highest_ready == 3
    )
    assert embedded_count == supplied_count
    assert [each.is_paused for each in pool._replicas] == [False, True, True]
    assert pool.active_count == 1
    pool.close()


class PausingScaler(EngineScaler):
    """Runs 2 engines, and 1 once both embed. Then it lets the other one die."""

    def __init__(self, may_die: Path) -> None:
        super().__init__(2, 2, 10**9)
        self._may_die = may_die

    def observe(self, done: int, ready: int, batch_size: int) -> int:
        if ready == 2 and done:
            self.count = 1
        elif self.count == 1:
            self._may_die.touch()
        return self.count


def test_a_paused_worker_continues_if_the_other_one_ends(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """The worker that embeds dies, and its engine does not start again."""
    may_die = tmp_path / "may_die"
    mortal = replace(
        job, engine="support.worker_engines:MortalInSomePlaces", arguments={"may_die": str(may_die)}
    )
    environments = [*make_environments(1, MORTAL="1"), *make_environments(1)]
    pool = ReplicaPool(mortal, environments, scaler=PausingScaler(may_die))
    pool.start_engines()
    files = 5 * many
    outcomes = [each for event in pool.run(files, 8) if isinstance(event, list) for each in event]
    pool.close()
    assert may_die.exists()
    assert Counter(outcome.task for outcome in outcomes) == Counter(files)


def test_a_worker_that_does_not_start_limits_the_scaler(
    job: EmbeddingJob, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The others continue, and no more workers are tried."""
    scaler = ScriptedScaler()
    environments = [*make_environments(2), *make_environments(1, REFUSES="1")]
    here = replace(job, engine="support.worker_engines:RefusingInSomePlaces")
    pool = ReplicaPool(here, environments, scaler=scaler)
    pool.start_engines()
    supplied_count, embedded_count = run_with_scaler(
        pool, tmp_path_factory.mktemp("works"), lambda: scaler.limit == 2
    )
    assert embedded_count == supplied_count
    assert pool.active_count == len(pool._replicas) == 2
    pool.close()
