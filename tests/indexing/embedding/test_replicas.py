"""Several engines in processes of their own: what they embed, and what becomes of their deaths."""

import os
import random
import signal
import sqlite3
import time
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from PIL import Image
from support.fake_engine import FakeEngine
from support.replicas import list_works, make_environments, run_replicas

from searchapp.catalog import FileTask
from searchapp.catalog.writer import CatalogWriter
from searchapp.errors import EngineError, LibraryError, ModelError
from searchapp.indexing.embedding.pipeline import EmbeddedPicture
from searchapp.indexing.embedding.replicas import ReplicaPool
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.models import ModelSpec, resolve_model
from searchapp.types import (
    Collection,
    EngineStarting,
    Failure,
    FileFailed,
    IndexOptions,
    Progress,
    RunFinished,
)
from searchapp.vectors import unpack_vectors

SEEDS = range(20)
DEADLY = (7, 7, 7)  # a picture of this colour ends the process


class MortalEngine(FakeEngine):
    """Ends its process on a deadly picture."""

    def prepare(self, item):  # type: ignore[no-untyped-def]
        if item.image is not None and item.image.getpixel((0, 0)) == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return item


class HangingEngine(FakeEngine):
    """Never comes back from a deadly picture."""

    def embed(self, inputs):  # type: ignore[no-untyped-def]
        if any(item.image is not None and item.image.getpixel((0, 0)) == DEADLY for item in inputs):
            time.sleep(3600)
        return super().embed(inputs)


class NeverReady(FakeEngine):
    """Hangs when it starts."""

    def __init__(self, spec: ModelSpec) -> None:
        time.sleep(3600)


class StillbornEngine(FakeEngine):
    """Ends its process when it starts."""

    def __init__(self, spec: ModelSpec) -> None:
        os._exit(3)


class StillbornInSomePlaces(FakeEngine):
    """Ends its process when it starts, where the place says so."""

    def __init__(self, spec: ModelSpec) -> None:
        if os.environ.get("STILLBORN"):
            os._exit(3)
        super().__init__(spec)


class RefusingEngine(FakeEngine):
    """States why it does not start."""

    def __init__(self, spec: ModelSpec) -> None:
        raise ModelError("no such model here")


class SlowStart(FakeEngine):
    """Is a long time in starting, except in the first place."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        time.sleep(float(os.environ["START_SECONDS"]))


@pytest.fixture
def job(model: Path) -> EmbeddingJob:
    return EmbeddingJob(resolve_model(str(model)), engine="support.fake_engine:FakeEngine")


@pytest.fixture
def many(tmp_path: Path) -> list[FileTask]:
    """Two hundred pictures, no two alike, and one file that is none."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(200):
        image = Image.new("RGB", (24, 24), (number, 255 - number, 50))
        image.save(folder / f"{number:03}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return list_works(folder)


def test_every_file_is_dealt_with_once(job: EmbeddingJob, many: list[FileTask]) -> None:
    """Vectors, hashes and failures are those that one engine in this process gives."""
    found = list(run_replicas(ReplicaPool(job, make_environments(2)), many))
    assert Counter(o.work for o in found) == Counter(many)
    engine = FakeEngine(job.spec)
    for outcome in found:
        if outcome.work.path.endswith("broken.png"):
            assert isinstance(outcome.result, Failure)
            continue
        assert isinstance(outcome.result, EmbeddedPicture)
        (vector,) = unpack_vectors([outcome.result.vector], FakeEngine.DIMENSIONS)
        picture = Image.open(outcome.work.path)
        expected = engine._make_vector(type("Item", (), {"image": picture.resize((32, 32))}))
        assert vector @ expected / (expected @ expected) ** 0.5 > 0.999
    assert outcome.size > 1, "size and time are those of the file as it was read"


def test_a_deadly_picture_costs_only_itself(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """A picture that ends its process becomes a failure that says so, and its neighbours do not."""
    Image.new("RGB", (24, 24), DEADLY).save(tmp_path / "many" / "100-deadly.png")
    files = list_works(tmp_path / "many")
    mortal = replace(job, engine="test_replicas:MortalEngine")
    found = list(run_replicas(ReplicaPool(mortal, make_environments(2)), files))
    assert Counter(o.work for o in found) == Counter(files)
    failures = {Path(o.work.path).name: o.result for o in found if isinstance(o.result, Failure)}
    assert set(failures) == {"100-deadly.png", "broken.png"}
    assert failures["100-deadly.png"].message == (
        "the engine's process ended on it 2 times (killed by SIGKILL)"
    )


def test_a_picture_that_hangs_costs_only_itself(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """Who answers nothing for too long is ended like who dies, and the rest is embedded."""
    Image.new("RGB", (24, 24), DEADLY).save(tmp_path / "many" / "100-deadly.png")
    files = list_works(tmp_path / "many")
    hanging = replace(job, engine="test_replicas:HangingEngine")
    found = list(
        run_replicas(
            ReplicaPool(
                hanging, make_environments(2), answer_timeout_s=2.5, timeout_per_file_s=0.0
            ),
            files,
        )
    )
    assert Counter(o.work for o in found) == Counter(files)
    failures = {Path(o.work.path).name: o.result for o in found if isinstance(o.result, Failure)}
    assert set(failures) == {"100-deadly.png", "broken.png"}
    assert "ended on it 2 times (it said nothing for " in failures["100-deadly.png"].message


def test_a_catalogue_that_cannot_be_read_blames_no_picture(
    job: EmbeddingJob, many: list[FileTask], tmp_path: Path
) -> None:
    """The work stops with the reason, and not with a failure for every file."""
    (tmp_path / "catalog.db").write_bytes(b"no database" * 1000)
    damaged = replace(job, catalog_file=str(tmp_path / "catalog.db"), collection_id=1)
    with pytest.raises(LibraryError, match=r"not a database\. The file is damaged"):
        list(run_replicas(ReplicaPool(damaged, make_environments(2)), many))


def test_a_worker_that_is_stopped_is_replaced(job: EmbeddingJob, many: list[FileTask]) -> None:
    """A process that stands still, for whatever reason, keeps no file."""
    replicas, found, stopped = (
        ReplicaPool(job, make_environments(2), answer_timeout_s=2.5, timeout_per_file_s=0.0),
        [],
        0,
    )
    for event in replicas.run(many, 8):
        if isinstance(event, EngineStarting):
            continue
        found += event
        if len(found) > 40 * (stopped + 1) and stopped < 2:
            os.kill(replicas._replicas[0].process.pid, signal.SIGSTOP)
            stopped += 1
    replicas.close()
    assert stopped == 2
    assert Counter(o.work for o in found) == Counter(many)
    failures = [o.work.path for o in found if isinstance(o.result, Failure)]
    assert [Path(path).name for path in failures] == ["broken.png"]
    print(f"{stopped} workers stopped, {len(found)} files, 0 lost, 0 hung")


def test_an_engine_that_never_starts_is_said(job: EmbeddingJob, many: list[FileTask]) -> None:
    """It is waited for a while, a few times, and not for ever."""
    never = replace(job, engine="test_replicas:NeverReady")
    with pytest.raises(EngineError, match=r"ended 3 times before .* \(it said nothing for"):
        list(
            run_replicas(
                ReplicaPool(
                    never, make_environments(1), answer_timeout_s=0.3, timeout_per_file_s=0.0
                ),
                many,
            )
        )


@pytest.mark.parametrize(
    ("engine", "error", "said"),
    [
        ("StillbornEngine", EngineError, "ended 3 times before the model ran (exit code 3)"),
        ("RefusingEngine", ModelError, "no such model here"),
    ],
)
def test_an_engine_that_does_not_start_is_said(
    job: EmbeddingJob, many: list[FileTask], engine: str, error: type[Exception], said: str
) -> None:
    """It is tried a few times, not for ever."""
    with pytest.raises(error) as told:
        list(
            run_replicas(
                ReplicaPool(replace(job, engine=f"test_replicas:{engine}"), make_environments(2)),
                many,
            )
        )
    assert said in str(told.value)


def test_an_engine_that_dies_at_its_start_blames_no_file(
    job: EmbeddingJob, many: list[FileTask]
) -> None:
    """A bad GPU beside a good one costs speed, and not a picture."""
    mixed = [*make_environments(1, STILLBORN="1"), *make_environments(1)]
    stillborn = replace(job, engine="test_replicas:StillbornInSomePlaces")
    found = list(run_replicas(ReplicaPool(stillborn, mixed), many))
    assert Counter(o.work for o in found) == Counter(many)
    failures = [o.work.path for o in found if isinstance(o.result, Failure)]
    assert [Path(path).name for path in failures] == ["broken.png"]


def test_who_starts_late_keeps_nobody_waiting(job: EmbeddingJob, many: list[FileTask]) -> None:
    """Files that wait for an engine's start go to one that runs."""
    slow = [*make_environments(1, START_SECONDS="0"), *make_environments(1, START_SECONDS="60")]
    begun = time.monotonic()
    replicas = ReplicaPool(replace(job, engine="test_replicas:SlowStart"), slow)
    found = list(run_replicas(replicas, many))
    assert Counter(o.work for o in found) == Counter(many)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_at_any_moment(
    job: EmbeddingJob, tmp_path: Path, model: Path, seed: int, two_thousand: Path
) -> None:
    """Every picture is embedded exactly once, and none is lost, whenever workers are killed."""
    chance = random.Random(seed)
    replicas: list[ReplicaPool] = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        own = replace(job, engine="support.fake_engine:FakeEngine")
        replicas.append(ReplicaPool(own, make_environments(2)))
        return replicas[0]

    moments = sorted(chance.sample(range(1900), 3))  # after so many pictures, and a little later
    killed = 0
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        for event in library.index([two_thousand], IndexOptions(str(model), batch_size=16)):
            assert not isinstance(event, FileFailed), event
            if isinstance(event, Progress) and moments and event.done > moments[0]:
                moments.pop(0)
                time.sleep(chance.uniform(0, 0.02))
                chance.choice(replicas[0]._replicas).process.kill()
                killed += 1
        assert killed == 3
        assert isinstance(event, RunFinished)
        (collection,) = library.info().collections
        assert (event.summary.added, collection.images, collection.failures) == (2000, 2000, 0)
    print(f"seed {seed}: {killed} workers killed, 2000 pictures embedded, 0 lost")


@pytest.fixture(scope="session")
def two_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-thousand")
    for number in range(2000):
        colour = (number % 256, number // 256, 77)
        Image.new("RGB", (8, 8), colour).save(folder / f"{number:04}.bmp")
    return folder


def test_an_interrupted_run_keeps_what_was_embedded(
    tmp_path: Path, model: Path, two_thousand: Path
) -> None:
    """Whatever the workers had sent is saved, in no time, and the next run does the rest."""

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        return ReplicaPool(
            replace(job, engine="support.fake_engine:FakeEngine"), make_environments(2)
        )

    options = IndexOptions(str(model), batch_size=16)
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        run = library.index([two_thousand], options)
        done = next(event.done for event in run if isinstance(event, Progress) if event.done > 200)
        time.sleep(0.5)  # the workers go on meanwhile, as far as they have files
        begun = time.monotonic()
        run.close()
        assert time.monotonic() - begun < 5
        kept = library.info().collections[0].images
        assert kept > done
        *_, last = library.index([two_thousand], options)
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.unchanged) == (2000 - kept, kept)


def test_a_disk_that_is_full_ends_the_workers(
    tmp_path: Path, model: Path, two_thousand: Path
) -> None:
    """What was saved is kept, the reason is said, no process stays, and the next run completes."""
    started: list[ReplicaPool] = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ReplicaPool:
        started.append(
            ReplicaPool(replace(job, engine="support.fake_engine:FakeEngine"), make_environments(2))
        )
        return started[-1]

    real, room = CatalogWriter.save_embeddings, iter(range(4))

    def save(self: CatalogWriter, collection: Collection, vectors: Mapping[int, bytes]) -> None:
        if next(room, None) is None:
            raise sqlite3.OperationalError("database or disk is full")
        real(self, collection, vectors)

    options, processes = IndexOptions(str(model), batch_size=16), []
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        with (
            mock.patch.object(CatalogWriter, "save_embeddings", save),
            pytest.raises(LibraryError, match=r"full\. Free some space on the disk and run this"),
        ):
            for _ in library.index([two_thousand], options):
                processes = [r.process for r in started[0]._replicas] if started else []
        assert all(process.poll() is not None for process in processes)
        assert len(processes) == 2
        assert library.info().images == 4 * 16
        *_, last = library.index([two_thousand], options)
        assert (last.summary.added, last.summary.failed) == (2000 - 64, 0)


def test_a_known_content_starts_no_engine(tmp_path: Path, model: Path, photos: Path) -> None:
    """Copies of what is embedded are recognised by workers, too."""
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
    """What waits and what is under way is bounded: files that are not there go through fastest."""

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

    assert peak(100_000) < 1.1 * peak(10_000) + 300_000  # a pointer more a file would show
