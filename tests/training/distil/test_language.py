"""Distilling language models: the task by hand, and the step on a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import KeptMonitor, KilledHere
from tests.training.test_blocks import Documents
from tests.training.test_language import BLOCK, VOCABULARY, model
from torch.nn.functional import cross_entropy

from gradus.errors import TrainingError
from gradus.steps.base import StepOutcome
from gradus.testing.world import World, write_causal
from gradus.training.blocks import CausalBlocks, Cutting
from gradus.training.config import StageConfig
from gradus.training.distil.language import DistilLanguageTask, Fixed
from gradus.training.distil.vocabulary import Weights
from gradus.training.loop import make_loss, train
from gradus.training.tally import Held
from gradus.training.teachers.vocabulary import Panel, Speaker

STAGE = StageConfig(train="all", embeddings=True, epochs=2, lr=3e-3, batch_size=2)


def cut() -> CausalBlocks:
    return CausalBlocks(Documents.of([9, 21, 13, 30], ends=True), BLOCK, Cutting(whole=True))


def panel(teacher: Any, temperature: float) -> Panel:
    return Panel(
        speakers=[Speaker("large", teacher)],
        shares=[1.0],
        weighting="fixed",
        temperature=temperature,
        vocabulary=VOCABULARY,
        dtype=torch.float32,
    )


def task(student: Any, teacher: Any, weights: Weights, temperature: float = 2.0) -> Any:
    told = panel(teacher, temperature)
    held = {"plays": Held(cut(), np.array([50, 60, 70, 80]), {})}
    return DistilLanguageTask(
        student,
        train=Fixed(cut()),
        held=held,
        digest="",
        arithmetic=torch.float32,
        weights=weights,
        temperature=temperature,
        saying=(told.live, told.live),
    )


def student() -> Any:
    made = model("llama")
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(0.7)
    return made


def test_blocks_are_the_same_in_each_epoch() -> None:
    blocks = Fixed(cut())
    rows = [len(blocks) - 1, 0, 2]
    first = blocks.batch(rows)
    blocks.begin_epoch(3)
    again = blocks.batch(rows)
    torch.testing.assert_close(first.ids, again.ids)
    assert blocks.epoch == 3
    assert blocks.lengths.tolist() == cut().lengths.tolist()
    # Rows stand as their hidden states lie.
    lengths = [length for n, length in first.layout.runs for _ in range(n)]
    assert blocks.lengths[first.rows].tolist() == lengths


def test_the_loss_by_hand() -> None:
    temperature = 2.0
    made = task(student(), model("llama"), Weights(soft=1.0, reverse=0.5, hard=0.25), temperature)
    batch = made.train.batch([0, 2])
    value = made.loss(made.backbone.run(batch), batch, make_loss(STAGE, made))
    runs = [ids.squeeze(0) for ids in batch.layout.split(batch.ids[None], 1)]
    with torch.inference_mode():
        mine, its = (
            torch.cat([of(input_ids=ids).logits.flatten(0, 1) for ids in runs]).double()
            for of in (student(), model("llama"))
        )
    p, q = ((x / temperature).log_softmax(1) for x in (its, mine))
    soft = 4 * (p.exp() * (p - q)).sum().item()
    reverse = 4 * (q.exp() * (q - p)).sum().item()
    hard = cross_entropy(mine, batch.targets, reduction="sum").item()
    assert made.terms() == pytest.approx({"soft": soft, "reverse": reverse, "hard": hard}, rel=1e-4)
    assert value.item() == pytest.approx(soft + 0.5 * reverse + 0.25 * hard, rel=1e-4)


def test_it_learns_what_its_teacher_says(tmp_path: Path) -> None:
    monitor = KeptMonitor()
    made = task(student(), model("llama"), Weights(soft=1.0, hard=0.0))
    with torch.inference_mode():
        before = made.examine(lambda texts, batch: made.backbone.run(batch), torch.float32).values[
            "select_soft"
        ]
    stage = STAGE.model_copy(update={"epochs": 15})
    train(made, [stage], seed=1, work=tmp_path, monitor=monitor)
    ends = [row for row in monitor.rows if "select_soft" in row]
    assert ends[-1]["select_soft"] < 0.5 * before
    assert "train_soft" in ends[-1]
    assert "select_hard" not in ends[-1]


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def run(work: Path, stop: int | None = None) -> Any:
        work.mkdir(exist_ok=True)
        made = task(student(), model("llama"), Weights(soft=1.0, reverse=0.5))
        monitor = KeptMonitor(stop)
        train(made, [STAGE], seed=1, work=work, monitor=monitor, save_seconds=0)
        return made.parameters()

    whole = run(tmp_path / "whole")
    with pytest.raises(KilledHere):
        run(tmp_path / "killed", 3)
    resumed = run(tmp_path / "killed")
    for name, parameter in whole.items():
        assert torch.equal(parameter, resumed[name]), name


CONFIG = {
    "teachers": "lm",
    "student": {"layers": 1},
    "corpus": "plays",
    "losses": {"soft": 1.0, "reverse": 0.2, "hard": 0.5},
    "language": {"block": 32, "top": 16},
    "stages": [{"train": "all", "embeddings": True, "epochs": 1, "lr": 3e-3, "batch_size": 16}],
}


def distil(world: World, out: Path, **options: Any) -> StepOutcome:
    return world.run("distil", {**CONFIG, **options}, out)


def test_a_step_on_a_corpus(tmp_path: Path) -> None:
    from gradus.checkpoints import verify
    from gradus.scoring.load import load_causal_lm

    world = World(tmp_path)
    outcome = distil(world, tmp_path / "out", alone=True)
    assert outcome.checkpoint is not None
    assert verify(outcome.checkpoint).preprocessing["target"] == "text"
    assert outcome.facts["layers"] == 1
    (row,) = outcome.facts["teachers"]["ablation"]
    assert row["teachers"] == "lm"
    assert row["loss"] > 0
    json.dumps(dict(outcome.facts), allow_nan=False)
    (stage,) = outcome.facts["stages"]
    assert stage["select_soft"] >= 0
    assert any("likeliest tokens" in note for note in outcome.notes)
    ref = world.model("lm")
    teacher = load_causal_lm(ref)
    assert sum(p.numel() for p in teacher.parameters()) > outcome.facts["parameters"]
    assert set(outcome.extras) == {"alone"}
    assert list((tmp_path / "out" / "teachers").iterdir())
    live = distil(world, tmp_path / "live", language={"block": 32, "outputs": "live"})
    assert live.facts["outputs"] == "live"
    assert not (tmp_path / "live" / "teachers").exists()


def test_what_cannot_be_learnt_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    ref = world.model("lm")
    other = tmp_path / "other"
    write_causal(other, ["Quite another text, with words of its own."])
    world._made["other"] = type(ref)(name="other", kind=ref.kind, path=str(other), digest="o")
    with pytest.raises(TrainingError, match=r"teacher 'other': .*different tokenizers: token"):
        distil(world, tmp_path / "a", teachers=["lm", "other"])
    with pytest.raises(TrainingError, match=r"teacher 'lm': .*different tokenizers"):
        distil(world, tmp_path / "b", student={"model": "other"})
    with pytest.raises(TrainingError, match=r"block is 1024 and .* has positions for 512"):
        distil(world, tmp_path / "c", language={"block": 1024})
