"""A Ray cluster: Ray Data streams the files to engines on all its nodes, and brings vectors back.

Every engine is an actor with an engine of its own (actor.py). What an actor or a node had when it
was lost comes again in another pass, in smaller batches, elsewhere. The nodes read the files
themselves: a folder has to be mounted on all of them, under the same path.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import socket
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchapp.catalog import FileTask
from searchapp.engines import machine
from searchapp.engines.captured_output import capture_output
from searchapp.errors import EngineError, error_from_dict
from searchapp.files.extras import install_hint
from searchapp.indexing.embedding.cluster.actor import (
    BatchAnswer,
    Embedder,
    LookupActor,
    NodeInfo,
    get_searchapp_version,
    inspect_node,
)
from searchapp.indexing.embedding.cluster.spool import Spool
from searchapp.indexing.embedding.count_engines import ALLOCATOR
from searchapp.indexing.embedding.pipeline import Outcome
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.types import EngineStarting, Failure

MAX_BATCHES_PER_ACTOR = 3  # batches that an actor has, one of which its engine embeds
MAX_SMALL_BATCH_FILES = 16  # files of a batch at most, from the second pass on
MAX_LOST_BATCHES_PER_ENGINE = 3  # batches for each engine, after which a pass ends
MAX_DEATHS_PER_FILE = 2  # times that a picture must end a process that had nothing else
PARTS_PER_ENGINE = (
    8  # that every engine gets, where there are enough files: Ray hands out some 20 a second
)
MAX_BATCHES_PER_PART = 32  # in one part, all of which are lost with its engine
MAX_OUTPUT_BYTES = 256 << 10  # bytes of answers that an actor collects before it sends them
START_TIMEOUT_S = 1800  # seconds, when all engines are to run before the first file is given out
CONNECT_TIMEOUT_S = 10.0  # seconds to wait for the cluster's head
LOCAL_ADDRESS = "local"


@dataclass(frozen=True, slots=True)
class ClusterCapacity:
    """How many engines a cluster takes, and what Ray sets aside for each."""

    engines: int
    cpus: float
    gpus: float
    threads: int  # that read and decode, of each engine

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of each engine's process."""
        if self.gpus:
            return {**ALLOCATOR, "OMP_NUM_THREADS": "1"}
        # Ray binds nothing to cores, and several engines would bind themselves to the same.
        return {
            **ALLOCATOR,
            "OMP_NUM_THREADS": str(max(1, int(self.cpus))),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }


class Cluster:
    """Embeds the files of a run on a Ray cluster; a Source."""

    def __init__(
        self,
        job: EmbeddingJob,
        address: str,
        engines_per_device: int | None = None,
        max_engines: int | None = None,
    ) -> None:
        """Connect to a cluster; EngineError where there is none that can be used.

        address: HOST:PORT, auto for the one this machine is in, local for this machine alone.
        wanted: engines on each GPU, or on each node that has none. most: engines in all.
        """
        self._job = job
        _connect_to_ray(address)
        try:
            self._capacity = measure_capacity(job, engines_per_device)
            self._capacity = replace(
                self._capacity, engines=min(self._capacity.engines, max_engines or sys.maxsize)
            )
            self._lookup_actor = self._start_lookup_actor()
        except BaseException:
            self.close()
            raise
        self.ready_at: float | None = None
        self.seconds_by_stage: defaultdict[str, float] = defaultdict(float)
        self.file_count_by_node: Counter[str] = Counter()  # files that were dealt with on each
        self.answered_engines: set[tuple[str, int]] = set()  # engines, by node and process

    def run(self, works: Iterable[FileTask], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files, in batches of a size, in whatever order they are done.

        Errors: EngineError and ModelError where no engine starts, or where the cluster is gone.
        """
        yield EngineStarting(self._job.spec.name)
        catalog = self._job.catalog_file
        spool = Spool(works, Path(catalog).parent if catalog is not None else None)
        try:
            while len(spool):
                yield from self._run_pass(spool, size)
                if size <= MAX_SMALL_BATCH_FILES:
                    yield from self._embed_one_by_one(spool)
                size = min(size, MAX_SMALL_BATCH_FILES)
        finally:
            spool.close()

    def _embed_one_by_one(self, spool: Spool) -> Iterator[list[Outcome]]:
        """Embed the first files that are left, as many as a pass can lose, each by itself.

        All of them are tried, and no others, so that who is lost is to blame: a file that ends
        DEADLY processes which have nothing else is a failure.
        """
        end = spool.find_end_number(
            self._max_lost_batches * (MAX_SMALL_BATCH_FILES if self.answered_engines else 1)
        )
        count = spool.count_remaining(end)
        for _ in range(MAX_DEATHS_PER_FILE):
            yield from self._run_pass(spool, 1, end)
            remaining_count = spool.count_remaining(end)
            if remaining_count == count > 1 and (
                not self.answered_engines or count > self._max_lost_batches
            ):
                raise EngineError(
                    "the cluster answers nothing more: every engine's process ends before it has "
                    "embedded anything; Ray's logs in /tmp/ray say more"
                )
        for number, work in spool.iter_remaining(end):
            if spool.mark_done(number):
                reason = f"the engine's process ended on it {MAX_DEATHS_PER_FILE} times"
                failure = Failure(work.path, "embed", reason)
                yield [Outcome(work, failure, work.size, work.mtime_ns)]

    @property
    def _max_lost_batches(self) -> int:
        """Return how many batches may be lost before a pass ends, the next of which ends it."""
        return MAX_LOST_BATCHES_PER_ENGINE * max(2, self._capacity.engines)

    def _run_pass(self, spool: Spool, size: int, end: int | None = None) -> Iterator[list[Outcome]]:
        """Embed what is left; what was lost on the way is left after it.

        end: only files numbered below, one at a time, however many are lost.
        """
        if not (count := spool.count_remaining(end)):
            return
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        from searchapp.indexing.embedding.cluster.datasource import SpoolDatasource

        # The actors of the pass before hold their cores for as long as anything here refers to
        # them, and what does is in cycles.
        gc.collect()
        context = DataContext.get_current()
        context.enable_progress_bars = False
        # What an actor loses comes again in the next pass; a pass that loses too much ends early.
        context.max_errored_blocks = self._max_lost_batches if end is None else -1
        context.target_max_block_size = MAX_OUTPUT_BYTES
        waits_for_all = self._job.starts_early and not self.answered_engines
        context.wait_for_min_actors_s = START_TIMEOUT_S if waits_for_all else -1
        capacity, max_batches_ahead = self._capacity, MAX_BATCHES_PER_ACTOR if end is None else 1
        part_files = size * max(
            1, min(MAX_BATCHES_PER_PART, count // (PARTS_PER_ENGINE * capacity.engines * size))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's, of names that other versions do not know
            answers = ray.data.read_datasource(
                SpoolDatasource(
                    spool.iter_pages() if end is None else spool.iter_single_file_pages(end)
                ),
                num_cpus=0,
                concurrency=1,
                override_num_blocks=-(-count // part_files),
            ).map_batches(
                Embedder,
                fn_constructor_args=(
                    replace(self._job, threads=capacity.threads),
                    self._lookup_actor,
                ),
                batch_size=size,
                batch_format="pyarrow",
                compute=ActorPoolStrategy(
                    min_size=capacity.engines if waits_for_all else 1,
                    max_size=capacity.engines,
                    initial_size=capacity.engines,
                    max_tasks_in_flight_per_actor=max_batches_ahead,
                    max_concurrent_calls_per_actor=max_batches_ahead,
                    enable_true_multi_threading=True,
                ),
                num_cpus=capacity.cpus,
                num_gpus=capacity.gpus,
                runtime_env={"env_vars": capacity.environment},
                max_restarts=-1,
                max_task_retries=0,  # it would wait for an actor whose node is gone
            )
        pages = answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
        with suppress(ray.exceptions.RayError):
            for page in pages:
                spool.touch()
                for pickled_answer in page.column("answer"):
                    outcomes = self._accept_answer(pickle.loads(pickled_answer.as_py()), spool)
                    if outcomes:
                        yield outcomes

    def _accept_answer(self, answer: BatchAnswer, spool: Spool) -> list[Outcome]:
        """Return the outcomes that an answer tells, none twice; raise the error that it tells."""
        if answer.error is not None:
            detail = f"{answer.error['detail']} (on the node {answer.node})"
            raise error_from_dict({**answer.error, "detail": detail})
        for stage, seconds in answer.seconds_by_stage.items():
            self.seconds_by_stage[stage] += seconds
        if self.ready_at is None and answer.started_at is not None:  # clocks of nodes may differ
            self.ready_at = time.monotonic() - max(0.0, time.time() - answer.started_at)
        self.answered_engines.add((answer.node, answer.process_id))
        self.file_count_by_node[answer.node] += len(answer.outcomes)
        return [outcome for number, outcome in answer.outcomes if spool.mark_done(number)]

    def _start_lookup_actor(self) -> Any | None:
        """Start the actor Known on this node, where the collection has anything to know."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from searchapp.catalog import EmbeddedImageLookup

        if self._job.catalog_file is None:
            return None
        lookup = EmbeddedImageLookup(self._job.catalog_file, self._job.collection_id)
        try:
            if not lookup.has_embeddings():
                return None
        finally:
            lookup.close()
        on_this_node = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = ray.remote(LookupActor).options(num_cpus=0, scheduling_strategy=on_this_node)
        return actor.remote(self._job.catalog_file, self._job.collection_id)

    def stop_and_drain(self) -> Iterable[list[Outcome]]:
        """Let go of the cluster; what was not yielded is embedded by the next run."""
        self.close()
        return ()

    def close(self) -> None:
        """Let go of the cluster, which ends the engines."""
        import ray

        ray.shutdown()


def _connect_to_ray(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(f"a cluster needs Ray: {install_hint('cluster')}") from error
    if "://" in address:
        raise EngineError(
            f"{address}: Ray Client is not supported; run this on a node of the cluster, with "
            "--cluster auto"
        )
    for logger in ("ray", "ray.data"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        _check_reachable(address)
        with capture_output(verbose=False):
            ray.init(
                address,
                num_cpus=len(machine.list_cores()) if address == LOCAL_ADDRESS else None,
                include_dashboard=False if address == LOCAL_ADDRESS else None,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        # Else a thread of Ray's prints on stdout, which is for data, that a process has ended.
        ray._private.worker._worker_logs_enabled = False
    except OSError as error:  # ConnectionError, and what the network says
        if address == LOCAL_ADDRESS:
            raise EngineError(f"the Ray cluster at {address}: {error}") from error
        raise EngineError(
            f"no Ray cluster at {address}, or one that asks for a token (set RAY_AUTH_MODE=token); "
            "`ray start --head` starts one, `ray start --address=HOST:6379` on another machine "
            "joins it"
        ) from error
    except Exception as error:  # another version of Ray, an odd address, or what did not start
        raise EngineError(f"the Ray cluster at {address}: {error}") from error
    except KeyboardInterrupt:  # what was started of a local one is ended
        ray.shutdown()
        raise


def _check_reachable(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()


def measure_capacity(job: EmbeddingJob, engines_per_device: int | None) -> ClusterCapacity:
    """Return how many engines the cluster takes; EngineError where a node cannot be used.

    wanted: engines on each GPU, or on each node that has none.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [node for node in nodes if node.get("GPU")]
    if with_gpu:
        gpus = sum(int(node["GPU"]) for node in with_gpu)
        cores = min(node.get("CPU", 1) / node["GPU"] for node in with_gpu)  # of each GPU
        node_info = _inspect_free_node(job, num_gpus=1, cores=max(1, int(cores) - 1))
        engines_per_gpu = engines_per_device or max(1, node_info.engines_per_gpu)
        return ClusterCapacity(
            gpus * engines_per_gpu,
            cpus=min(1.0, cores / (2 * engines_per_gpu)),  # Ray counts them, and sets none apart
            gpus=1 / engines_per_gpu,
            threads=max(1, min(4, int(cores / engines_per_gpu))),
        )
    cpus_by_node = [node["CPU"] for node in nodes if node.get("CPU")]
    if not cpus_by_node:
        raise EngineError("the Ray cluster has no CPU and no GPU to embed with")
    _inspect_free_node(job, num_gpus=0, cores=1)
    cpus = max(1, int(min(cpus_by_node)) // (engines_per_device or 1))
    count = sum(min(engines_per_device or 1, int(cores) // cpus) for cores in cpus_by_node)
    return ClusterCapacity(count, cpus=cpus, gpus=0, threads=max(1, min(4, cpus)))


def _inspect_free_node(job: EmbeddingJob, num_gpus: int, cores: int) -> NodeInfo:
    """Let a node tell of itself; the first that is free does for all."""
    import ray

    remote_inspect = ray.remote(inspect_node).options(num_gpus=num_gpus, num_cpus=0)
    try:
        node: NodeInfo = ray.get(remote_inspect.remote(job.spec, cores))
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise EngineError(f"searchapp does not run on the nodes of the cluster: {last}") from error
    if node.version != get_searchapp_version():
        raise EngineError(
            f"the node {node.name} has searchapp {node.version}, this one has {get_searchapp_version()}; "
            "install the same on all"
        )
    return node
