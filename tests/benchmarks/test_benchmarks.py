"""Benchmarks name metrics of the catalog, and between them every metric has a place."""

from __future__ import annotations

from gradus import registry

KINDS = {
    "labels": "classify.v1",
    "probabilities": "classify.v1",
    "parent": "parity.v1",
    **dict.fromkeys(("latency", "throughput", "memory", "size"), "cost.v1"),
}


def test_every_metric_belongs_where_its_observations_come_from() -> None:
    placed = {
        metric: registry.load("benchmarks", name).name
        for name in registry.names("benchmarks")
        for metric in registry.load("benchmarks", name).metrics
    }
    for name in registry.names("metrics"):
        metric = registry.load("metrics", name)
        assert placed[registry.plain(name)] == KINDS[metric.needs]
    assert len(placed) == len(registry.names("metrics"))


def test_each_metric_is_named_once() -> None:
    for name in registry.names("benchmarks"):
        metrics = registry.load("benchmarks", name).metrics
        assert len(set(metrics)) == len(metrics)
