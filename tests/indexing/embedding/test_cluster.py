"""Embed on a real Ray cluster of two simulated nodes: every file exactly once."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.effort import EFFORT, needs_effort
from support.fake_engine import FakeEngine
from support.jpeg_decoders import DEADLY_COMMENT
from support.object_storage import serve_folder
from support.paths import ROOT, TESTS
from support.sample_pictures import save_picture
from support.video_files import write_video
from support.worker_engines import DEADLY

from searchapp.bench.cluster import ClusterBenchOptions, measure_cluster
from searchapp.catalog import FileTask
from searchapp.errors import EngineError, ModelError
from searchapp.indexing.embedding.choose_engines import connect_to_cluster
from searchapp.indexing.embedding.cluster.capacity import ClusterCapacity
from searchapp.indexing.embedding.cluster.driver import Cluster
from searchapp.indexing.embedding.cluster.driver_process import ClusterProcess
from searchapp.indexing.embedding.cluster.spool import PAGE_FILES, Spool, parse_line, read_lines
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.library import Library
from searchapp.models import resolve_model
from searchapp.types import (
    DecodingOnCpu,
    EngineStarting,
    Failure,
    IndexOptions,
    Progress,
    RunFinished,
)
from searchapp.vectors import unpack_vectors

NODES, FILES = 2, 800
NODE: dict[str, Any] = {
    "num_cpus": 1, "object_store_memory": 100 << 20,
    "include_dashboard": False, "include_log_monitor": False,
}  # fmt: skip
# A node starts the processes that its tasks need, and collects no statistics.
LEAN_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_worker_niceness": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
}


def start_nodes(attempts: int = 4) -> Any:
    """Start the nodes of Ray. Ray gives a node 30 s: a busy machine may need a second attempt."""
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes()
    try:
        for _ in range(NODES):
            nodes.add_node(**NODE)
        return nodes
    except Exception:
        nodes.shutdown()
        if attempts == 1:
            raise
    return start_nodes(attempts - 1)


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """A cluster whose processes can import the tests' engines."""
    path = os.pathsep.join(map(str, [TESTS, ROOT]))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (LEAN_RAY | {"PYTHONPATH": path}).items():
            patch.setenv(name, value)
        nodes = start_nodes()
        yield nodes
        nodes.shutdown()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Different pictures, and one file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(FILES):
        color = (number % 250, number // 250, 200)
        Image.new("RGB", (8, 8), color).save(folder / f"{number:04}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def job(model: Path) -> EmbeddingJob:
    return EmbeddingJob(resolve_model(str(model)), engine="support.fake_engine:FakeEngine")


def works(folder: Path, count: int) -> list[FileTask]:
    return [FileTask(str(file), 1, 1, None) for file in sorted(folder.iterdir())[-count:]]


def outcomes(
    cluster: ClusterProcess, files: list[FileTask], size: int, events: list[object] | None = None
) -> list[Outcome]:
    """Return the outcome of each file; add the other events to `events`."""
    found = []
    try:
        for event in cluster.run(files, size):
            if isinstance(event, list):
                found += event
            elif events is not None:
                events.append(event)
    finally:
        cluster.close()
    return found


def test_the_list_of_files_is_on_disk(tmp_path: Path) -> None:
    """The spool is read page by page, without finished files; unusual file names stay unchanged."""
    files = [FileTask(f"/p/{n}\udcff'\n.png", n, n + 1, None) for n in range(2 * PAGE_FILES + 5)]
    spool = Spool(iter(files))

    def list_unfinished() -> list[tuple[int, FileTask]]:
        return [parse_line(line) for page in spool.iter_pages() for line in read_lines(page)]

    assert list_unfinished() == list(enumerate(files))
    done = [n for n in range(len(files)) if n % 3 == 0 or 5 <= n < 2 * PAGE_FILES]
    assert all(spool.mark_done(n) for n in done)
    assert not spool.mark_done(done[0])
    rest = [(n, work) for n, work in enumerate(files) if n not in set(done)]
    assert list_unfinished() == rest
    assert len(spool) == len(rest)
    end = spool.find_end_number(4)
    assert spool.count_remaining(end) == 4
    assert list(spool.iter_remaining(end)) == rest[:4]
    assert [len(read_lines(page)) for page in spool.iter_single_file_pages(end)] == [1, 1, 1, 1]
    assert spool.find_end_number(99) == rest[-1][0] + 1
    os.utime(spool.path, (0, 0))
    spool.touch()
    assert spool.path.stat().st_mtime > 0, "the spool of a long run looks unused"
    spool.close()
    assert not spool.path.exists()


def test_a_node_that_is_lost_costs_nothing(
    ray_cluster: Any, pictures: Path, model: Path, tmp_path: Path
) -> None:
    """Every picture is embedded exactly once, with the same vectors as one local engine gives."""

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ClusterProcess:
        assert files == FILES + 1
        slow = replace(job, engine="support.worker_engines:SlowEngine", starts_early=True)
        return ClusterProcess(slow, ray_cluster.address, wanted)

    victim, by_node = ray_cluster.add_node(**NODE), {}
    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        for event in library.index([pictures], IndexOptions(str(model), batch_size=32)):
            if isinstance(event, Progress):
                by_node = event.nodes
                answers = victim and any(name.endswith(victim.node_id[:4]) for name in by_node)
                if answers and event.done < 0.9 * FILES:
                    ray_cluster.remove_node(victim, allow_graceful=False)
                    victim = None
        assert isinstance(event, RunFinished)
        assert victim is None, "the run ended before a node was lost"
        assert (event.summary.added, event.summary.failed) == (FILES, 1)
        assert len(by_node) > 1
        *_, again = library.index([pictures], IndexOptions(str(model)))
        assert isinstance(again, RunFinished)
        assert (again.summary.unchanged, again.summary.added) == (FILES, 0)
    with sqlite3.connect(tmp_path / "library/catalog.db") as db:
        (last,) = db.execute("select max(id) from embeddings").fetchone()
        rows = db.execute(
            "select path, vector from embeddings e join files f using (image_id)"
        ).fetchall()
    assert len(rows) == last == FILES  # no row was ever written twice
    engine = FakeEngine(resolve_model(str(model)))
    for path, vector in rows[:: FILES // 50]:
        with Image.open(path) as image:
            expected = engine._make_vector(type("I", (), {"image": image.convert("RGB")}))
        (found,) = unpack_vectors([vector], FakeEngine.DIMENSIONS)
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-3)
    print(f"1 of {NODES + 1} nodes lost, {FILES} pictures embedded once, 0 lost, 0 twice")


def test_pictures_that_end_their_process(
    ray_cluster: Any, pictures: Path, job: EmbeddingJob, tmp_path: Path
) -> None:
    """Only they become failures; with more effort, even if a pass loses more batches than it may.

    A JPEG that ends the process in another decoder is decoded by Pillow in the end.
    """
    deadly = [tmp_path / f"deadly{number}.png" for number in range(9 if EFFORT > 1 else 1)]
    for file in deadly:
        Image.new("RGB", (24, 24), DEADLY).save(file)
    files = works(pictures, 30)
    for number, file in enumerate(deadly):
        files[2 * number] = FileTask(str(file), 1, 1, None)
    jpeg = tmp_path / "deadly.jpg"
    Image.new("RGB", (900, 700), "green").save(jpeg, comment=DEADLY_COMMENT)
    files[20] = FileTask(str(jpeg), 1, 1, None)
    mortal = replace(
        job,
        engine="support.worker_engines:MortalOnEmbed",
        jpeg_decoder="support.jpeg_decoders:start_decoder",
        starts_early=True,  # Else Pillow decodes the pictures that are read before it starts.
    )
    engines = 2 if EFFORT > 1 else 1  # Each death costs 5 s of a core.
    found = outcomes(ClusterProcess(mortal, ray_cluster.address, max_engines=engines), files, 2)
    assert Counter(o.task for o in found) == Counter(files)
    failures = {Path(o.task.path).name: o.result for o in found if isinstance(o.result, Failure)}
    expected = "the engine's process ended 2 times while it processed this file"
    named = {name: failure.message for name, failure in failures.items() if name != "broken.png"}
    assert named == dict.fromkeys((file.name for file in deadly), expected)


@needs_effort
def test_engines_that_always_die_are_an_error(
    ray_cluster: Any, job: EmbeddingJob, tmp_path: Path
) -> None:
    """If no picture was ever embedded, the run stops, and no picture is blamed."""
    Image.new("RGB", (24, 24), DEADLY).save(tmp_path / "deadly.png")
    files = [FileTask(str(tmp_path / "deadly.png"), 1, number, None) for number in range(2)]
    mortal = replace(job, engine="support.worker_engines:MortalOnEmbed")
    with pytest.raises(EngineError, match="the cluster does not answer"):
        outcomes(ClusterProcess(mortal, ray_cluster.address, max_engines=1), files, 2)


def test_passes_without_any_answer_end_the_run(
    job: EmbeddingJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If every pass loses all files, the run stops, and no file is blamed."""
    passes: list[tuple[int, int | None]] = []

    def lose_all(self: Cluster, spool: Spool, size: int, end: int | None = None) -> Iterator[Any]:
        passes.append((size, end))
        return iter(())

    monkeypatch.setattr(Cluster, "_run_pass", lose_all)
    cluster = Cluster.__new__(Cluster)
    cluster._job, cluster._capacity = job, ClusterCapacity(1, 1.0, 0.0, 1)
    cluster.answered_engines = set()
    files = [FileTask(f"{tmp_path}/{number}.png", 1, number, None) for number in range(20)]
    spool = Spool(files, tmp_path)
    with pytest.raises(EngineError, match="the cluster does not answer"):
        list(cluster.run(spool, 2))
    assert passes == [(2, None), (1, 6)]


def test_an_engine_that_does_not_start_is_an_error(
    ray_cluster: Any, pictures: Path, job: EmbeddingJob
) -> None:
    """The error is raised once, and names the node."""
    refusing = replace(job, engine="support.worker_engines:RefusingEngine")
    with pytest.raises(ModelError, match=r"no such model here \(on the node .*/.*\)"):
        outcomes(
            ClusterProcess(refusing, ray_cluster.address, max_engines=1), works(pictures, 50), 16
        )


def test_the_end_of_the_process_that_uses_ray_is_an_error(
    ray_cluster: Any, pictures: Path, model: Path, tmp_path: Path
) -> None:
    """Ray ends it if the Ray node of this machine ends; what was embedded before is saved."""
    started: list[ClusterProcess] = []

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ClusterProcess:
        slow = replace(job, engine="support.worker_engines:SlowEngine", starts_early=True)
        started.append(ClusterProcess(slow, ray_cluster.address))
        return started[0]

    with Library.open(tmp_path / "library", create=True, start_many=start) as library:
        events = library.index([pictures], IndexOptions(str(model), batch_size=32))
        with pytest.raises(
            EngineError, match=r"uses the Ray cluster ended \(killed by SIGKILL\), probably"
        ):
            for event in events:
                if isinstance(event, Progress) and event.done:
                    started[0]._process.kill()
        assert 0 < library.info().images < FILES


def test_known_contents_are_not_embedded_again(
    ray_cluster: Any, pictures: Path, model: Path, tmp_path: Path
) -> None:
    """Each node recognizes a copy by its content, also one from a web server.

    The frames of a video are saved, too, and the list of files is deleted.
    """

    def start(job: EmbeddingJob, files: int, wanted: int | None) -> ClusterProcess:
        return ClusterProcess(
            replace(job, engine="support.fake_engine:FakeEngine"), ray_cluster.address
        )

    some, here, there = (tmp_path / name for name in ("some", "here", "there"))
    write_video(some / "film.mp4", (("gold", 2), ("gray", 2), ("blue", 2)))
    for file in works(pictures, 40):
        (some / Path(file.path).name).write_bytes(Path(file.path).read_bytes())
    with Library.open(here, create=True, start=FakeEngine) as library:
        list(library.index([some], IndexOptions(str(model))))
    with Library.open(there, create=True, start_many=start) as library:
        list(library.index([some], IndexOptions(str(model))))
        assert not list(there.glob("*.tmp"))
        assert stored(there) == stored(here)
        assert {2.0, 4.0} <= {seconds for _, seconds, _ in stored(there)}
        some.rename(tmp_path / "other")
        *_, last = library.index([tmp_path / "other"], IndexOptions(str(model)))
        assert isinstance(last, RunFinished)
        assert (last.summary.added, last.summary.images_per_second) == (40, 0.0)
        assert library.info().images == 40
        save_picture(tmp_path / "other" / "new.png", "teal")
        with serve_folder(tmp_path) as url:  # each node fetches its own
            *_, last = library.index([f"{url}/other"], IndexOptions(str(model)))
        assert isinstance(last, RunFinished)
        assert last.summary.added == 41
        assert library.info().images == 41


def stored(library: Path) -> set[tuple[str, float | None, bytes]]:
    """Return the content, the second of a video's frame, and the vector of every embedding."""
    with sqlite3.connect(library / "catalog.db") as db:
        return set(
            db.execute(
                "select sha256, seconds, vector from embeddings e"
                " join images i on i.id = e.image_id left join frames f using (image_id)"
            )
        )


def test_an_invalid_cluster_address_is_an_error(job: EmbeddingJob) -> None:
    """The error is one line, and says what to do."""
    with pytest.raises(EngineError, match="Ray Client is not supported"):
        connect_to_cluster(job, "ray://127.0.0.1:10001")
    with pytest.raises(
        EngineError, match=r"no Ray cluster answers at 127.0.0.1:9, .*`ray start --head`"
    ):
        connect_to_cluster(job, "127.0.0.1:9")


def test_an_unexpected_error_is_not_the_end_of_a_node(job: EmbeddingJob) -> None:
    """The process that uses Ray reports what happened; a log has the traceback."""
    with pytest.raises(EngineError, match="embedding on the Ray cluster failed: TypeError"):
        ClusterProcess(job, 5)  # type: ignore[arg-type]


def test_an_error_of_ray_is_reported(job: EmbeddingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises plain exceptions, for example if its processes do not start in time."""
    import ray

    def fails(*_: object, **__: object) -> None:
        raise Exception("The current node timed out during startup")

    monkeypatch.setattr(ray, "init", fails)
    with pytest.raises(
        EngineError, match="the Ray cluster at local cannot be used: The current node timed"
    ):
        Cluster(job, "local")


def test_engines_embed_at_the_same_time(
    ray_cluster: Any, pictures: Path, job: EmbeddingJob, tmp_path: Path
) -> None:
    """Every engine waits in its first batch until all engines have a batch.

    None of them can decode on another device, which is reported once.
    """
    markers = tmp_path / "markers"
    markers.mkdir()
    arguments = {"folder": str(markers), "engine_count": NODES}
    meeting = replace(
        job,
        engine="support.worker_engines:MeetingEngine",
        arguments=arguments,
        jpeg_decoder="support.jpeg_decoders:start_missing_decoder",
        starts_early=True,
    )
    cluster = ClusterProcess(meeting, ray_cluster.address, max_engines=NODES)
    files = works(pictures, 96)
    events: list[object] = []
    found = outcomes(cluster, files, 8, events)
    assert Counter(o.task for o in found) == Counter(files)
    assert [type(event) for event in events] == [EngineStarting, DecodingOnCpu]
    process_ids = {process_id for _, process_id in cluster.answered_engines}
    assert {int(marker.name) for marker in markers.iterdir()} == process_ids
    assert len(process_ids) == NODES


@needs_effort
def test_the_cluster_bench_counts_engines_and_nodes(ray_cluster: Any, model: Path) -> None:
    """Each row has the nodes that answered, and an efficiency relative to the first row."""
    options = ClusterBenchOptions(
        str(model), 64, 64, 64, ray_cluster.address, (1, NODES), None, 16, ms_per_picture=50
    )
    one, all_nodes = measure_cluster(options)
    assert [(row.engines, row.nodes) for row in (one, all_nodes)] == [(1, 1), (NODES, NODES)]
    assert one.efficiency == 1.0
    assert 0 < one.images_per_s <= 1000 / 50
    expected = all_nodes.images_per_s / (NODES * one.images_per_s)
    assert all_nodes.efficiency == pytest.approx(expected, abs=0.01)
