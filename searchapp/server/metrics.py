"""Prometheus metrics of the server: requests, searches, pictures, model, queue and build."""

from __future__ import annotations

import platform
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    generate_latest,
)

from searchapp import __version__
from searchapp.server.batcher import ModelState


class Metrics:
    """Prometheus metrics of one app, in their own registry."""

    def __init__(self) -> None:
        """Create all metrics with the value zero."""
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "searchapp_requests", "Requests", ["path", "status"], registry=registry
        )
        self.search_seconds = Histogram(
            "searchapp_search_seconds", "Time of a search", registry=registry
        )
        self.images = Gauge("searchapp_images", "Pictures in the library", registry=registry)
        self.files = Gauge("searchapp_files", "Files in the library", registry=registry)
        self.active_requests = Gauge(
            "searchapp_active_requests", "Requests without an answer yet", registry=registry
        )
        self.queued_jobs = Gauge(
            "searchapp_queued_jobs", "Jobs that wait for the engine", registry=registry
        )
        self._model_state = Gauge(
            "searchapp_model_state", "1 for the state of the model", ["state"], registry=registry
        )
        build = Info("searchapp_build", "Version of searchapp and of Python", registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})

    def set_model_state(self, state: ModelState) -> None:
        """Set the metric of a state to 1, and those of the other states to 0."""
        for each in get_args(ModelState):
            self._model_state.labels(each).set(each == state)

    def format_text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
