"""Embed files on a Ray cluster: Ray Data streams files to engines, and outcomes back.

Each engine runs in an actor (actor.py). The files of a lost actor or node are embedded in another
pass, in smaller batches. The nodes read the files themselves: each folder must be mounted on all
nodes under the same path.
"""

from __future__ import annotations

import gc
import logging
import pickle
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from searchapp.engines.base import summarize_error
from searchapp.errors import EngineError, error_from_dict
from searchapp.indexing.embedding import log_relay
from searchapp.indexing.embedding.cluster.actor import BatchAnswer, Embedder, LookupActor
from searchapp.indexing.embedding.cluster.capacity import measure_capacity
from searchapp.indexing.embedding.cluster.connection import connect_to_ray
from searchapp.indexing.embedding.cluster.spool import Spool
from searchapp.indexing.embedding.outcomes import Outcome
from searchapp.indexing.embedding.suspects import MAX_DEATHS_PER_FILE, blame_file
from searchapp.indexing.embedding.worker import EmbeddingJob
from searchapp.types import DecodingOnCpu

logger = logging.getLogger(__name__)

MAX_BATCHES_PER_ACTOR = 3  # batches that an actor has, including the one being embedded
MAX_SMALL_BATCH_FILES = 16  # files of a batch, from the second pass on
MAX_LOST_BATCHES_PER_ENGINE = 3  # lost batches for each engine, after which a pass ends
# Each engine gets this many parts if there are enough files. Ray distributes approximately 20
# parts a second.
PARTS_PER_ENGINE = 8
MAX_BATCHES_PER_PART = 32  # All batches of a part are lost together with its engine.
MAX_OUTPUT_BYTES = 256 << 10  # bytes of answers that an actor collects before it sends them
START_TIMEOUT_S = 1800  # for all engines together, if they start before the first file


class Cluster:
    """Embeds files on the nodes of a Ray cluster, in a process of its own: see driver_process."""

    def __init__(
        self,
        job: EmbeddingJob,
        address: str,
        engines_per_device: int | None = None,
        max_engines: int | None = None,
    ) -> None:
        """Connect to a Ray cluster; raises EngineError if the cluster cannot be used.

        address: HOST:PORT, "auto" for the cluster of this machine, "local" to start a cluster
        here. engines_per_device: engines on each GPU, or on each node without a GPU. max_engines:
        limit for all engines of the cluster.
        """
        self._job = job
        connect_to_ray(address)
        try:
            self._capacity = measure_capacity(job, engines_per_device)
            self._capacity = replace(
                self._capacity, engines=min(self._capacity.engines, max_engines or sys.maxsize)
            )
            self._lookup_actor = self._start_lookup_actor()
        except BaseException:
            self.close()
            raise
        self.ready_at: float | None = None  # when the first engine ran, by time.monotonic
        self.seconds_by_stage: defaultdict[str, float] = defaultdict(float)  # see StageTimer
        self.file_count_by_node: Counter[str] = Counter()
        self.answered_engines: set[tuple[str, int]] = set()  # node, process
        self._has_reported_decoder_problem = False

    def run(self, spool: Spool, size: int) -> Iterator[list[Outcome] | DecodingOnCpu]:
        """Embed files in batches of `size` pictures; yield the outcomes of each completed batch.

        DecodingOnCpu is yielded if a GPU decodes no more pictures. Raises EngineError or ModelError
        if no engine starts, or if the cluster is lost.
        """
        while len(spool):
            yield from self._run_pass(spool, size)
            if size <= MAX_SMALL_BATCH_FILES:
                yield from self._embed_one_by_one(spool)
            size = min(size, MAX_SMALL_BATCH_FILES)

    def _embed_one_by_one(self, spool: Spool) -> Iterator[list[Outcome] | DecodingOnCpu]:
        """Embed the first remaining files one by one, each alone in the process of an engine.

        If such a process ends, its file is the cause. A file that ends MAX_DEATHS_PER_FILE
        processes is a failure. Raises EngineError if all these files are lost because the cluster
        is broken.
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
                    "the cluster does not answer: every engine's process ends before it has "
                    "embedded a file. See Ray's logs in /tmp/ray."
                )
        for number, task in spool.iter_remaining(end):
            if spool.mark_done(number):
                yield [blame_file(task)]

    @property
    def _max_lost_batches(self) -> int:
        """Return how many lost batches a pass tolerates; one more lost batch ends the pass."""
        return MAX_LOST_BATCHES_PER_ENGINE * max(2, self._capacity.engines)

    def _run_pass(
        self, spool: Spool, size: int, end: int | None = None
    ) -> Iterator[list[Outcome] | DecodingOnCpu]:
        """Embed the remaining files once; the files of lost batches remain for the next pass.

        end: embed only files with numbers below `end`, each alone, and tolerate every lost batch.
        The CPU decodes them, because the GPU's decoder may have ended the lost processes.
        """
        if not (count := spool.count_remaining(end)):
            return
        logger.info("Embedding %d files in batches of %d on the cluster", count, size)
        import ray

        # The actors of the previous pass keep their cores while any object here refers to them;
        # those objects are in reference cycles.
        gc.collect()
        answers = self._start_stream(spool, size, count, end)
        pages = answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
        try:
            for page in pages:
                for pickled_answer in page.column("answer"):
                    answer = pickle.loads(pickled_answer.as_py())
                    if outcomes := self._accept_answer(answer, spool):
                        yield outcomes
                    if answer.decoder_problem and not self._has_reported_decoder_problem:
                        self._has_reported_decoder_problem = True
                        yield DecodingOnCpu(f"{answer.decoder_problem} (on the node {answer.node})")
        except ray.exceptions.RayError as error:  # The next pass embeds what was lost.
            # A log record with the exception itself would keep the actors, and their cores.
            reason = summarize_error(error)
            logger.info(
                "A pass on the cluster ended early (%s); the next pass embeds the lost files",
                reason,
            )

    def _start_stream(self, spool: Spool, size: int, count: int, end: int | None) -> Any:
        """Return a Ray dataset of BatchAnswers; reading the dataset embeds the remaining files."""
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        from searchapp.indexing.embedding.cluster.datasource import SpoolDatasource

        context = DataContext.get_current()
        context.enable_progress_bars = False
        # The next pass embeds what an actor loses. A pass that loses too many batches ends early.
        context.max_errored_blocks = self._max_lost_batches if end is None else -1
        context.target_max_block_size = MAX_OUTPUT_BYTES
        waits_for_all = self._job.starts_early and not self.answered_engines
        context.wait_for_min_actors_s = START_TIMEOUT_S if waits_for_all else -1
        capacity, max_batches_ahead = self._capacity, MAX_BATCHES_PER_ACTOR if end is None else 1
        part_files = size * max(
            1, min(MAX_BATCHES_PER_PART, count // (PARTS_PER_ENGINE * capacity.engines * size))
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray warns about names that its versions lack.
            return ray.data.read_datasource(
                SpoolDatasource(
                    spool.iter_pages() if end is None else spool.iter_single_file_pages(end)
                ),
                num_cpus=0,
                concurrency=1,
                override_num_blocks=-(-count // part_files),
            ).map_batches(
                Embedder,
                fn_constructor_args=(
                    replace(
                        self._job,
                        threads=capacity.threads,
                        decode=self._job.decode if end is None else "cpu",
                    ),
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
                max_task_retries=0,  # A retry would wait for an actor whose node is lost.
            )

    def _accept_answer(self, answer: BatchAnswer, spool: Spool) -> list[Outcome]:
        """Count the files of an answer; return its outcomes, without files that are done already.

        Raises the error in the answer, if the answer has one.
        """
        log_relay.relay_entries(answer.logs, f"node {answer.node}, process {answer.process_id}")
        if answer.error is not None:
            detail = f"{answer.error['detail']} (on the node {answer.node})"
            raise error_from_dict({**answer.error, "detail": detail})
        for stage, seconds in answer.seconds_by_stage.items():
            self.seconds_by_stage[stage] += seconds
        if self.ready_at is None and answer.started_at is not None:
            # The clocks of two nodes can differ: the result must not be in the future.
            self.ready_at = time.monotonic() - max(0.0, time.time() - answer.started_at)
        self.answered_engines.add((answer.node, answer.process_id))
        self.file_count_by_node[answer.node] += len(answer.outcomes)
        return [outcome for number, outcome in answer.outcomes if spool.mark_done(number)]

    def _start_lookup_actor(self) -> Any | None:
        """Start the LookupActor on this node; None if the collection has no embeddings."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        lookup = self._job.open_lookup()
        if lookup is None:
            return None
        try:
            if not lookup.has_embeddings():
                return None
        finally:
            lookup.close()
        on_this_node = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = ray.remote(LookupActor).options(num_cpus=0, scheduling_strategy=on_this_node)
        return actor.remote(
            self._job.catalog_file, self._job.collection_id, self._job.update_colors
        )

    def close(self) -> None:
        """Disconnect from the cluster, which ends the engines."""
        import ray

        ray.shutdown()
