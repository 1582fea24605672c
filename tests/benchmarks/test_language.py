"""The protocols of language models' benchmarks: found by target, measured, reported; presets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gradus import benchmarks
from gradus.benchmarks import presets
from gradus.errors import UsageError
from gradus.measure import quality
from gradus.measure.changes import changes
from gradus.metrics.base import Items
from gradus.metrics.items import write_items
from gradus.metrics.options import Options
from gradus.metrics.repeated import Repeated
from gradus.metrics.replies import Replies
from gradus.metrics.texts import Texts
from gradus.records import Measurement, State, StepRecord
from gradus.report.predictions import predictions
from gradus.testing import populations
from gradus.testing.populations import World


def made(need: str, n: int = 30) -> Items:
    world = World(accuracy=0.6, labels=(0.5, 0.3, 0.2), size=n)
    items: Items = populations.BUILDERS[need](world, np.random.default_rng(0))
    return dataclasses.replace(items, ids=tuple(f"{i:064x}" for i in range(n)))  # type: ignore[type-var]  # every class of items is a dataclass


def measured(items: Items | Repeated, **common: object) -> dict[str, Measurement]:
    found = quality.measurements(items, common=common, level=0.95, draws=100, seed=0)
    assert len({m.metric for m in found}) == len(found)
    return {m.metric: m for m in found}


@pytest.mark.parametrize(
    ("target", "name", "kind"),
    [
        ("text", "language.v1", Texts),
        ("option", "choice.v1", Options),
        ("reply", "reply.v1", Replies),
    ],
)
def test_a_target_has_its_protocol(target: str, name: str, kind: type[Items]) -> None:
    found = benchmarks.of(target)
    assert (found.name, found.items()) == (name, kind)
    assert kind.target == target
    assert set(found.compared) <= set(found.metrics)


def test_texts_are_measured_by_every_unit() -> None:
    items = made("texts")
    found = measured(items, data="wikitext-2", contract={"window": "1024"})
    assert set(found) == set(benchmarks.of("text").metrics)
    for m in found.values():
        assert m.value is not None
        assert m.ci_low is not None
        assert m.ci_high is not None
        assert m.ci_low <= m.value <= m.ci_high
        assert (m.n, m.benchmark, m.contract) == (30, "language.v1", {"window": "1024"})
        assert Measurement.from_json(m.to_json()) == m
    assert found["bits_per_byte"].unit == "bits/byte"
    assert {found[n].direction for n in ("accuracy", "log_likelihood_nats")} == {"higher"}


def test_what_was_not_asked_is_not_measured() -> None:
    items = made("texts")
    assert isinstance(items, Texts)
    mute = measured(dataclasses.replace(items, greedy=None))
    assert set(benchmarks.of("text").metrics) - set(mute) == {"accuracy", "greedy_match"}


def test_options_are_measured_by_both_accuracies() -> None:
    found = measured(made("options"))
    assert set(found) == {"accuracy", "accuracy_norm"}
    assert {m.ci_method for m in found.values()} == {"modified Wilson"}


def test_several_seeds_are_measured_with_both_sources_of_noise() -> None:
    items = made("texts")
    assert isinstance(items, Texts)
    other = dataclasses.replace(items, nats=items.nats * 1.02)
    found = measured(Repeated((items, other)))
    one = measured(items)
    assert found["bits_per_byte"].ci_method == "two-level bootstrap"
    assert found["bits_per_byte"].value == pytest.approx(1.01 * (one["bits_per_byte"].value or 0))


def test_a_step_is_shown_beside_the_one_before() -> None:
    items = made("texts")
    assert isinstance(items, Texts)
    better = dataclasses.replace(items, nats=items.nats * 0.9)
    rows = changes(better, items, against="before", level=0.95, draws=200, seed=0)
    assert [row["metric"] for row in rows] == list(benchmarks.of("text").compared)
    assert rows[0]["difference"] < 0
    assert rows[0]["significant"]
    mute = [dataclasses.replace(one, greedy=None) for one in (better, items)]
    rows = changes(*mute, against="before", level=0.95, draws=200, seed=0)
    assert "greedy_match" not in [row["metric"] for row in rows]


@pytest.mark.parametrize("need", ["texts", "options", "replies"])
def test_the_report_reads_their_items(need: str, tmp_path: Path) -> None:
    items = made(need)
    write_items(tmp_path / "i.parquet", items, [f"text {i}" for i in range(len(items))])
    metric = benchmarks.of(items.target).compared[0]
    m = Measurement(
        metric=metric, value=1.0, unit="x", direction="lower", n=30, items="i.parquet",
        checkpoint="lm", data="file", benchmark="wikitext-2.v1",
    )  # fmt: skip
    step = StepRecord(id="s", step="evaluate.v1", state=State.DONE, measurements=(m,)).to_json()
    known = {"steps": [step], "final": [], "best": {"checkpoint": "lm"}}
    (found,) = predictions(tmp_path, known)
    assert (found["n"], found["counts"], found["classes"]) == (30, [], [])
    assert found["wrong"] == int((~items.right()).sum()) > 0
    assert found["worst"][0]["text"].startswith("text ")


def test_presets_are_what_their_papers_do() -> None:
    told = {
        name: (p.window, p.stride, p.bos, p.detokeniser, p.metric)
        for name in presets.names()
        for p in [presets.get(name)]
    }
    assert told == {
        "gpt2-paper": (1024, 1024, True, "invertible", "word_perplexity"),
        "hf-docs": (1024, 512, False, "none", "token_perplexity"),
        "gptq-papers": (2048, 2048, False, "none", "token_perplexity"),
        "lm-eval": (None, None, True, "lm-eval", "word_perplexity"),
    }
    metrics = benchmarks.of("text").metrics
    assert all(presets.get(name).metric in metrics for name in presets.names())
    with pytest.raises(UsageError, match="no preset is named 'gpt2'; there are gpt2-paper"):
        presets.get("gpt2")
