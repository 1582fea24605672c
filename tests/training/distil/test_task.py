from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from tests.training.conftest import WIDTH, KeptMonitor, KilledHere, make_model, make_task
from tests.training.test_loop import bits, run, same

from gradus.errors import TrainingError
from gradus.training.backbone import Backbone
from gradus.training.config import StageConfig
from gradus.training.distil import students
from gradus.training.distil.task import EXTRA, DistilTask, Weights, uniform_map
from gradus.training.loop import make_loss
from gradus.training.teachers.base import Ensemble, TeacherOutputs

STAGE = StageConfig(train="all", epochs=2, lr=3e-3, batch_size=8)
ALL = Weights(soft=1.0, hard=0.5, hidden=0.7, attention=0.3, relations=0.2)


class Given(TeacherOutputs):
    """A teacher whose logits are given."""

    def __init__(self, name: str, logits: torch.Tensor) -> None:
        self.name, self._logits = name, logits.float()

    @property
    def shape(self) -> tuple[int, int]:
        return (self._logits.shape[0], self._logits.shape[1])

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        return self._logits[rows]


def outputs_of(task: Any) -> torch.Tensor:
    """Log-probabilities of all of train, in order."""
    batch = task.train.batch(range(len(task.train)))
    with torch.no_grad():
        found = task.outputs(task.features(task.backbone.run(batch), batch.layout))
    rows = torch.empty_like(found)
    rows[torch.from_numpy(batch.rows)] = found
    return rows


def random_teacher(name: str = "large", seed: int = 1) -> Given:
    draw = np.random.default_rng(seed)
    return Given(name, torch.from_numpy(2 * draw.normal(size=(40, 3))))


def losing(task: DistilTask, rows: list[int]) -> tuple[float, dict[str, float], Any]:
    """Loss and terms of a batch of train, as the loop takes them."""
    batch = task.train.batch(rows)
    features = task.features(task.backbone.run(batch), batch.layout)
    value = task.loss(features, batch, make_loss(STAGE, task))
    return float(value.detach()), dict(task.terms()), (features.detach(), batch)


def test_layers_meet_those_that_stand_as_high() -> None:
    assert uniform_map(3, 6) == (1, 3, 5)
    assert uniform_map(2, 3) == (1, 2)
    assert uniform_map(4, 2) == (0, 0, 1, 1)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_from_it(family: str) -> None:
    inner = make_task(family)
    ensemble = Ensemble([Given("self", outputs_of(inner))])
    teacher = Backbone(make_model(family))
    if not teacher.packs:
        with pytest.raises(TrainingError, match=r"attention of architecture .* can't be"):
            DistilTask(inner, ensemble, weights=ALL, teacher=teacher)
        weights = Weights(hidden=1.0)
    else:
        weights = ALL
    task = DistilTask(inner, ensemble, weights=weights, teacher=teacher)
    _, terms, _ = losing(task, list(range(12)))
    assert set(terms) == {"hard", "soft", "hidden"} | (
        {"attention", "relations"} if teacher.packs else set()
    )
    assert terms.pop("hard") > 1
    assert max(terms.values()) < 1e-5
    task.release()
    assert outputs_of(inner).allclose(ensemble.teachers[0].logits(torch.arange(40)).double())


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    inner = make_task("bert")
    teacher = random_teacher()
    task = DistilTask(
        inner,
        Ensemble([teacher]),
        weights=ALL,
        temperature=3.0,
        teacher=Backbone(make_model("bert", seed=9)),
    )
    rows = [4, 0, 17, 30, 9]
    value, terms, (features, batch) = losing(task, rows)
    by_hand = sum(getattr(ALL, name) * term for name, term in terms.items())
    assert set(terms) == {"soft", "hard", "hidden", "attention", "relations"}
    assert value == pytest.approx(by_hand, rel=1e-5)
    logits = task.head(features).detach().double().numpy() / 3.0
    its = teacher.logits(torch.from_numpy(batch.rows)).double().numpy() / 3.0
    soft = 9 * (softmax(its, 1) * (log_softmax(its, 1) - log_softmax(logits, 1))).sum()
    assert terms["soft"] == pytest.approx(soft, rel=1e-4)
    hard = float(inner.loss(features, batch, make_loss(STAGE, inner)).detach())
    assert terms["hard"] == pytest.approx(hard, rel=1e-6)


def test_hidden_states_of_a_text_count_once_whatever_stands_beside_it() -> None:
    its = Backbone(make_model("bert", seed=9))
    task = DistilTask(make_task("bert"), Ensemble([random_teacher()]), weights=ALL, teacher=its)
    together = losing(task, [3, 8, 21])[1]
    apart = [losing(task, [row])[1] for row in (3, 8, 21)]
    for name in ("hidden", "attention", "relations"):
        assert together[name] == pytest.approx(sum(one[name] for one in apart), rel=1e-4)
    batch = task.train.batch([3])
    errors = []
    with torch.no_grad():
        for k in (1, 2):  # between layers; the last one's output is the model's
            mine, other = (b.run(batch, high=k).double() for b in (task.backbone, its))
            errors.append(float((mine - other).square().sum() / other.square().sum()))
        mine, other = (b.run(batch).double() for b in (task.backbone, its))
        errors.append(float((mine - other).square().sum() / other.square().sum()))
    assert apart[0]["hidden"] == pytest.approx(sum(errors) / 3, rel=1e-4)


def test_items_without_a_label_have_no_hard_loss() -> None:
    inner = make_task("bert")
    labelled = torch.arange(40) % 2 == 0
    weights = Weights(soft=0.0, hard=1.0, hidden=0.0)
    teacher = Ensemble([random_teacher()])
    task = DistilTask(inner, teacher, weights=weights, labelled=labelled)
    plain = DistilTask(inner, teacher, weights=weights)
    assert losing(task, [2, 3, 5, 8])[0] == pytest.approx(losing(plain, [2, 8])[0], rel=1e-5)
    assert losing(task, [1, 3])[0] == 0
    assert task.weight(task.train.batch([1, 2, 3])) == 3


def test_training_logs_each_term_and_comes_nearer_to_the_teacher(tmp_path: Path) -> None:
    inner = make_task("bert")
    model = students.cut(make_model("bert"), (0, 2))
    inner.backbone = Backbone(model)
    teacher = make_task("bert", seed=4)
    with torch.no_grad():
        teacher.head.weight.mul_(40)
    task = DistilTask(
        inner,
        Ensemble([Given("large", outputs_of(teacher))]),
        weights=ALL,
        teacher=teacher.backbone,
    )
    stages = (StageConfig(train="head", lr=1e-3, epochs=1), STAGE.model_copy(update={"epochs": 12}))
    _, monitor, outcome = run(tmp_path / "w", stages, task=task)
    head = [row for row in monitor.rows if row["stage"] == 0]
    rows = [row for row in monitor.rows if row["stage"] == 1]
    assert all({"train_soft", "train_hard"} <= row.keys() for row in monitor.rows)
    assert not any("train_hidden" in row for row in head)
    for name in ("soft", "hidden"):
        assert rows[-1][f"train_{name}"] < rows[0][f"train_{name}"]
    told = [math.fsum(getattr(ALL, n) * r[f"train_{n}"] for n in ALL.__slots__) for r in rows]
    assert told == pytest.approx([row["train_loss"] for row in rows], rel=1e-4)
    assert len(outcome.stages) == 2


def narrow(monitor: KeptMonitor | None = None) -> DistilTask:
    """A student of half the width, whose states are projected, under two weighed teachers."""
    from transformers import BertConfig, BertModel

    from gradus.objectives.pooling import LinearHead

    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=61,
        hidden_size=WIDTH // 2,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    inner = make_task("bert", monitor=monitor)
    inner.backbone = Backbone(BertModel(config, add_pooling_layer=False))
    inner.head = LinearHead(WIDTH // 2, 3, 2.0)
    teachers = [random_teacher("one", 1), random_teacher("two", 2)]
    return DistilTask(
        inner,
        Ensemble(teachers, weighting="learned"),
        weights=Weights(soft=1.0, hard=0.5, hidden=1.0, relations=0.5),
        teacher=Backbone(make_model("bert")),
        seed=5,
    )


def test_projection_and_weights_of_teachers_are_learnt_and_taken_off(tmp_path: Path) -> None:
    task = narrow()
    names = {name for name, _ in task.head.named_parameters()}
    assert {f"{EXTRA}.projection.weight", f"{EXTRA}.ensemble.scores"} <= names
    before = bits(task)
    _, monitor, _ = run(tmp_path / "w", (STAGE,), task=task)
    after = bits(task)
    for name in (f"head.{EXTRA}.projection.weight", f"head.{EXTRA}.ensemble.scores"):
        assert not torch.equal(before[name], after[name])
    last = monitor.rows[-1]
    assert last["weight_one"] + last["weight_two"] == pytest.approx(1)
    assert "train_mixture" in last
    task.release()
    assert {name for name, _ in task.head.named_parameters()} == {"weight", "bias"}
    task.inner.save_head(tmp_path / "head.safetensors")


def test_killed_after_every_update_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, watched, _ = run(tmp_path / "whole", (STAGE,), task=narrow())
    kills, monitor = 0, KeptMonitor(stop_after=1)
    while True:
        try:
            task, _, _ = run(tmp_path / "killed", (STAGE,), monitor=monitor, task=narrow())
            break
        except KilledHere:
            kills += 1
            torch.manual_seed(1000 + kills)
            rows = monitor.rows
            monitor = KeptMonitor(stop_after=1)
            monitor.rows = rows
    assert kills >= 8
    assert same(bits(task), bits(whole))
    assert monitor.rows == watched.rows


def test_attention_of_other_numbers_of_heads_is_refused_and_relations_are_not() -> None:
    inner = narrow().inner
    task = DistilTask(
        inner,
        Ensemble([random_teacher()]),
        weights=Weights(attention=1.0),
        teacher=Backbone(make_model("bert")),
    )
    with pytest.raises(TrainingError, match="2 attention heads and its teacher 4: take relations"):
        losing(task, [1, 2])
