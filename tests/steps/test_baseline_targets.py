"""Floors for sets of labels, numbers and pairs, against scikit-learn's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge

from gradus.data.dataset import Split, TrainingData
from gradus.errors import DataError, TrainingError
from gradus.objectives.thresholds import choose
from gradus.predict import load
from gradus.records import Pair, Target
from gradus.steps.base import StepContext
from gradus.steps.baseline import Baseline, BaselineConfig
from gradus.testing import ListeningMonitor

WORDS = ["goal", "match", "vote", "budget", "share", "market", "team", "coach", "rate", "law"]


def make_data(target: Target, *, pairs: bool = False, n: int = 60) -> TrainingData:
    """Texts of random words; which words they hold tells labels and numbers."""
    draw = np.random.default_rng(0)
    splits = []
    for size in (n, 30):
        rows = [draw.choice(WORDS, draw.integers(3, 8)).tolist() for _ in range(size)]
        sets = np.array([["goal" in r, "vote" in r or "law" in r, "share" in r] for r in rows])
        value = np.array([sum(WORDS.index(w) for w in r) / len(r) for r in rows])
        gold: Any = {"labels": sets, "number": 50 - value, "label": sets[:, 0].astype(np.int64)}
        texts = [" ".join(r) for r in rows]
        if pairs:
            texts = [Pair(*t.split(" ", 1)) for t in texts]
        splits.append(
            Split(texts=texts, labels=gold[target], ids=[f"{i:04x}" for i in range(size)])
        )
    names: Any = {"labels": ("ball", "state", "money"), "number": (), "label": ("no", "yes")}
    return TrainingData(
        name="toy",
        labels=names[target],
        train=splits[0],
        select=splits[1],
        digest="",
        target=target,
    )


def run(data: TrainingData, folder: Path, **config: Any) -> tuple[Any, ListeningMonitor]:
    monitor = ListeningMonitor(data)
    (folder / "work").mkdir(parents=True)
    context = StepContext(
        id="floor",
        seed=1,
        out=folder,
        work=folder / "work",
        models={},
        data=data,
        monitor=monitor,
        dtype="float32",
        threads=1,
    )
    return Baseline().run(
        BaselineConfig.model_validate({"data": "toy", **config}), context
    ), monitor


def features(data: TrainingData) -> tuple[Any, Any]:
    oracle = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return oracle.fit_transform(data.train.texts), oracle.transform(data.select.texts)


@pytest.mark.parametrize("pairs", [False, True])
def test_sets_of_labels_are_sklearns_one_against_the_rest(tmp_path: Path, pairs: bool) -> None:
    data = make_data("labels", pairs=pairs)
    outcome, _ = run(data, tmp_path, C=5.0)
    train, select = features(data)
    model = load(outcome.checkpoint)
    assert (model.target, model.labels) == ("labels", data.labels)
    found = model.predict_proba(data.select.texts)
    for k in range(3):
        own = LogisticRegression(C=5.0, tol=1e-8, max_iter=10_000).fit(
            train, data.train.labels[:, k]
        )
        np.testing.assert_allclose(found[:, k], own.predict_proba(select)[:, 1], atol=2e-3)
    assert model.predictor.thresholds == (0.5, 0.5, 0.5)
    shares = load(outcome.extras["majority"]).predict_proba(["any", "other"])
    np.testing.assert_allclose(shares, np.tile(data.train.labels.mean(0), (2, 1)), atol=1e-12)


def test_numbers_are_sklearns_ridge_beside_the_mean(tmp_path: Path) -> None:
    data = make_data("number")
    outcome, _ = run(data, tmp_path, C=2.0)
    train, select = features(data)
    own = Ridge(alpha=0.5, solver="lsqr", tol=1e-12, max_iter=100_000).fit(train, data.train.labels)
    model = load(outcome.checkpoint)
    found = model.predict_numbers(data.select.texts)
    np.testing.assert_allclose(found, own.predict(select), atol=2e-4)
    assert model.predict(["goal"])[0].value == pytest.approx(
        float(model.predict_numbers(["goal"])[0])
    )
    mean = load(outcome.extras["mean"]).predict_numbers(["any"])
    assert mean.tolist() == [pytest.approx(data.train.labels.mean(), abs=1e-12)]


def test_the_search_keeps_the_least_error_and_the_greatest_f1(tmp_path: Path) -> None:
    for target, name, best in (("number", "rmse", min), ("labels", "multilabel_f1_micro", max)):
        outcome, monitor = run(make_data(target), tmp_path / target, C=[0.001, 0.1, 100.0])
        table = {row["C"]: row[name] for row in outcome.facts["searched"]}
        assert table[outcome.facts["C"]] == best(table.values())
        assert [row["C"] for row in monitor.rows] == [0.001, 0.1, 100.0]
        assert "was chosen of 3 on dev.select" in monitor.notes[-1]


def test_thresholds_are_chosen_on_dev_select(tmp_path: Path) -> None:
    data = make_data("labels")
    outcome, _ = run(data, tmp_path, threshold="per-label")
    model = load(outcome.checkpoint)
    rows = model.predict_proba(data.select.texts)
    expected = choose("per-label", rows, data.select.labels)
    assert model.predictor.thresholds == pytest.approx(expected, abs=1e-6)
    assert outcome.facts["thresholds"] == list(model.predictor.thresholds)


def test_labels_of_no_text_and_of_every_text_are_never_and_always_said(tmp_path: Path) -> None:
    data = make_data("labels")
    data.train.labels[:, 0], data.train.labels[:, 2] = False, True
    outcome, monitor = run(data, tmp_path)
    assert "label 'ball' has no text in train" in monitor.notes
    said = load(outcome.checkpoint).predict(["goal vote", "nothing"])
    assert all("ball" not in dict(s.labels) and "money" in dict(s.labels) for s in said)
    assert np.isfinite(load(outcome.extras["majority"]).predictor.log_probs(["x"])).all()


def test_data_that_teach_nothing_and_spans_are_refused(tmp_path: Path) -> None:
    data = make_data("number")
    data.train.labels[:] = 1.5
    with pytest.raises(TrainingError, match="fewer than two different numbers"):
        run(data, tmp_path / "numbers")
    data = make_data("labels")
    data.train.labels[:] = True
    with pytest.raises(TrainingError, match="nothing to tell apart"):
        run(data, tmp_path / "labels")
    from dataclasses import replace

    with pytest.raises(DataError, match="step baseline needs data with 'target: label'"):
        run(replace(make_data("label"), target="spans"), tmp_path / "spans")
    with pytest.raises(ValidationError):
        BaselineConfig.model_validate({"data": "toy", "threshold": "best"})


def test_fiqa_scores_are_told_better_than_by_their_mean(tmp_path: Path, shared_data: Path) -> None:
    from gradus.data.load import load_dataset

    config = {
        "source": {"file": str(shared_data / "FiQA_post.json")},
        "format": "json",
        "target": "number",
        "columns": {"text": "sentence", "label": "info.0.sentiment_score"},
    }
    whole = load_dataset("fiqa", config, folder=tmp_path, seed=13)
    outcome, _ = run(whole.for_training(), tmp_path / "out", C=1.0)
    test = whole.splits["test"]
    errors = [
        np.sqrt(((load(path).predict_numbers(test.texts) - test.labels) ** 2).mean())
        for path in (outcome.checkpoint, outcome.extras["mean"])
    ]
    assert errors[0] < 0.95 * errors[1]
