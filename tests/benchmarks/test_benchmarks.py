"""Benchmarks name metrics of the catalog, and between them every metric has a place."""

from __future__ import annotations

from gradus import registry

KINDS = {
    "labels": "classify.v1",
    "probabilities": "classify.v1",
    "parent": "parity.v1",
    "labelsets": "multilabel.v1",
    "labelset probabilities": "multilabel.v1",
    "numbers": "regress.v1",
    "spans": "tag.v1",
    "texts": "language.v1",
    "greedy": "language.v1",
    "options": "choice.v1",
    "replies": "reply.v1",
    "outcomes": "outcome.v1",
    "gaps": "masked.v1",
    "writings": "written.v1",
    **dict.fromkeys(("latency", "throughput", "memory", "size"), "cost.v1"),
}
# Taken of each label, these would cost more than all other metrics together where labels are many.
FEW_LABELS = {"auroc", "average_precision"}


def test_every_metric_belongs_where_its_observations_come_from() -> None:
    placed: dict[str, set[str]] = {}
    for name in registry.names("benchmarks"):
        benchmark = registry.load("benchmarks", name)
        for metric in benchmark.metrics:
            placed.setdefault(metric, set()).add(benchmark.name)
    for name in registry.names("metrics"):
        metric, plain = registry.load("metrics", name), registry.plain(name)
        expected = "multilabel.v1" if plain in FEW_LABELS else KINDS[metric.needs]
        assert expected in placed[plain]
    assert len(placed) == len(registry.names("metrics"))


def test_each_metric_is_named_once() -> None:
    for name in registry.names("benchmarks"):
        metrics = registry.load("benchmarks", name).metrics
        assert len(set(metrics)) == len(metrics)
