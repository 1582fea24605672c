"""Item by item the numbers of the harness with its own model class, on the same tiny models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus import registry
from gradus.benchmarks.harness import HarnessBenchmark, HarnessConfig
from gradus.metrics.items import read_items, write_items
from gradus.metrics.options import Options
from gradus.metrics.outcomes import Outcomes
from gradus.metrics.texts import Texts

from .worlds import POSITIONS

pytest.importorskip("lm_eval", reason="the extra lm-eval isn't installed")
pytest.importorskip("accelerate", reason="the harness's own model needs accelerate")

NATS = 1e-3
Oracle = Callable[[str], dict[str, Any]]


def ours(task: str, tasks: Path, engine: Any, **options: Any) -> Any:
    config = HarnessConfig(task=task, path=str(tasks), **options)
    documents = HarnessBenchmark.read(config, tasks)
    return HarnessBenchmark.ask(config, documents, engine)


def value(items: Any, name: str, label: str | None = None) -> float:
    index = None if label is None else items.labels.index(label)
    return float(registry.load("metrics", name)(index)(items))


def nats_of(samples: list[dict[str, Any]]) -> list[list[float]]:
    return [[answer[0][0] for answer in sample["resps"]] for sample in samples]


@pytest.mark.parametrize("task", ["choice", "shots", "gaps"])
def test_options(task: str, tasks: Path, engine: Any, oracle: Oracle) -> None:
    items = ours(task, tasks, engine)
    assert isinstance(items, Options)
    found = oracle(task)
    expected = nats_of(found["samples"][task])
    assert len(items) == len(expected) > 8
    for row, theirs in zip(items.nats, expected, strict=True):
        np.testing.assert_allclose(row[~np.isnan(row)], theirs, atol=NATS)
    results = found["results"][task]
    assert value(items, "accuracy") == pytest.approx(results["acc,none"])
    if "acc_norm,none" in results:
        assert value(items, "accuracy_norm") == pytest.approx(results["acc_norm,none"])
    assert HarnessBenchmark.metrics_on(items) == ("accuracy", "accuracy_norm")


def test_some_contexts_were_too_long(tasks: Path, engine: Any) -> None:
    """What the comparisons above rest on: contexts lose their beginning, with and without shots."""
    for task in ("choice", "shots"):
        config = HarnessConfig(task=task, path=str(tasks))
        documents = HarnessBenchmark.read(config, tasks)
        sizes = [len(engine.tokenizer(document.text)["input_ids"]) for document in documents]
        assert max(sizes) > POSITIONS > min(sizes)


def test_targets(tasks: Path, engine: Any, oracle: Oracle) -> None:
    items = ours("ending", tasks, engine)
    assert isinstance(items, Texts)
    assert items.greedy is not None
    found = oracle("ending")
    samples = found["samples"]["ending"]
    np.testing.assert_allclose(items.nats, [row[0] for row in nats_of(samples)], atol=NATS)
    assert items.greedy.tolist() == [sample["resps"][0][0][1] for sample in samples]
    results = found["results"]["ending"]
    assert value(items, "target_perplexity") == pytest.approx(results["perplexity,none"], rel=1e-3)
    assert value(items, "accuracy") == pytest.approx(results["acc,none"])
    assert HarnessBenchmark.metrics_on(items) == ("target_perplexity", "accuracy")


def test_whole_texts(tasks: Path, engine: Any, oracle: Oracle) -> None:
    items = ours("pages", tasks, engine)
    assert isinstance(items, Texts)
    assert items.tokens.max() > 2 * POSITIONS > POSITIONS > items.tokens.min()
    found = oracle("pages")
    theirs = [sample["resps"][0][0] for sample in found["samples"]["pages"]]
    np.testing.assert_allclose(items.nats, theirs, atol=NATS)
    results = found["results"]["pages"]
    names = HarnessBenchmark.metrics_on(items)
    assert set(names) == {"word_perplexity", "byte_perplexity", "bits_per_byte"}
    for name in names:
        assert value(items, name) == pytest.approx(results[f"{name},none"], rel=1e-4)


def test_replies_under_two_filters(tasks: Path, engine: Any, oracle: Oracle) -> None:
    items = ours("reply", tasks, engine)
    assert isinstance(items, Outcomes)
    found = oracle("reply")
    samples = [s for s in found["samples"]["reply"] if s["filter"] == "whole"]
    assert items.said == tuple(sample["resps"][0][0] for sample in samples)
    assert any(items.said)
    results = found["results"]["reply"]
    assert items.labels == tuple(
        f"{metric},{kept}"
        for kept in ("whole", "first-letters")
        for metric in ("exact_match", "ter")
    )
    for label in items.labels:
        name, other = ("penalty", "outcome") if label.startswith("ter") else ("outcome", "penalty")
        assert value(items, name, label) == pytest.approx(results[label])
        assert np.isnan(value(items, other, label))


def test_aggregations_over_all_items(tasks: Path, engine: Any, oracle: Oracle) -> None:
    """Matthews' coefficient, F1 and the Brier score of options aren't in `Options`."""
    items = ours("judged", tasks, engine)
    assert isinstance(items, Outcomes)
    results = oracle("judged")["results"]["judged"]
    for label, name in (
        ("acc", "outcome"),
        ("mcc", "outcome"),
        ("f1", "outcome"),
        ("brier_score", "penalty"),
    ):
        assert value(items, name, label) == pytest.approx(results[f"{label},none"], abs=1e-5)


def test_several_right_options(tasks: Path, engine: Any, oracle: Oracle) -> None:
    items = ours("either", tasks, engine)
    assert isinstance(items, Outcomes)
    assert value(items, "outcome", "acc") == oracle("either")["results"]["either"]["acc,none"] == 1


def test_scoring_of_a_tasks_own(tasks: Path, engine: Any, oracle: Oracle) -> None:
    """Own names, items that a name leaves out, and an aggregation that has no name."""
    items = ours("own", tasks, engine)
    results = oracle("own")["results"]["own"]
    assert value(items, "penalty", "letters") == pytest.approx(results["letters,none"])
    some = items.values[:, items.labels.index("some")]
    assert 0 < np.isnan(some).sum() < len(some)
    assert value(items, "outcome", "some") == pytest.approx(results["some,none"])
    weights = np.ones((1, len(items)))
    weighted = registry.load("metrics", "outcome")(items.labels.index("some")).weighted
    assert weighted(items, weights)[0] == pytest.approx(results["some,none"])
    assert results["longest,none"] > 0
    assert np.isnan(value(items, "outcome", "longest"))


@pytest.mark.parametrize("task", ["choice", "ending", "pages", "reply", "judged"])
def test_item_files_come_back(task: str, tasks: Path, engine: Any, tmp_path: Path) -> None:
    items = ours(task, tasks, engine)
    write_items(tmp_path / "items.parquet", items, [""] * len(items))
    back, _ = read_items(tmp_path / "items.parquet")
    assert type(back) is type(items)
    assert back.ids == items.ids
    assert back.labels == items.labels
    for name in HarnessBenchmark.metrics_on(items):
        for label in items.labels or (None,):
            one, two = value(items, name, label), value(back, name, label)
            assert one == two or (np.isnan(one) and np.isnan(two))
