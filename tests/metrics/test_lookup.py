from __future__ import annotations

import math

import numpy as np
import pytest

from gradus import registry
from gradus.errors import UnknownName, UsageError
from gradus.metrics import get, lookup
from gradus.metrics.base import Metric, Observed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy", ("accuracy", None)),
        ("f1[sport]", ("f1", "sport")),
        (" recall[two words] ", ("recall", "two words")),
        ("f1[体育]", ("f1", "体育")),
    ],
)
def test_lookup_splits(text: str, expected: tuple[str, str | None]) -> None:
    assert lookup(text) == expected


@pytest.mark.parametrize("text", ["", "f1[]", "f1[a", "f1]a", "f1[a]b", "two words", "f1[a[b]]"])
def test_lookup_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="is not a metric"):
        lookup(text)


def test_get_says_what_is_wrong() -> None:
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        get("acuracy")
    with pytest.raises(UnknownName, match="unknown label 'sprot': did you mean 'sport'"):
        get("f1[sprot]", ("business", "sport"))
    with pytest.raises(UsageError, match=r"write f1\[LABEL\]"):
        get("f1")
    with pytest.raises(UsageError, match="write accuracy"):
        get("accuracy[sport]", ("sport",))


@pytest.mark.parametrize("versioned", registry.names("metrics"))
def test_every_metric_declares_itself(versioned: str) -> None:
    kind: type[Metric] = registry.load("metrics", versioned)
    assert kind.name == registry.plain(versioned)
    units = ("proportion", "nats", "nats/reply", "nats/token", "ms", "MB", "texts/s", "correlation")
    rates = ("bits/byte", "bits/character", "bits/word", "points", "task's own")
    rates += tuple(f"perplexity of a {of}" for of in ("token", "word", "byte", "target"))
    units += ("agreement", "squared error", "label units", "cosine", "1 - area", "characters")
    assert kind.unit in (*units, *rates)
    assert kind.direction in ("higher", "lower")
    assert kind.range[0] < kind.range[1]
    assert len(kind.source) > 8
    assert len(kind.summary) > 8
    assert kind.needs
    assert kind.interval in ("wilson", "bootstrap", "order statistic", "none")


def test_costs() -> None:
    seen = Observed(
        latency_ms=np.array([4.0, 1.0, 3.0, 2.0]),
        throughput_texts_s=np.array([10.0, 30.0, 20.0]),
        peak_memory_mb=300.5,
        size_mb=22.7,
    )
    assert get("latency_p50_ms")(seen) == 2.5
    assert get("latency_p95_ms")(seen) == pytest.approx(3.85)
    assert get("throughput_texts_s")(seen) == 20.0
    assert get("peak_memory_mb")(seen) == 300.5
    assert get("size_mb")(seen) == 22.7
    costs = ("latency_p50_ms", "latency_p95_ms", "throughput_texts_s", "peak_memory_mb", "size_mb")
    for name in costs:
        assert math.isnan(get(name)(Observed())), name
