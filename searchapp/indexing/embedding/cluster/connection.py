"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import os
import socket

from searchapp.engines import machine
from searchapp.errors import EngineError
from searchapp.files.extras import install_hint

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0  # for the cluster's head
LOCAL_ADDRESS = "local"


def connect_to_ray(address: str) -> None:
    """Connect this process to a Ray cluster; raises EngineError if the connection fails.

    address: HOST:PORT, "auto" for the cluster of this machine, "local" to start a cluster here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineError(
            f"Ray is not installed, and --cluster needs it: {install_hint('cluster')}"
        ) from error
    if "://" in address:
        raise EngineError(
            f"{address}: Ray Client is not supported. Run this command on a node of the cluster, "
            "with --cluster auto."
        )
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        _check_reachable(address)
        ray.init(
            address,
            num_cpus=len(machine.list_cores()) if address == LOCAL_ADDRESS else None,
            include_dashboard=False if address == LOCAL_ADDRESS else None,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except OSError as error:  # ConnectionError, or an error of the network
        if address == LOCAL_ADDRESS:
            raise EngineError(f"Ray cannot start on this machine: {error}") from error
        raise EngineError(
            f"no Ray cluster answers at {address}, or it requires a token (set "
            "RAY_AUTH_MODE=token). Start one with `ray start --head`; add another machine with "
            "`ray start --address=HOST:6379`."
        ) from error
    except (
        Exception
    ) as error:  # an incompatible version of Ray, a malformed address, a failed start
        raise EngineError(
            f"the Ray cluster at {address} cannot be used: {error}. Check the address, and that "
            "the cluster runs: ray status"
        ) from error
    logger.info("Connected to the Ray cluster at %s", address)


def _check_reachable(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT; Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
