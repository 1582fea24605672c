"""Every loss against a loop in float64 and against libraries; what it asks of stage and data."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from gradus import registry
from gradus.errors import TrainingError
from gradus.training.config import StageConfig
from gradus.training.loop import make_loss
from gradus.training.losses.base import Classes, Loss, label_weights

from .conftest import make_task
from .test_loop import run

LOSSES = [registry.plain(name) for name in registry.names("losses")]
NAMES, COUNTS = ("a", "b", "c", "d"), (50, 30, 20, 0)
WEIGHTS = {"a": 0.5, "c": 3.0}

Array = np.ndarray


def cross_entropy(logits: Array, gold: Array, features: Array, w: list[float]) -> float:
    """With smoothing 0.2."""
    total = 0.0
    for row, label in zip(logits, gold, strict=True):
        p = [math.exp(z) / sum(math.exp(y) for y in row) for z in row]
        total -= 0.8 * w[label] * math.log(p[label])
        total -= sum(0.2 / len(row) * w[k] * math.log(p[k]) for k in range(len(row)))
    return total


def focal(logits: Array, gold: Array, features: Array, w: list[float]) -> float:
    """Lin et al. 2017, equation 5, with gamma 1.5."""
    total = 0.0
    for row, label in zip(logits, gold, strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        total -= w[label] * (1 - p) ** 1.5 * math.log(p)
    return total


def supcon(logits: Array, gold: Array, features: Array, w: list[float]) -> float:
    """Khosla et al. 2020, equation 2, with temperature 0.3; 0.7 of it beside the cross-entropy."""
    total, rows = 0.0, range(len(gold))
    z = [row / math.sqrt(float(row @ row)) for row in features]
    for i in rows:
        positives = [p for p in rows if p != i and gold[p] == gold[i]]
        below = sum(math.exp(float(z[i] @ z[a]) / 0.3) for a in rows if a != i)
        for p in positives:
            total -= math.log(math.exp(float(z[i] @ z[p]) / 0.3) / below) / len(positives)
    return 0.7 * total + cross_entropy(logits, gold, features, w)


Reference = Callable[[Array, Array, Array, list[float]], float]
REFERENCES: dict[str, tuple[dict[str, Any], Reference]] = {
    "cross-entropy": ({"label_smoothing": 0.2}, cross_entropy),
    "focal": ({"gamma": 1.5}, focal),
    "supcon": ({"weight": 0.7, "temperature": 0.3, "label_smoothing": 0.2}, supcon),
}


def made(name: str, **options: Any) -> Loss:
    stage = StageConfig(loss={"name": name, **options})
    loss: Loss = registry.load("losses", name)(stage.chosen_loss, Classes(NAMES, COUNTS))
    return loss


def test_every_loss_has_a_reference() -> None:
    assert set(REFERENCES) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS, "balanced"])
@pytest.mark.parametrize("rows", [1, 12])
def test_a_loss_is_that_of_the_loop(name: str, weights: Any, rows: int) -> None:
    options, reference = REFERENCES[name]
    draw = np.random.default_rng(rows)
    logits, features = 3 * draw.normal(size=(rows, 4)), draw.normal(size=(rows, 5))
    gold = draw.integers(0, 3, rows)
    w = {
        "None": [1.0] * 4,
        str(WEIGHTS): [0.5, 1.0, 3.0, 1.0],
        "balanced": [100 / (3 * n) if n else 1.0 for n in COUNTS],
    }[str(weights)]
    loss = made(name, **options, class_weights=weights)
    tensors = (torch.from_numpy(a) for a in (logits, gold, features))
    if loss.weights is not None:
        loss.weights = loss.weights.double()
    got = float(loss(*tensors))
    # The weights themselves are float32.
    assert got == pytest.approx(reference(logits, gold, features, w), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_slopes_are_those_of_differences(name: str) -> None:
    options, _ = REFERENCES[name]
    torch.manual_seed(0)
    gold = torch.tensor([0, 1, 1, 2, 0])
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    features = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    loss = made(name, **options)
    assert torch.autograd.gradcheck(lambda z, f: loss(z, gold, f) + 0 * f.sum(), (logits, features))


def test_balanced_weights_are_scikit_learns() -> None:
    gold = np.repeat(np.arange(4), (7, 1, 12, 5))
    config = StageConfig(loss={"name": "focal", "class_weights": "balanced"}).chosen_loss
    found = label_weights(config, Classes(NAMES, (7, 1, 12, 5)))
    assert found is not None
    expected = compute_class_weight("balanced", classes=np.arange(4), y=gold)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert float(found[torch.from_numpy(gold)].mean()) == pytest.approx(1.0)


def test_a_focus_of_nought_is_cross_entropy() -> None:
    logits, gold = torch.randn(9, 4), torch.randint(0, 4, (9,))
    expected = torch.nn.functional.cross_entropy(logits, gold, reduction="sum")
    torch.testing.assert_close(made("focal", gamma=0)(logits, gold, logits), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.001, 0.5, 1.0, 2.0, 5.0])
def test_focal_is_finite_where_a_row_is_certain(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0, 0.0], [-200.0, 0.0, 0.0, 0.0]], requires_grad=True)
    value = made("focal", gamma=gamma)(logits, torch.tensor([0, 0]), logits)
    value.backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert float(value.detach()) == pytest.approx(200 + math.log(3), rel=1e-5)


@pytest.mark.parametrize("gold", [[0], [0, 1, 2, 3]])
def test_without_a_pair_there_is_no_contrast(gold: list[int]) -> None:
    features = torch.randn(len(gold), 3, requires_grad=True)
    logits, labels = torch.randn(len(gold), 4), torch.tensor(gold)
    value = made("supcon")(logits, labels, features)
    torch.testing.assert_close(value.detach(), made("cross-entropy")(logits, labels, features))
    value.backward()
    assert features.grad is not None
    assert not bool(features.grad.any())


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=10),
    st.floats(0.05, 5.0),
    st.integers(0, 2**16),
)
def test_contrast_hangs_neither_on_order_nor_on_length(
    gold: list[int], stretch: float, seed: int
) -> None:
    from gradus.training.losses.supcon import supervised_contrast

    draw = np.random.default_rng(seed)
    features = torch.from_numpy(draw.normal(size=(len(gold), 4)))
    labels = torch.tensor(gold)
    value = float(supervised_contrast(features, labels, 0.2))
    order = torch.from_numpy(draw.permutation(len(gold)))
    again = float(supervised_contrast(stretch * features[order], labels[order], 0.2))
    assert value >= -1e-9
    assert again == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_a_solved_head_with_weights_is_scikit_learns() -> None:
    from gradus.training.solver import solve_head

    draw = np.random.default_rng(3)
    x = draw.normal(size=(80, 5)).astype(np.float32)
    y = draw.choice(3, 80, p=[0.7, 0.2, 0.1])
    weights = compute_class_weight("balanced", classes=np.arange(3), y=y)
    found = solve_head(
        torch.from_numpy(x), torch.from_numpy(y), 3, l2=0.5, weights=torch.from_numpy(weights)
    )
    theirs = LogisticRegression(C=2.0, class_weight="balanced", tol=1e-10, max_iter=10_000)
    theirs.fit(x.astype(np.float64), y)
    np.testing.assert_allclose(
        torch.softmax(torch.from_numpy(x) @ found.weight.T + found.bias, 1).numpy(),
        theirs.predict_proba(x),
        atol=2e-5,
    )


def test_a_solved_head_takes_the_stages_weights(tmp_path: Path) -> None:
    plain, _, _ = run(tmp_path / "a", (StageConfig(train="head"),))
    loss = {"name": "cross-entropy", "class_weights": {"0": 20.0}}
    weighed, _, _ = run(tmp_path / "b", (StageConfig(train="head", loss=loss),))
    says = [
        float(
            torch.cat([t.outputs(t.features(t.backbone.run(b), b.layout)) for b in _all(t)])
            .exp()
            .mean(0)[0]
            .detach()
        )
        for t in (plain, weighed)
    ]
    assert says[1] > says[0] + 0.05


def _all(task: Any) -> list[Any]:
    return [task.train.batch([row]) for row in range(len(task.train))]


@pytest.mark.parametrize("name", LOSSES)
def test_a_stage_trains_by_it_and_says_so(name: str, tmp_path: Path) -> None:
    stage = StageConfig(train="all", epochs=30, lr=5e-3, batch_size=40, loss=name)
    _, monitor, outcome = run(tmp_path / "w", (stage,))
    losses = [row["train_loss"] for row in monitor.rows]
    assert losses[-1] < 0.95 * losses[0]
    assert outcome.stages[0]["loss"] == name


def test_a_label_that_isnt_there_is_said_before_any_stage_trains(tmp_path: Path) -> None:
    task = make_task()
    task.names = ("sport", "business", "tech")
    loss = {"name": "focal", "class_weights": {"busines": 2.0}}
    stages = (StageConfig(train="head"), StageConfig(loss=loss))
    with pytest.raises(TrainingError, match="class_weights: unknown label 'busines': did you mean"):
        run(tmp_path / "w", stages, task=task)
    assert not list((tmp_path / "w").iterdir())


def test_where_labels_arent_told_apart_nothing_is_weighed() -> None:
    config = StageConfig(loss={"name": "focal", "class_weights": "balanced"}).chosen_loss
    with pytest.raises(TrainingError, match="doesn't weigh labels"):
        label_weights(config, None)


def test_a_task_with_a_loss_of_its_own_takes_no_other() -> None:
    class Own(type(make_task())):  # type: ignore[misc]  # the class of a task made elsewhere
        chooses_loss = False
        name = "own"

    task = make_task()
    task.__class__ = Own
    assert make_loss(StageConfig(label_smoothing=0.3), task).smoothing == 0.3
    with pytest.raises(TrainingError, match="loss: focal: objective own has a loss of its own"):
        make_loss(StageConfig(loss="focal"), task)
