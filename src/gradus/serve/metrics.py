"""Prometheus metrics: what stands under ``/metrics``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gradus.serve.framework import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    Histogram,
    HistogramMetricFamily,
    Metric,
    generate_latest,
)
from gradus.serve.service import Service
from gradus.serve.tally import Spread

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    *(60, 180, 600),  # a text that is written
)
METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})


class Meters:
    """All metrics of one server."""

    def __init__(self, service: Service) -> None:
        """Of `service`."""
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "gradus_request_seconds",
            "From the request's head to the end of its answer.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._known: dict[tuple[str, str, int], Any] = {}
        self._registry.register(_Counted(service))

    def seen(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        """A request was answered."""
        # A path that no route has is no label: whoever invents paths would fill the memory.
        route = str(getattr(scope.get("route"), "path", "other"))
        method = scope["method"] if scope["method"] in METHODS else "other"
        key = (method, route, status)
        child = self._known.get(key)
        if child is None:
            child = self._known[key] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        made: bytes = generate_latest(self._registry)
        return made


class _Counted:
    """Reads what the service counts when somebody asks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Nothing: names are known once they are asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every number of the service."""
        service, tally = self._service, self._service.tally
        gauges = {
            "requests_inside": (service.admitted, "Requests that wait for their answer."),
            "queue_jobs": (len(service.line), "Of them, those that no worker has begun."),
            "queue_limit": (service.limits.queue, "So many may be inside; more are refused."),
            "workers_ready": (len(service.workers), "Processes that could take work."),
            "ready": (int(service.ready), "1 while /readyz says 200."),
        }
        for name, (value, said) in gauges.items():
            yield GaugeMetricFamily(f"gradus_{name}", said, value)
        counters = {
            "texts": (tally.texts, "Texts that were computed."),
            "worker_deaths": (tally.deaths, "Workers that ended without being told to."),
            "retries": (tally.retries, "Requests that another worker was given."),
            "late": (tally.late, "Requests without an answer in time."),
            "hung_up": (
                tally.gone,
                "Requests whose client left, or was cut off, before the whole answer.",
            ),
            "stalled": (tally.stalled, "Connections cut: nothing of an answer was taken."),
            "headless": (tally.headless, "Connections cut: no whole head of a request came."),
            "crowded": (tally.crowded, "Connections closed: there were too many."),
            "swaps": (tally.swapped, "Checkpoints that took over."),
            "swaps_refused": (tally.refused, "Checkpoints that couldn't."),
            "shadow_texts": (tally.compared, "Texts that the shadow saw too."),
            "shadow_disagreements": (tally.disagreed, "Texts of which it said something else."),
            "shadow_skipped": (tally.skipped, "Requests that it had no time for."),
        }
        for name, (value, said) in counters.items():
            yield CounterMetricFamily(f"gradus_{name}", said, value)
        yield _histogram("gradus_batch_texts", "Texts that were computed at a time.", tally.batches)
        yield _histogram("gradus_batch_seconds", "That a batch took.", tally.seconds)
        if service.loaded:
            facts = service.facts
            info = GaugeMetricFamily(
                "gradus_checkpoint", "Which is served.", labels=("name", "kind", "digest")
            )
            info.add_metric([str(facts.get(x) or "") for x in ("name", "kind", "digest")], 1)
            yield info


def _histogram(name: str, said: str, spread: Spread) -> Metric:
    bounds = [*(str(float(bound)) for bound in spread.bounds), "+Inf"]
    buckets = list(zip(bounds, itertools.accumulate(spread.counts), strict=True))
    return HistogramMetricFamily(name, said, buckets=buckets, sum_value=spread.sum)
