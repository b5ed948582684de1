"""Find out how many engines fit on a Ray cluster, and how many CPUs and GPUs each reserves."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from searchapp.engines.gpu_jpeg import may_decode_jpegs
from searchapp.errors import EngineError
from searchapp.indexing.embedding.cluster.actor import (
    NodeInfo,
    get_searchapp_version,
    inspect_node,
)
from searchapp.indexing.embedding.count_engines import (
    ALLOCATOR,
    MAX_THREADS,
    count_first_engines,
    count_threads,
)
from searchapp.indexing.embedding.worker import EmbeddingJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClusterCapacity:
    """The number of engines that fit on a cluster, and what Ray reserves for each engine."""

    engines: int
    cpus: float  # for each engine
    gpus: float  # for each engine
    threads: int  # reader threads of each engine

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables for the process of each engine."""
        if self.gpus:
            return {**ALLOCATOR, "OMP_NUM_THREADS": "1"}
        # Ray assigns no cores, and several engines would bind their threads to the same cores.
        return {
            **ALLOCATOR,
            "OMP_NUM_THREADS": str(max(1, int(self.cpus))),
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }


def measure_capacity(job: EmbeddingJob, engines_per_device: int | None) -> ClusterCapacity:
    """Return the capacity of the connected cluster; raises EngineError if a node is unusable.

    engines_per_device: engines on each GPU, or on each node without a GPU; None: choose it.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpu_nodes = [node for node in nodes if node.get("GPU")]
    if gpu_nodes:
        gpus = sum(int(node["GPU"]) for node in gpu_nodes)
        cores_per_gpu = min(node.get("CPU", 1) / node["GPU"] for node in gpu_nodes)
        node_info = _inspect_free_node(job, num_gpus=1, cores=max(1, int(cores_per_gpu) - 1))
        decodes_on_gpu = may_decode_jpegs(job.spec, job.decode)
        first = count_first_engines(int(cores_per_gpu), decodes_on_gpu=decodes_on_gpu)
        engines_per_gpu = engines_per_device or max(1, min(node_info.engines_per_gpu, first))
        logger.info(
            "The Ray cluster has %d GPUs: %d engines run on each GPU", gpus, engines_per_gpu
        )
        return ClusterCapacity(
            gpus * engines_per_gpu,
            # Ray only counts CPUs, and reserves none, so that half of them is enough here.
            cpus=min(1.0, cores_per_gpu / (2 * engines_per_gpu)),
            gpus=1 / engines_per_gpu,
            threads=count_threads(cores_per_gpu / engines_per_gpu, decodes_on_gpu),
        )
    cpus_by_node = [node["CPU"] for node in nodes if node.get("CPU")]
    if not cpus_by_node:
        raise EngineError(
            "the Ray cluster has no CPU and no GPU for engines. Start its nodes with --num-cpus "
            "or --num-gpus."
        )
    _inspect_free_node(job, num_gpus=0, cores=1)
    cpus = max(1, int(min(cpus_by_node)) // (engines_per_device or 1))
    count = sum(min(engines_per_device or 1, int(cores) // cpus) for cores in cpus_by_node)
    logger.info("The Ray cluster has %d nodes and no GPU: %d engines run", len(cpus_by_node), count)
    return ClusterCapacity(count, cpus=cpus, gpus=0, threads=max(1, min(MAX_THREADS, cpus)))


def _inspect_free_node(job: EmbeddingJob, num_gpus: int, cores: int) -> NodeInfo:
    """Return the NodeInfo of the first free node; all nodes are assumed to be alike.

    Raises EngineError if searchapp does not run on this node, or has another version there.
    """
    import ray

    remote_inspect = ray.remote(inspect_node).options(num_gpus=num_gpus, num_cpus=0)
    try:
        node: NodeInfo = ray.get(remote_inspect.remote(job.spec, cores))
    except ray.exceptions.RayError as error:
        last_line = str(error).strip().splitlines()[-1]
        raise EngineError(
            f"searchapp does not run on the cluster's nodes: {last_line}. Install it on every node."
        ) from error
    if node.version != get_searchapp_version():
        raise EngineError(
            f"the node {node.name} has searchapp {node.version}, this machine has "
            f"{get_searchapp_version()}. Install the same version on all nodes."
        )
    logger.debug("Inspected the node %s", node)
    return node
