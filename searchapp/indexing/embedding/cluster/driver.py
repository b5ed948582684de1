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

from searchapp.catalog import Work
from searchapp.engines import machine
from searchapp.engines.captured_output import quiet
from searchapp.errors import EngineError, error_from_dict
from searchapp.files.extras import install_hint
from searchapp.indexing.embedding.cluster.actor import Answer, Embedder, Known, Node, look, version
from searchapp.indexing.embedding.cluster.spool import Spool
from searchapp.indexing.embedding.count_engines import ALLOCATOR
from searchapp.indexing.embedding.pipeline import Outcome
from searchapp.indexing.embedding.worker import Job
from searchapp.types import EngineStarting, Failure

AHEAD = 3  # batches that an actor has, one of which its engine embeds
SMALL = 16  # files of a batch at most, from the second pass on
LOSSES = 3  # batches for each engine, after which a pass ends
DEADLY = 2  # times that a picture must end a process that had nothing else
PARTS = 8  # that every engine gets, where there are enough files: Ray hands out some 20 a second
BATCHES = 32  # in one part, all of which are lost with its engine
OUTPUT = 256 << 10  # bytes of answers that an actor collects before it sends them
A_START = 1800  # seconds, when all engines are to run before the first file is given out
REACH = 10.0  # seconds to wait for the cluster's head
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Room:
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
        self, job: Job, address: str, wanted: int | None = None, most: int | None = None
    ) -> None:
        """Connect to a cluster; EngineError where there is none that can be used.

        address: HOST:PORT, auto for the one this machine is in, local for this machine alone.
        wanted: engines on each GPU, or on each node that has none. most: engines in all.
        """
        self._job = job
        _connect(address)
        try:
            self._room = room(job, wanted)
            self._room = replace(self._room, engines=min(self._room.engines, most or sys.maxsize))
            self._known = self._ask_here()
        except BaseException:
            self.close()
            raise
        self.ready_at: float | None = None
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.nodes: Counter[str] = Counter()  # files that were dealt with on each
        self.answered: set[tuple[str, int]] = set()  # engines, by node and process

    def run(self, works: Iterable[Work], size: int) -> Iterator[list[Outcome] | EngineStarting]:
        """Embed files, in batches of a size, in whatever order they are done.

        Errors: EngineError and ModelError where no engine starts, or where the cluster is gone.
        """
        yield EngineStarting(self._job.spec.name)
        catalog = self._job.catalog
        spool = Spool(works, Path(catalog).parent if catalog is not None else None)
        try:
            while len(spool):
                yield from self._pass(spool, size)
                if size <= SMALL:
                    yield from self._one_by_one(spool)
                size = min(size, SMALL)
        finally:
            spool.close()

    def _one_by_one(self, spool: Spool) -> Iterator[list[Outcome]]:
        """Embed the first files that are left, as many as a pass can lose, each by itself.

        All of them are tried, and no others, so that who is lost is to blame: a file that ends
        DEADLY processes which have nothing else is a failure.
        """
        end = spool.after(self._losses * (SMALL if self.answered else 1))
        count = spool.count(end)
        for _ in range(DEADLY):
            yield from self._pass(spool, 1, end)
            lost = spool.count(end)
            if lost == count > 1 and (not self.answered or count > self._losses):
                raise EngineError(
                    "the cluster answers nothing more: every engine's process ends before it has "
                    "embedded anything; Ray's logs in /tmp/ray say more"
                )
        for number, work in spool.left(end):
            if spool.done(number):
                reason = f"the engine's process ended on it {DEADLY} times"
                failure = Failure(work.path, "embed", reason)
                yield [Outcome(work, failure, work.size, work.mtime_ns)]

    @property
    def _losses(self) -> int:
        """Return how many batches may be lost before a pass ends, the next of which ends it."""
        return LOSSES * max(2, self._room.engines)

    def _pass(self, spool: Spool, size: int, end: int | None = None) -> Iterator[list[Outcome]]:
        """Embed what is left; what was lost on the way is left after it.

        end: only files numbered below, one at a time, however many are lost.
        """
        if not (count := spool.count(end)):
            return
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        from searchapp.indexing.embedding.cluster.datasource import Files

        # The actors of the pass before hold their cores for as long as anything here refers to
        # them, and what does is in cycles.
        gc.collect()
        context = DataContext.get_current()
        context.enable_progress_bars = False
        # What an actor loses comes again in the next pass; a pass that loses too much ends early.
        context.max_errored_blocks = self._losses if end is None else -1
        context.target_max_block_size = OUTPUT
        together = self._job.warm and not self.answered
        context.wait_for_min_actors_s = A_START if together else -1
        room, ahead = self._room, AHEAD if end is None else 1
        part = size * max(1, min(BATCHES, count // (PARTS * room.engines * size)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray's, of names that other versions do not know
            answers = ray.data.read_datasource(
                Files(spool.pages() if end is None else spool.apart(end)),
                num_cpus=0,
                concurrency=1,
                override_num_blocks=-(-count // part),
            ).map_batches(
                Embedder,
                fn_constructor_args=(replace(self._job, threads=room.threads), self._known),
                batch_size=size,
                batch_format="pyarrow",
                compute=ActorPoolStrategy(
                    min_size=room.engines if together else 1,
                    max_size=room.engines,
                    initial_size=room.engines,
                    max_tasks_in_flight_per_actor=ahead,
                    max_concurrent_calls_per_actor=ahead,
                    enable_true_multi_threading=True,
                ),
                num_cpus=room.cpus,
                num_gpus=room.gpus,
                runtime_env={"env_vars": room.environment},
                max_restarts=-1,
                max_task_retries=0,  # it would wait for an actor whose node is gone
            )
        pages = answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
        with suppress(ray.exceptions.RayError):
            for page in pages:
                spool.keep()
                for told in page.column("answer"):
                    outcomes = self._taken(pickle.loads(told.as_py()), spool)
                    if outcomes:
                        yield outcomes

    def _taken(self, answer: Answer, spool: Spool) -> list[Outcome]:
        """Return the outcomes that an answer tells, none twice; raise the error that it tells."""
        if answer.error is not None:
            detail = f"{answer.error['detail']} (on the node {answer.node})"
            raise error_from_dict({**answer.error, "detail": detail})
        for stage, seconds in answer.seconds.items():
            self.seconds[stage] += seconds
        if self.ready_at is None and answer.began is not None:  # clocks of nodes may differ
            self.ready_at = time.monotonic() - max(0.0, time.time() - answer.began)
        self.answered.add((answer.node, answer.process))
        self.nodes[answer.node] += len(answer.outcomes)
        return [outcome for number, outcome in answer.outcomes if spool.done(number)]

    def _ask_here(self) -> Any | None:
        """Start the actor Known on this node, where the collection has anything to know."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from searchapp.catalog import Lookup

        if self._job.catalog is None:
            return None
        lookup = Lookup(self._job.catalog, self._job.collection_id)
        try:
            if not lookup.any():
                return None
        finally:
            lookup.close()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(Known).options(num_cpus=0, scheduling_strategy=here)
        return actor.remote(self._job.catalog, self._job.collection_id)

    def leave(self) -> Iterable[list[Outcome]]:
        """Let go of the cluster; what was not yielded is embedded by the next run."""
        self.close()
        return ()

    def close(self) -> None:
        """Let go of the cluster, which ends the engines."""
        import ray

        ray.shutdown()


def _connect(address: str) -> None:
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
        _reach(address)
        with quiet(verbose=False):
            ray.init(
                address,
                num_cpus=len(machine.cores()) if address == LOCAL else None,
                include_dashboard=False if address == LOCAL else None,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
        # Else a thread of Ray's prints on stdout, which is for data, that a process has ended.
        ray._private.worker._worker_logs_enabled = False
    except OSError as error:  # ConnectionError, and what the network says
        if address == LOCAL:
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


def _reach(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=REACH).close()


def room(job: Job, wanted: int | None) -> Room:
    """Return how many engines the cluster takes; EngineError where a node cannot be used.

    wanted: engines on each GPU, or on each node that has none.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    with_gpu = [node for node in nodes if node.get("GPU")]
    if with_gpu:
        gpus = sum(int(node["GPU"]) for node in with_gpu)
        cores = min(node.get("CPU", 1) / node["GPU"] for node in with_gpu)  # of each GPU
        seen = _looked_at(job, num_gpus=1, cores=max(1, int(cores) - 1))
        each = wanted or max(1, seen.engines)
        return Room(
            gpus * each,
            cpus=min(1.0, cores / (2 * each)),  # Ray counts them, and sets none apart
            gpus=1 / each,
            threads=max(1, min(4, int(cores / each))),
        )
    on_each = [node["CPU"] for node in nodes if node.get("CPU")]
    if not on_each:
        raise EngineError("the Ray cluster has no CPU and no GPU to embed with")
    _looked_at(job, num_gpus=0, cores=1)
    cpus = max(1, int(min(on_each)) // (wanted or 1))
    count = sum(min(wanted or 1, int(cores) // cpus) for cores in on_each)
    return Room(count, cpus=cpus, gpus=0, threads=max(1, min(4, cpus)))


def _looked_at(job: Job, num_gpus: int, cores: int) -> Node:
    """Let a node tell of itself; the first that is free does for all."""
    import ray

    asked = ray.remote(look).options(num_gpus=num_gpus, num_cpus=0)
    try:
        node: Node = ray.get(asked.remote(job.spec, cores))
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise EngineError(f"searchapp does not run on the nodes of the cluster: {last}") from error
    if node.version != version():
        raise EngineError(
            f"the node {node.name} has searchapp {node.version}, this one has {version()}; "
            "install the same on all"
        )
    return node
