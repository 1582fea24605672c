"""Long stages: what goes on between two updates, and that a kill changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from gradus.errors import StorageError, TrainingError
from gradus.training.loop import Trained, train
from gradus.training.pretraining import PretrainStage
from gradus.training.storage import load_tensors
from gradus.training.task import Examined

from .conftest import KeptMonitor, KilledHere, make_task

TIMED = ("tokens_per_second", "ceiling_share")


def followed(task: Any) -> Any:
    """`task` with losses by text, so that the gap is followed."""

    class Followed(type(task)):  # type: ignore[misc]  # a class known at run time alone
        epochs: list[int]

        def nats(self, texts: Any, rows: np.ndarray, dtype: torch.dtype) -> Any:
            gold = self.labels if texts is self.train else self.select_labels
            found = []
            for row in rows:
                batch = texts.batch([row])
                logits = self.head(self.features(self.backbone.run(batch), batch.layout))
                found.append(float(cross_entropy(logits, gold[[int(row)]])))
            return np.array(found), np.ones(len(rows), dtype=np.int64)

        def examine(self, features: Any, dtype: torch.dtype) -> Examined:
            values = super().examine(features, dtype).values
            nats, terms = self.nats(self.select, np.arange(len(self.select)), dtype)
            return Examined(values, nats, terms)

        def merit(self, row: Mapping[str, float]) -> tuple[float, ...]:
            return (-row["select_loss"],)

        def begin_epoch(self, epoch: int) -> None:
            self.epochs.append(epoch)

    task.__class__ = Followed
    task.epochs = []
    return task


def long(**given: Any) -> PretrainStage:
    usual: dict[str, Any] = {
        "steps": 13,
        "lr": 3e-3,
        "batch_size": 8,
        "validate_every": 4,
        "log_every": 2,
        "gap_rows": 16,
        "warmup": 2,
    }
    return PretrainStage(**{**usual, **given})


def run(
    work: Path,
    stage: PretrainStage,
    *,
    monitor: KeptMonitor | None = None,
    task: Any = None,
    family: str = "gpt2",
    **options: Any,
) -> tuple[Any, KeptMonitor, Trained]:
    work.mkdir(exist_ok=True)
    monitor = monitor or KeptMonitor()
    task = followed(make_task(family, monitor=monitor)) if task is None else task
    task.monitor = monitor
    settings = {"seed": 3, "identity": {"data": "d"}, "save_seconds": 0.0, **options}
    return task, monitor, train(task, (stage,), work=work, monitor=monitor, **settings)


def bits(task: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in task.parameters().items()}


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[n], b[n]) for n in a)


def timeless(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in TIMED} for row in rows]


def validated(monitor: KeptMonitor) -> list[dict[str, Any]]:
    return [row for row in monitor.rows if "select_loss" in row]


def test_it_is_validated_on_its_schedule_and_at_the_end(tmp_path: Path) -> None:
    _, monitor, outcome = run(tmp_path / "w", long())
    assert [row["step"] for row in validated(monitor)] == [4, 8, 12, 13]
    trained = [row for row in monitor.rows if "train_loss" in row]
    assert [row["step"] for row in trained] == [2, 4, 6, 8, 10, 12, 13]
    assert all(row["grad_norm"] > 0 and row["tokens_per_second"] > 0 for row in trained)
    tokens = [row["tokens"] for row in monitor.rows]
    assert tokens == sorted(tokens)
    assert tokens[-1] == outcome.cost["train_tokens"]
    facts = outcome.stages[0]
    assert facts["updates"] == 13
    assert facts["validations"] == 4
    assert not facts["stopped_early"]
    for name in ("validation_seconds", "checkpoint_seconds", "probe_seconds"):
        assert 0 <= outcome.cost[name] < outcome.cost["train_seconds"]


def test_without_a_schedule_it_is_validated_after_each_epoch(tmp_path: Path) -> None:
    task, monitor, _ = run(tmp_path / "w", long(steps=None, epochs=2.4, validate_every=None))
    assert [row["step"] for row in validated(monitor)] == [5, 10, 12]
    assert task.epochs == [0, 1, 2]


@pytest.mark.parametrize("on_spike", ["warn", "skip", "rollback"])
@pytest.mark.parametrize("every", [4, 5])
def test_killed_after_every_update_it_ends_with_the_same_bits(
    tmp_path: Path, on_spike: str, every: int
) -> None:
    def probe() -> list[dict[str, Any]]:
        # What is drawn here has no part in how training goes on.
        return [{"prompt": "a", "sample": str(torch.rand(1).numel())}]

    stage = long(
        validate_every=every,
        on_spike=on_spike,
        spike_window=8,
        spike_sigma=1.2,
        patience=6,
        keep_last=2,
        keep_best=2,
        average=0.9,
        dropout=0.2,
    )
    options = {"probes": [probe]}
    whole, watched, outcome = run(tmp_path / "whole", stage, **options)
    kills, monitor = 0, KeptMonitor(stop_after=1)
    while True:
        try:
            task, _, again = run(tmp_path / "killed", stage, monitor=monitor, **options)
            break
        except KilledHere:
            kills += 1
            torch.manual_seed(1000 + kills)
            np.random.seed(kills)
            rows = [*monitor.rows, {"written": "after the last save"}]
            monitor = KeptMonitor(stop_after=1)
            monitor.rows = rows
    assert kills == 13
    assert same(bits(task), bits(whole))
    assert timeless(monitor.rows) == timeless(watched.rows)
    assert [dict(s) for s in again.stages] == [dict(s) for s in outcome.stages]
    assert outcome.stages[0]["spikes"], "nothing spiked: the test shows less than it says"
    names = {p.name for p in (tmp_path / "whole").iterdir()}
    assert names == {p.name for p in (tmp_path / "killed").iterdir()}


def test_validating_changes_nothing_of_training(tmp_path: Path) -> None:
    def probe() -> list[dict[str, Any]]:
        torch.rand(5)
        return []

    often, _, _ = run(tmp_path / "a", long(dropout=0.3, validate_every=1), probes=[probe])
    never, _, _ = run(tmp_path / "b", long(dropout=0.3, validate_every=100))
    assert same(bits(often), bits(never))


def test_tokens_are_a_budget(tmp_path: Path) -> None:
    task = make_task("gpt2")
    total = int(task.train.lengths.sum())
    _, _, outcome = run(tmp_path / "w", long(steps=None, tokens=2 * total))
    assert outcome.stages[0]["tokens"] == outcome.cost["train_tokens"] == 2 * total


def test_minutes_are_a_budget(tmp_path: Path) -> None:
    stage = long(steps=None, minutes=1.5 / 60, validate_every=50, keep_last=0, gap_rows=0)
    _, monitor, outcome = run(tmp_path / "w", stage, save_seconds=1e9)
    totals = outcome.stages[0]["totals"]
    assert outcome.stages[0]["updates"] == totals[-1][2]
    assert totals[-1][2] > 4
    assert totals[0][0] == 4
    assert len(totals) >= 3
    # How well the time is kept is tested against a clock of its own, see test_budget.
    assert 0.5 < outcome.cost["train_seconds"] < 10
    assert monitor.rows[-1]["step"] == totals[-1][2]


def test_patience_counts_validations_and_the_best_is_kept(tmp_path: Path) -> None:
    stage = long(steps=200, lr=0.3, validate_every=2, patience=3, warmup=0, keep_best=2)
    task, monitor, outcome = run(tmp_path / "w", stage)
    losses = [row["select_loss"] for row in validated(monitor)]
    best = int(np.argmin(losses))
    assert len(losses) == best + 4
    facts = outcome.stages[0]
    assert facts["stopped_early"]
    assert facts["select_loss"] == losses[best]
    kept = [row for row in facts["kept"] if row["why"] == "best"]
    assert [row["select_loss"] for row in kept] == sorted(losses)[:2]
    weights, _ = load_tensors(tmp_path / "w" / kept[0]["file"])
    assert same({n.removeprefix("weight/"): w for n, w in weights.items()}, bits(task))


def test_the_last_snapshots_are_kept_whole(tmp_path: Path) -> None:
    task, _, outcome = run(tmp_path / "w", long(keep_last=2, average=0.9))
    rows = [row for row in outcome.stages[0]["kept"] if row["why"] == "last"]
    assert [row["step"] for row in rows] == [12, 13]
    held = sorted(p.name for p in (tmp_path / "w").glob("snapshot-*"))
    assert held == sorted(row["file"] for row in rows)
    tensors, _ = load_tensors(tmp_path / "w" / rows[-1]["file"])
    for name, parameter in task.parameters().items():
        assert torch.equal(tensors[f"average/{name}"], parameter)
        assert f"optimiser/tensor/exp_avg/{name}" in tensors


class Pushed(KeptMonitor):
    """Throws the weights about before the update after `at`."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.task: Any = None

    def progress(self, done: float, total: float, text: str = "") -> None:
        super().progress(done, total, text)
        if self.updates == self.at and self.task is not None:
            with torch.no_grad():
                self.task.head.bias.add_(torch.tensor([40.0, 0.0, -40.0]))


@pytest.mark.parametrize(
    ("on_spike", "what"), [("warn", "warned"), ("skip", "skipped"), ("rollback", "rolled back")]
)
def test_a_spike_is_answered_and_told(tmp_path: Path, on_spike: str, what: str) -> None:
    stage = long(steps=24, spike_window=16, on_spike=on_spike, validate_every=8, clip=None)
    monitor = Pushed(18)
    task = followed(make_task("gpt2", monitor=monitor))
    monitor.task = task
    _, _, outcome = run(tmp_path / "w", stage, monitor=monitor, task=task)
    spikes = outcome.stages[0]["spikes"]
    assert spikes[0]["step"] == 19
    assert spikes[0]["what"] == what
    assert spikes[0]["loss"] > 5 * spikes[0]["usual"]
    row = next(row for row in monitor.rows if "spike" in row)
    assert (row["spike"], row["step"], row["spike_loss"]) == (what, 19, spikes[0]["loss"])
    assert any("loss spike at update 19" in note for note in monitor.notes)
    if on_spike == "rollback":
        assert row["spike_to_step"] == 16
        assert len(spikes) == 1
        assert float(task.head.bias.detach().abs().max()) < 1
    if on_spike == "skip":
        # Weights that stay bad make every update a spike, until that is the level.
        assert [row["what"] for row in spikes[:3]] == ["skipped"] * 3


def test_going_back_restores_every_bit(tmp_path: Path) -> None:
    stage = long(steps=19, spike_window=16, on_spike="rollback", validate_every=8, keep_last=2)
    monitor = Pushed(18)
    task = followed(make_task("gpt2", monitor=monitor))
    monitor.task = task
    _, _, outcome = run(tmp_path / "w", stage, monitor=monitor, task=task)
    assert outcome.stages[0]["spikes"][0]["to_step"] == 16
    (before, _), (after, _) = (
        load_tensors(tmp_path / "w" / f"snapshot-0-{step}.safetensors") for step in (16, 19)
    )
    assert same(before, after)
    assert same(
        {n.removeprefix("weight/"): w for n, w in after.items() if "weight/" in n}, {**bits(task)}
    )


def test_a_memorised_train_split_is_warned_of(tmp_path: Path) -> None:
    stage = long(steps=120, lr=1e-2, validate_every=10, gap_rows=40, schedule="constant")
    task = followed(make_task("gpt2"))
    # Labels by chance can be learnt by heart alone.
    draw = torch.Generator().manual_seed(0)
    task.labels = task.labels[torch.randperm(len(task.labels), generator=draw)]
    _, monitor, outcome = run(tmp_path / "w", stage, task=task)
    rows = validated(monitor)
    last = rows[-1]
    assert last["gap_low"] < last["gap"] < last["gap_high"]
    assert rows[0]["gap_p"] == 1.0
    assert rows[0]["gap_warned"] == 0
    assert any(row["gap_warned"] for row in rows)
    assert any("learns train by heart" in note for note in monitor.notes)
    assert "Welch" in outcome.stages[0]["gap_test"]


def test_the_share_of_the_ceiling_is_told(tmp_path: Path) -> None:
    _, monitor, outcome = run(tmp_path / "w", long(), ceiling=1e12)
    row = next(row for row in monitor.rows if "train_loss" in row)
    assert 0 < row["ceiling_share"] < 1
    per_second = outcome.cost["flops"] / outcome.cost["train_seconds"]
    assert outcome.cost["ceiling_share"] == pytest.approx(per_second / 1e12)


def test_a_loss_that_is_not_finite_keeps_its_batch(tmp_path: Path) -> None:
    class Poisoned(KeptMonitor):
        def progress(self, done: float, total: float, text: str = "") -> None:
            super().progress(done, total, text)
            if self.updates == 6:
                with torch.no_grad():
                    task.head.weight.fill_(math.nan)

    monitor = Poisoned()
    task = followed(make_task("gpt2", monitor=monitor))
    with pytest.raises(TrainingError, match=r"update 7.*kept in"):
        run(tmp_path / "w", long(), monitor=monitor, task=task)
    kept = json.loads((tmp_path / "w" / "failed-batch.json").read_text())
    assert len(kept["token_ids"]) == 8
    resumed, _, _ = run(tmp_path / "w", long())
    clean, _, _ = run(tmp_path / "clean", long())
    assert same(bits(resumed), bits(clean))


def test_a_full_disk_at_a_snapshot_leaves_what_training_goes_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradus.training import retention

    saved = retention.save_tensors

    def full(path: Path, *rest: Any) -> None:
        if path.name == "snapshot-0-8.safetensors":
            raise StorageError(f"{path}: the disk is full")
        saved(path, *rest)

    monkeypatch.setattr(retention, "save_tensors", full)
    with pytest.raises(StorageError):
        run(tmp_path / "w", long())
    assert (tmp_path / "w" / "snapshot-0-4.safetensors").exists()
    monkeypatch.undo()
    resumed, monitor, _ = run(tmp_path / "w", long())
    clean, watched, _ = run(tmp_path / "clean", long())
    assert same(bits(resumed), bits(clean))
    assert [r["step"] for r in validated(watched)] == [4, 8, 12, 13]
    assert [r["step"] for r in validated(monitor)] == [8, 12, 13]


def test_compiled_layers_are_asked_for_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self)))
    _, _, auto = run(tmp_path / "a", long(steps=1))
    assert not compiled
    assert auto.stages[0]["compiled"] is False
    _, _, asked = run(tmp_path / "b", long(steps=1, compile=True))
    assert len(compiled) == 3
    assert asked.stages[0]["compiled"] is True


def test_what_was_said_before_an_interruption_is_said_again(tmp_path: Path) -> None:
    stage = long(steps=24, spike_window=16, on_spike="warn", validate_every=8, clip=None)
    monitor = Pushed(18)
    monitor.stop_after = 20
    task = followed(make_task("gpt2", monitor=monitor))
    monitor.task = task
    with pytest.raises(KilledHere):
        run(tmp_path / "w", stage, monitor=monitor, task=task)
    assert any("loss spike at update 19" in note for note in monitor.notes)
    _, later, _ = run(tmp_path / "w", stage)
    assert any("loss spike at update 19" in note for note in later.notes)
