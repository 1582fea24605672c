"""Sets of labels, numbers and pairs: heads against scikit-learn; all the way in six families."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from tests.training.conftest import FAMILIES

from gradus import registry
from gradus.checkpoints import open_checkpoint, save_checkpoint
from gradus.errors import CheckpointError, ContractError, DataError, TrainingError
from gradus.objectives.classify import Classify, ClassifyConfig
from gradus.objectives.regress import Regress, RegressConfig
from gradus.objectives.regression import ridge
from gradus.objectives.thresholds import best_threshold, choose
from gradus.predict import load
from gradus.records import CheckpointRef, Pair
from gradus.training.config import StageConfig
from gradus.training.loop import train
from gradus.training.solver import solve_head

from .families import Scoring, data, write_model

HEAD = StageConfig(train="head")


def prepared(ref: CheckpointRef, seen: Any, max_tokens: int = 16, **options: Any) -> Any:
    kind: Any = Regress if seen.target == "number" else Classify
    name = "regress" if seen.target == "number" else "classify"
    return kind().prepare(
        kind.Config.model_validate({"name": name, **options}),
        ref=ref,
        data=seen,
        monitor=Scoring(seen),
        max_tokens=max_tokens,
        seed=0,
    )


def fitted(made: Any, folder: Path, *stages: StageConfig) -> Any:
    folder.mkdir(parents=True)
    return train(made.task, stages or (HEAD,), seed=0, work=folder, monitor=made.task.monitor)


def saved(made: Any, folder: Path) -> CheckpointRef:
    save_checkpoint(
        folder,
        kind="transformer",
        labels=made.labels,
        preprocessing={**made.preprocessing, **made.settle()},
        parents=(),
        facts={},
        write=made.save,
    )
    return open_checkpoint(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return write_model("bert", tmp_path_factory.mktemp("families") / "bert")


@pytest.mark.parametrize("target", ["labels", "number"])
@pytest.mark.parametrize("family", FAMILIES)
def test_all_the_way_with_pairs_in_every_family(family: str, target: Any, tmp_path: Path) -> None:
    """Trained, saved and loaded, a checkpoint says of pairs what the trained task says."""
    seen = data(target, pairs=True)
    made = prepared(write_model(family, tmp_path / "source"), seen)
    assert made.preprocessing["target"] == target
    assert made.preprocessing["pairs"]
    steps = StageConfig(train="all", epochs=2, lr=1e-3, batch_size=16)
    result = fitted(made, tmp_path / "work", HEAD, steps)
    losses = [stage["select_loss"] for stage in result.stages]
    assert np.isfinite(losses).all()
    expected = made.task.select_outputs().numpy()
    predictor = load(saved(made, tmp_path / "checkpoint")).predictor
    assert predictor.target == target
    np.testing.assert_allclose(predictor.say(seen.select.texts), expected, atol=1e-4, rtol=1e-5)
    # Turned round, a pair is another pair.
    turned = [Pair(t.second, t.first) for t in seen.select.texts if isinstance(t, Pair)]
    assert np.abs(predictor.say(turned) - expected).max() > 1e-4


@pytest.mark.parametrize("l2", [0.1, 10.0])
def test_the_solved_heads_are_sklearns_logistic_regressions(l2: float) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 7))
    y = (x @ draw.normal(size=(7, 4)) + draw.normal(size=(120, 4))) > 0.5
    found = solve_head(torch.from_numpy(x).float(), torch.from_numpy(y).float(), 4, l2=l2)
    for k in range(4):
        own = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=2000).fit(x, y[:, k])
        np.testing.assert_allclose(found.weight[k], own.coef_[0], atol=2e-4)
        np.testing.assert_allclose(found.bias[k], own.intercept_[0], atol=2e-4)


@pytest.mark.parametrize("l2", [0.1, 10.0])
def test_the_solved_number_is_sklearns_ridge(l2: float) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(3.0, 1.0, size=(50, 9)), draw.normal(size=50)
    weight, bias = ridge(torch.from_numpy(x), torch.from_numpy(y), l2)
    own = Ridge(alpha=l2, solver="cholesky").fit(x, y)
    np.testing.assert_allclose(weight, own.coef_, atol=1e-10)
    assert float(bias) == pytest.approx(own.intercept_, abs=1e-10)


def test_without_a_penalty_more_features_than_texts_are_fitted_by_the_least_weights() -> None:
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(5, 9)), draw.normal(size=5)
    weight, bias = ridge(torch.from_numpy(x), torch.from_numpy(y), 0.0)
    np.testing.assert_allclose(x @ weight.numpy() + float(bias), y, atol=1e-10)
    expected = np.linalg.pinv(x - x.mean(0)) @ (y - y.mean())
    np.testing.assert_allclose(weight, expected, atol=1e-10)


def test_a_head_alone_is_ridge_on_the_frozen_features_in_the_numbers_own_unit(
    bert: CheckpointRef, tmp_path: Path
) -> None:
    seen = data("number")
    made = prepared(bert, seen)
    assert made.preprocessing["mean"] == pytest.approx(seen.train.labels.mean())
    assert made.preprocessing["deviation"] == pytest.approx(seen.train.labels.std())
    fitted(made, tmp_path / "work", StageConfig(train="head", l2=0.5))
    task = made.task

    def features(tokens: Any) -> np.ndarray:
        batch = tokens.batch(range(len(tokens)))
        with torch.inference_mode():
            rows = task.features(task.backbone.run(batch), batch.layout)
        return np.asarray(rows.double().numpy()[np.argsort(batch.rows)])

    unit = task.head.scale / 10
    y = (seen.train.labels - seen.train.labels.mean()) / seen.train.labels.std()
    own = Ridge(alpha=0.5, solver="cholesky").fit(features(task.train) * unit, y)
    expected = own.predict(features(task.select) * unit) * seen.train.labels.std()
    found = task.select_outputs().numpy() - seen.train.labels.mean()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_what_numbers_are_measured_in_changes_nothing(bert: CheckpointRef, tmp_path: Path) -> None:
    one = data("number")
    labels = {s: getattr(one, s).labels * 1e6 - 3e8 for s in ("train", "select")}
    from dataclasses import replace

    other = replace(
        one,
        train=replace(one.train, labels=labels["train"]),
        select=replace(one.select, labels=labels["select"]),
        digest="other",
    )
    found = []
    for name, seen in (("one", one), ("other", other)):
        made = prepared(bert, seen)
        fitted(made, tmp_path / name, HEAD, StageConfig(train="all", epochs=1, batch_size=16))
        found.append(made.task.select_outputs().numpy())
    np.testing.assert_allclose((found[1] + 3e8) / 1e6, found[0], rtol=1e-3)


def test_the_losses_are_torchs_of_standardised_numbers(bert: CheckpointRef) -> None:
    seen = data("number")
    features = torch.randn(16, 16)
    for options, by_hand in (
        ({}, lambda e: e**2),
        ({"huber": 0.7}, lambda e: np.where(abs(e) <= 0.7, e**2 / 2, 0.7 * (abs(e) - 0.35))),
    ):
        task = prepared(bert, seen, **options).task
        batch = task.train.batch(range(16))
        with torch.no_grad():
            task.head.weight.normal_()
            error = task.head(features).squeeze(-1).numpy() - (
                (seen.train.labels[batch.rows] - task.mean) / task.deviation
            )
            loss = float(task.loss(features, batch, smoothing(0.0)))
        assert loss == pytest.approx(float(by_hand(error).sum()), rel=1e-5)
    with pytest.raises(TrainingError, match="no label_smoothing"):
        task.loss(features, batch, smoothing(0.1))


def test_binary_cross_entropy_by_hand(bert: CheckpointRef) -> None:
    seen = data("labels")
    task = prepared(bert, seen).task
    batch, features = task.train.batch(range(12)), torch.randn(12, 16)
    with torch.no_grad():
        task.head.weight.normal_().mul_(0.3 / task.head.scale)
        p = 1 / (1 + np.exp(-task.head(features).double().numpy()))
        y = seen.train.labels[batch.rows]
        for s in (0.0, 0.2):
            soft = y * (1 - s) + s / 2
            by_hand = -(soft * np.log(p) + (1 - soft) * np.log1p(-p)).sum()
            assert float(task.loss(features, batch, smoothing(s))) == pytest.approx(
                by_hand, rel=1e-5
            )
        np.testing.assert_allclose(task.outputs(features).exp().numpy(), p, atol=1e-6)


def smoothing(share: float) -> Any:
    kind = registry.load("losses", "cross-entropy")
    return kind(kind.Config(name="cross-entropy.v1", label_smoothing=share), None)


def test_a_loss_that_nobody_chose_smooths_nothing_here(bert: CheckpointRef) -> None:
    from gradus.training.loop import make_loss

    task = prepared(bert, data("labels")).task
    assert make_loss(StageConfig(), task).smoothing == 0.0
    assert make_loss(StageConfig(label_smoothing=0.3), task).smoothing == 0.3
    with pytest.raises(TrainingError, match="a loss of its own"):
        make_loss(StageConfig.model_validate({"loss": "focal"}), task)


def test_the_best_threshold_by_brute_force() -> None:
    draw = np.random.default_rng(0)
    for case in range(8):
        p = np.round(draw.random(40), 1 + case % 2)
        y = draw.random(40) < p
        found = best_threshold(p, y)
        value = f1_score(y, p >= found, zero_division=0)
        tried = [f1_score(y, p >= t, zero_division=0) for t in [0.0, *np.unique(p)]]
        assert value == pytest.approx(max(tried))
        assert found not in p or found == 0.0
    assert best_threshold(p, np.zeros(40, bool)) == 0.5


def test_thresholds_are_chosen_as_asked() -> None:
    p = np.array([[0.9, 0.2], [0.8, 0.3], [0.3, 0.1], [0.2, 0.05]])
    y = np.array([[True, True], [True, True], [False, False], [False, False]])
    assert choose(0.4, p, y) == [0.4, 0.4]
    one, two = choose("per-label", p, y)
    assert (one, two) == (pytest.approx(0.55), pytest.approx(0.15))
    both = choose("global", p, y)
    assert both[0] == both[1]
    assert choose("per-label", p[:0], y[:0]) == [0.5, 0.5]


@pytest.mark.parametrize("threshold", [0.3, "global", "per-label"])
def test_the_checkpoint_keeps_its_thresholds(
    bert: CheckpointRef, tmp_path: Path, threshold: Any
) -> None:
    seen = data("labels")
    made = prepared(bert, seen, threshold=threshold)
    fitted(made, tmp_path / "work")
    model = load(saved(made, tmp_path / "checkpoint"))
    p = made.task.select_outputs().exp().numpy()
    assert model.predictor.thresholds == pytest.approx(choose(threshold, p, seen.select.labels))
    for row, said in zip(p, model.predict(seen.select.texts), strict=True):
        expected = {
            n
            for n, x, t in zip(seen.labels, row, model.predictor.thresholds, strict=True)
            if x >= t
        }
        assert {name for name, _ in said.labels} == expected
        assert said.probability == pytest.approx(row.max(), abs=1e-5)


@pytest.mark.parametrize("target", ["labels", "number"])
def test_a_checkpoint_of_the_same_target_keeps_its_head(
    bert: CheckpointRef, tmp_path: Path, target: Any
) -> None:
    made = prepared(bert, data(target))
    fitted(made, tmp_path / "work")
    ref = saved(made, tmp_path / "checkpoint")
    again = prepared(ref, data(target, seed=1))
    assert again.facts["head_kept"]
    torch.testing.assert_close(again.task.head.weight, made.task.head.weight)
    if target == "number":  # the head's numbers are those of the data it was trained on
        assert again.preprocessing["mean"] == made.preprocessing["mean"]
    other = prepared(ref, data("label"))
    assert not other.facts["head_kept"]


def test_wrong_data_and_wrong_questions_are_said(bert: CheckpointRef, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="objective regress needs data with 'target: number'"):
        Regress().prepare(
            RegressConfig(name="regress"),
            ref=bert,
            data=data("label"),
            monitor=Scoring(data("label")),
            max_tokens=8,
            seed=0,
        )
    with pytest.raises(DataError, match="'target: label' or 'target: labels', this has 'target: n"):
        Classify().prepare(
            ClassifyConfig(),
            ref=bert,
            data=data("number"),
            monitor=Scoring(data("number")),
            max_tokens=8,
            seed=0,
        )
    seen = data("number")
    seen.train.labels[:] = 3.0
    with pytest.raises(TrainingError, match="every text of train has the number 3"):
        prepared(bert, seen)
    made = prepared(bert, data("number"))
    model = load(saved(made, tmp_path / "checkpoint"))
    with pytest.raises(ContractError, match="target 'number' was asked for target 'label'"):
        model.predictor.log_probs(["w1"])
    for options in ({"huber": 0}, {"threshold": 0.5}):
        with pytest.raises(ValidationError):
            RegressConfig.model_validate({"name": "regress", **options})
    for threshold in (0.0, 1.0, "best"):
        with pytest.raises(ValidationError):
            ClassifyConfig.model_validate({"threshold": threshold})


def test_a_checkpoint_of_pairs_is_not_exported(bert: CheckpointRef, tmp_path: Path) -> None:
    from gradus.compress.classifier import load_classifier

    made = prepared(bert, data("labels", pairs=True))
    with pytest.raises(CheckpointError, match="judges pairs of texts"):
        load_classifier(saved(made, tmp_path / "checkpoint"))


def test_metrics_are_those_of_their_benchmarks() -> None:
    assert {"spearman", "rmse", "size_mb"} <= Regress.metrics()
    assert "accuracy" not in Regress.metrics()
    assert {"accuracy", "multilabel_f1_micro", "auroc_macro"} <= Classify.metrics()
